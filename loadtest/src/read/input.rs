//! Files, compressed or not, and standard input.

use super::ledger::SharedLedger;
use super::lines::{self, Outcome};
use super::{Entry, Stamps, gor, har};
use crate::failure::Failure;
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;

const BUFFER: usize = 128 << 10;
/// How much is looked at to tell the format.
const PEEK: usize = 4 << 10;

/// Where a log is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    Stdin,
    File(PathBuf),
}

impl std::str::FromStr for Input {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text == "-" { Self::Stdin } else { Self::File(text.into()) })
    }
}

impl std::fmt::Display for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// A log that can be read.
pub(crate) struct Opened {
    reader: Box<dyn BufRead + Send>,
    stamps: Stamps,
}

impl Input {
    /// Bytes of a file, for progress.
    pub(crate) fn size(&self) -> Option<u64> {
        match self {
            Self::Stdin => None,
            Self::File(path) => std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|m| m.len()),
        }
    }

    /// Opens it, and unpacks it on the fly where it is gzip or Zstandard.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn open(&self, stamps: Stamps, ledger: &SharedLedger) -> Result<Opened, Failure> {
        let failed = |error: io::Error| Failure::Log { log: self.to_string(), why: error.to_string() };
        let raw: Box<dyn Read + Send> = match self {
            Self::Stdin => Box::new(io::stdin()),
            Self::File(path) => Box::new(File::open(path).map_err(failed)?),
        };
        let mut raw = BufReader::with_capacity(BUFFER, Counted { inner: raw, ledger: ledger.clone() });
        let magic = raw.fill_buf().map_err(failed)?;
        let reader: Box<dyn BufRead + Send> = match magic {
            [0x1f, 0x8b, ..] => Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(raw))),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                let decoder = zstd::stream::read::Decoder::with_buffer(raw).map_err(failed)?;
                Box::new(BufReader::with_capacity(BUFFER, decoder))
            }
            _ => Box::new(raw),
        };
        Ok(Opened { reader, stamps })
    }
}

impl Opened {
    /// Feeds every entry to `each` with the text it was read from; `idle` is called before a read that may wait.
    pub(crate) fn read(
        mut self,
        ledger: &SharedLedger,
        each: &mut dyn FnMut(&Entry<'_>, &[u8]) -> Outcome,
        idle: &mut dyn FnMut() -> Outcome,
    ) -> Outcome {
        let start = self.reader.fill_buf().unwrap_or_default();
        let start = &start[..start.len().min(PEEK)];
        if gor::is_gor(start) {
            gor::read(&mut *self.reader, ledger, each)
        } else if har::is_har(start) {
            har::read(&mut *self.reader, self.stamps, ledger, each)
        } else {
            lines::read(&mut *self.reader, self.stamps, ledger, each, idle)
        }
    }
}

/// Counts what is read, so that progress can be told of compressed files too.
struct Counted {
    inner: Box<dyn Read + Send>,
    ledger: SharedLedger,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.ledger.lock().bytes += n as u64;
        Ok(n)
    }
}
