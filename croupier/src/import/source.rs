//! A file as rows of cells, whatever its format.

use super::mapping::Columns;
use super::progress::Progress;
use super::refusal::{Place, Why};
use super::{ImportError, csv, ndjson, parquet};
use flate2::read::MultiGzDecoder;
use indicatif::ProgressBarIter;
use sha2::{Digest, Sha256};
use std::fs::{File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Longest record of a text file: what a forgotten quote may take into memory.
pub(crate) const LONGEST_ROW: usize = 1 << 20;

/// What a log is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Comma-separated values with a header.
    Csv,
    /// One JSON object per line.
    Ndjson,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    fn of(path: &Path) -> Option<Self> {
        let inner = path.with_extension("");
        let path = if is_packed(path) { &inner } else { path };
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "csv" => Some(Self::Csv),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// Whether a file is packed by gzip, as its name says.
fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gz"))
}

/// One value of a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    /// Null or absent; empty text is the same, since CSV has no other.
    Empty,
    /// Text, or a number, truth value or moment written as text.
    Text(String),
    /// Bytes that should be text and are not.
    NotUtf8,
    /// A list of NDJSON, as JSON.
    List(String),
    /// An object or bytes.
    NotAValue,
}

impl Cell {
    /// A cell of bytes that should be text.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok("") => Self::Empty,
            Ok(text) => Self::Text(text.into()),
            Err(_) => Self::NotUtf8,
        }
    }
}

/// One row: the cells of the columns that were asked for, or why it has none.
pub(crate) struct Row {
    /// 1, 2, 3 …, which never changes for a file.
    pub(crate) number: u64,
    pub(crate) place: Place,
    pub(crate) cells: Result<Vec<Cell>, Why>,
}

/// The rows of a file; an error ends them.
pub(crate) type Rows = Box<dyn Iterator<Item = Result<Row, ImportError>> + Send>;

/// A log on disk.
pub(crate) struct Source {
    path: PathBuf,
    format: Format,
    progress: Progress,
    found: Metadata,
}

impl Source {
    pub(crate) fn open(path: &Path, format: Option<Format>, progress: Progress) -> Result<Self, ImportError> {
        let format = format.or_else(|| Format::of(path)).ok_or_else(|| ImportError::Format { path: path.into() })?;
        let found = std::fs::metadata(path).map_err(unreadable(path))?;
        Ok(Self { path: path.into(), format, progress, found })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 of the file.
    pub(crate) fn digest(&self) -> Result<[u8; 32], ImportError> {
        let mut hash = Sha256::new();
        std::io::copy(&mut self.packed("checking")?, &mut hash).map_err(unreadable(&self.path))?;
        Ok(hash.finalize().into())
    }

    /// The columns there are; `wanted` are looked for to the end of the file, if need be.
    pub(crate) fn columns(&self, wanted: &[&str]) -> Result<Columns, ImportError> {
        match self.format {
            Format::Csv => csv::columns(&self.path, self.reader("header")?),
            Format::Ndjson => ndjson::columns(&self.path, self.reader("columns")?, wanted),
            Format::Parquet => parquet::columns(&self.path, self.file()?),
        }
    }

    /// The rows with the cells of `columns`, while a bar says `what` is done.
    pub(crate) fn rows(&self, columns: &[String], what: &'static str) -> Result<Rows, ImportError> {
        Ok(match self.format {
            Format::Csv => Box::new(csv::Records::new(&self.path, self.reader(what)?, columns)?),
            Format::Ndjson => Box::new(ndjson::Objects::new(&self.path, self.reader(what)?, columns)),
            Format::Parquet => {
                let bar = self.progress.pass(what, self.found.len());
                Box::new(parquet::Records::new(&self.path, self.file()?, columns, bar)?)
            }
        })
    }

    /// An error if the file is no longer the one that was opened, as far as its length and time tell.
    pub(crate) fn unchanged(&self) -> Result<(), ImportError> {
        let now = std::fs::metadata(&self.path).map_err(unreadable(&self.path))?;
        let same = now.len() == self.found.len() && now.modified().ok() == self.found.modified().ok();
        if same { Ok(()) } else { Err(ImportError::Changed { path: self.path.clone() }) }
    }

    fn file(&self) -> Result<File, ImportError> {
        File::open(&self.path).map_err(unreadable(&self.path))
    }

    /// The file as it is.
    fn packed(&self, what: &'static str) -> Result<ProgressBarIter<File>, ImportError> {
        Ok(self.progress.pass(what, self.found.len()).wrap_read(self.file()?))
    }

    /// Its text.
    fn reader(&self, what: &'static str) -> Result<Box<dyn Read + Send>, ImportError> {
        let file = self.packed(what)?;
        Ok(if is_packed(&self.path) { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
    }
}

pub(crate) fn unreadable(path: &Path) -> impl Fn(std::io::Error) -> ImportError {
    move |why| ImportError::Unreadable { path: path.into(), why }
}

/// A file that is read from front to back.
pub(crate) trait Stream: Read + Send + 'static {}

impl<R: Read + Send + 'static> Stream for R {}
