//! Format 1 of backups: eight bytes that say what it is, then frames, each with a checksum.
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | kind: `A` about, `K` name of a keyspace, `P` pairs of that keyspace, `S` a piece of the database's file, `E` end |
//! | 4 | length of what follows, little-endian |
//! | … | JSON in `A` and `E`; UTF-8 in `K`; in `P` for each pair two lengths of 4 bytes, key, value |
//! | 4 | CRC-32 of all of the frame before it |
//!
//! A backup without its end frame, or whose end counts otherwise, was cut off.

use crate::{Result, StoreError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};

pub(super) const MAGIC: &[u8; 8] = b"CROUPBK\x01";
/// Bytes after which a frame of pairs is closed.
pub(super) const FULL: usize = 256 << 10;
/// Longest frame that is read: a pair may be larger than a frame is meant to be.
const LONGEST: u32 = 64 << 20;

/// What a backup is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Release that made it.
    pub release: String,
    /// Directory that it is a copy of.
    pub directory: String,
}

/// What a backup holds, as its end says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Pairs of the embedded store.
    pub pairs: u64,
    /// Bytes of the database's file.
    pub database_bytes: u64,
}

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    About(About),
    Keyspace(String),
    Pairs(Vec<(Vec<u8>, Vec<u8>)>),
    Database(Vec<u8>),
    End(Counts),
}

pub(super) fn failed(e: &std::io::Error) -> StoreError {
    StoreError::Backup(format!("the backup broke off: {e}"))
}

fn damaged(why: &str) -> StoreError {
    StoreError::Backup(format!("the backup cannot be used: {why}; take another one"))
}

pub(super) fn write_frame(out: &mut impl Write, kind: u8, body: &[u8]) -> Result<()> {
    let length =
        u32::try_from(body.len()).ok().filter(|n| *n <= LONGEST).ok_or_else(|| damaged("a value is too long"))?;
    let mut head = [kind, 0, 0, 0, 0];
    head[1..].copy_from_slice(&length.to_le_bytes());
    let mut sum = crc32fast::Hasher::new();
    sum.update(&head);
    sum.update(body);
    let all = [&head[..], body, &sum.finalize().to_le_bytes()].concat();
    out.write_all(&all).map_err(|e| failed(&e))
}

pub(super) fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|e| StoreError::Backup(e.to_string()))
}

/// Writes a backup.
pub(super) struct Writer<W> {
    out: W,
    pairs: Vec<u8>,
    counts: Counts,
}

impl<W: Write> Writer<W> {
    pub(super) fn begin(mut out: W, about: &About) -> Result<Self> {
        out.write_all(MAGIC).map_err(|e| failed(&e))?;
        write_frame(&mut out, b'A', &json(about)?)?;
        Ok(Self { out, pairs: Vec::new(), counts: Counts::default() })
    }

    /// What follows is in this keyspace.
    pub(super) fn keyspace(&mut self, name: &str) -> Result<()> {
        self.flush()?;
        write_frame(&mut self.out, b'K', name.as_bytes())
    }

    pub(super) fn pair(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if self.pairs.len() >= FULL {
            self.flush()?;
        }
        for part in [key, value] {
            let length = u32::try_from(part.len()).map_err(|_| damaged("a value is too long"))?;
            self.pairs.extend(length.to_le_bytes());
        }
        self.pairs.extend([key, value].into_iter().flatten());
        self.counts.pairs += 1;
        Ok(())
    }

    pub(super) fn database(&mut self, piece: &[u8]) -> Result<()> {
        self.flush()?;
        self.counts.database_bytes += piece.len() as u64;
        write_frame(&mut self.out, b'S', piece)
    }

    /// Says that it is complete.
    pub(super) fn end(mut self) -> Result<Counts> {
        self.flush()?;
        write_frame(&mut self.out, b'E', &json(&self.counts)?)?;
        self.out.flush().map_err(|e| failed(&e))?;
        Ok(self.counts)
    }

    fn flush(&mut self) -> Result<()> {
        if !self.pairs.is_empty() {
            write_frame(&mut self.out, b'P', &self.pairs)?;
            self.pairs.clear();
        }
        Ok(())
    }
}

/// Reads a backup, frame by frame, to its end.
pub(super) struct Reader<R> {
    from: R,
    ended: bool,
    counts: Counts,
}

impl<R: Read> Reader<R> {
    pub(super) fn begin(mut from: R) -> Result<Self> {
        let mut magic = [0; 8];
        from.read_exact(&mut magic).map_err(|_| damaged("it is no backup"))?;
        match magic.split_last() {
            _ if &magic == MAGIC => Ok(Self { from, ended: false, counts: Counts::default() }),
            Some((version, start)) if *start == MAGIC[..7] => Err(StoreError::Backup(format!(
                "the backup has format {version}, this release reads up to {}: upgrade",
                MAGIC[7]
            ))),
            _ => Err(damaged("it is no backup")),
        }
    }

    /// The next frame; none after the end, where the counts have been compared.
    pub(super) fn next(&mut self) -> Result<Option<Frame>> {
        if self.ended {
            let more = self.from.read(&mut [0]).map_err(|e| failed(&e))?;
            return if more == 0 { Ok(None) } else { Err(damaged("something follows its end")) };
        }
        let cut = |_| damaged("it was cut off");
        let mut head = [0; 5];
        self.from.read_exact(&mut head).map_err(cut)?;
        let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
        if length > LONGEST {
            return Err(damaged("a length is wrong"));
        }
        let mut body = Vec::new();
        let read = (&mut self.from).take(length.into()).read_to_end(&mut body).map_err(cut)?;
        let mut sum = [0; 4];
        self.from.read_exact(&mut sum).map_err(cut)?;
        let mut own = crc32fast::Hasher::new();
        own.update(&head);
        own.update(&body);
        if read != length as usize || own.finalize() != u32::from_le_bytes(sum) {
            return Err(damaged("a checksum is wrong"));
        }
        self.frame(head[0], body).map(Some)
    }

    fn frame(&mut self, kind: u8, body: Vec<u8>) -> Result<Frame> {
        Ok(match kind {
            b'A' => Frame::About(read_json(&body)?),
            b'K' => Frame::Keyspace(String::from_utf8(body).map_err(|_| damaged("a name is no text"))?),
            b'P' => {
                let pairs = pairs(&body).ok_or_else(|| damaged("pairs are cut off"))?;
                self.counts.pairs += pairs.len() as u64;
                Frame::Pairs(pairs)
            }
            b'S' => {
                self.counts.database_bytes += body.len() as u64;
                Frame::Database(body)
            }
            b'E' => {
                let counts: Counts = read_json(&body)?;
                if counts != self.counts {
                    return Err(damaged("a part of it is missing"));
                }
                self.ended = true;
                Frame::End(counts)
            }
            _ => return Err(damaged("a frame is of an unknown kind")),
        })
    }
}

fn read_json<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|e| damaged(&e.to_string()))
}

fn pairs(mut body: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut pairs = Vec::new();
    while !body.is_empty() {
        let (key_length, rest) = body.split_first_chunk::<4>()?;
        let (value_length, rest) = rest.split_first_chunk::<4>()?;
        let (key, rest) = rest.split_at_checked(u32::from_le_bytes(*key_length) as usize)?;
        let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*value_length) as usize)?;
        pairs.push((key.to_vec(), value.to_vec()));
        body = rest;
    }
    Some(pairs)
}
