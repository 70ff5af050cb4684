//! Journals of the embedded store, as fjall 3.1 writes them (its `journal/entry.rs`).
//!
//! A group of writes is a start (1, count of 4 bytes, sequence number of 8), that many entries (2, an item: type,
//! compression, keyspace of 8, lengths of 2, 4 and 4, key, value; or 4, a clearing: keyspace of 8) and an end (3, XXH3 of
//! the entries, the four bytes of [`TRAILER`]). Numbers are little-endian. Behind the last group are zeros, or nothing.
//!
//! A group is synchronised before the next is begun. So if anything whole follows a group that is not, that one was whole
//! once: it was damaged. Else it is the end of a write that was cut off, of which nobody was told that it was safe.

use super::{MEND, damaged, entries, replace, unreadable};
use crate::Result;
use std::ops::Range;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

const TRAILER: &[u8] = b"FJL\x03";
/// No store has counted this far.
const MOST_SEQUENCE: u64 = 1 << 48;

/// A whole group.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Batch {
    /// Where it is in the file.
    at: Range<usize>,
    sequence: u64,
    /// How many values it writes or removes.
    count: u32,
}

/// What a journal holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Journal {
    path: PathBuf,
    whole: Vec<Batch>,
    /// Where something is that is no whole group, though one follows.
    damage: Vec<Range<usize>>,
    /// Where it ends with what is no whole group; empty: it does not.
    torn: Range<usize>,
}

/// The journals of a store, oldest first.
pub(super) fn all(dir: &Path) -> Result<Vec<Journal>> {
    let number = |path: &PathBuf| path.file_name()?.to_str()?.strip_suffix(".jnl")?.parse::<u64>().ok();
    let mut paths: Vec<_> = entries(dir)?.into_iter().filter_map(|path| Some((number(&path)?, path))).collect();
    paths.sort();
    let mut journals = Vec::new();
    for (_, path) in paths {
        let bytes = std::fs::read(&path).map_err(unreadable(&path))?;
        journals.push(survey(path, &bytes));
    }
    // A journal is synchronised before the next is begun: only the last that was written to can be cut off.
    let mut later = false;
    for journal in journals.iter_mut().rev() {
        if later && !journal.torn.is_empty() {
            let end = journal.torn.end;
            journal.damage.push(std::mem::replace(&mut journal.torn, end..end));
        }
        later |= !journal.whole.is_empty();
    }
    Ok(journals)
}

fn survey(path: PathBuf, bytes: &[u8]) -> Journal {
    let end = end_of_content(bytes);
    let (mut whole, mut damage, mut at): (Vec<Batch>, _, _) = (Vec::new(), Vec::new(), 0);
    while let Some(next) = (at..end).find_map(|from| batch(bytes, from)) {
        if next.at.start > at {
            damage.push(at..next.at.start);
        }
        at = next.at.end;
        whole.push(next);
    }
    // A number is not in the checksum of its group. One that is out of line while its neighbours are in line was changed.
    let out_of_line =
        |w: &[Batch]| w[0].sequence <= w[2].sequence && !(w[0].sequence..=w[2].sequence).contains(&w[1].sequence);
    damage.extend(whole.windows(3).filter(|w| out_of_line(w)).map(|w| w[1].at.clone()));
    whole.retain(|batch| !damage.contains(&batch.at));
    Journal { path, whole, damage, torn: at..end.max(at) }
}

/// What was never written to is zero: a journal is made larger than it is, once and for all.
fn end_of_content(bytes: &[u8]) -> usize {
    const ZEROS: [u8; 4_096] = [0; 4_096];
    let blank: usize = bytes.rchunks(ZEROS.len()).take_while(|c| **c == ZEROS[..c.len()]).map(<[u8]>::len).sum();
    bytes[..bytes.len() - blank].iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

/// The group that begins at `from`, if a whole one does.
fn batch(bytes: &[u8], from: usize) -> Option<Batch> {
    let mut rest = bytes.get(from..)?;
    if take::<1>(&mut rest)? != [1] {
        return None;
    }
    let (count, sequence) = (u32::from_le_bytes(take(&mut rest)?), u64::from_le_bytes(take(&mut rest)?));
    let entries = rest;
    for _ in 0..count {
        match take::<1>(&mut rest)? {
            [2] => {
                let [_, compression] = take(&mut rest)?;
                let _keyspace: [u8; 8] = take(&mut rest)?;
                let key = usize::from(u16::from_le_bytes(take(&mut rest)?));
                let _unpacked: [u8; 4] = take(&mut rest)?;
                let packed = u32::from_le_bytes(take(&mut rest)?) as usize;
                rest = rest.get(key..)?.get(packed..).filter(|_| compression <= 1)?;
            }
            [4] => drop(take::<8>(&mut rest)?),
            _ => return None,
        }
    }
    let sum = xxh3_64(&entries[..entries.len() - rest.len()]);
    let whole =
        take(&mut rest)? == [3] && u64::from_le_bytes(take(&mut rest)?) == sum && take::<4>(&mut rest)? == *TRAILER;
    (whole && count > 0 && sequence < MOST_SEQUENCE).then(|| Batch {
        at: from..bytes.len() - rest.len(),
        sequence,
        count,
    })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, others) = rest.split_first_chunk()?;
    *rest = others;
    Some(*first)
}

impl Journal {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether nothing was ever written to it.
    pub(super) fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.damage.is_empty() && self.torn.is_empty()
    }

    /// In one line, for people.
    pub(super) fn told(&self) -> String {
        let cut = if self.torn.is_empty() { String::new() } else { format!(", and {}", self.cut_off()) };
        format!("{} groups of {} writes are whole{cut}", self.whole.len(), self.writes())
    }

    /// Where its whole groups end.
    #[cfg(test)]
    pub(super) fn ends(&self) -> Vec<usize> {
        self.whole.iter().map(|batch| batch.at.end).collect()
    }

    fn writes(&self) -> u64 {
        self.whole.iter().map(|batch| u64::from(batch.count)).sum()
    }

    fn cut_off(&self) -> String {
        format!("the last {} bytes are of a write that was cut off", self.torn.len())
    }

    /// # Errors
    /// When a part of it is not what was written.
    pub(super) fn refuse_damage(&self) -> Result<()> {
        let Some(first) = self.damage.first() else { return Ok(()) };
        let behind = self.whole.iter().filter(|batch| batch.at.start > first.start).count();
        let what = format!(
            "damaged at byte {} of {}; {behind} groups of writes behind it are whole",
            first.start, self.torn.end
        );
        Err(damaged(&self.path, &what, MEND))
    }

    /// Ends the file where its last whole group ends: fjall would, but what it would make of the bytes is not known.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn let_torn_end_go(&self) -> Result<()> {
        if self.torn.is_empty() {
            return Ok(());
        }
        tracing::warn!(
            "{}: {}; they are let go: writes are acknowledged only once they are whole",
            self.path.display(),
            self.cut_off()
        );
        let cut = || {
            let file = std::fs::File::options().write(true).open(&self.path)?;
            file.set_len(self.torn.start as u64)?;
            file.sync_all()
        };
        cut().map_err(unreadable(&self.path))
    }

    /// Takes out what is damaged, and keeps a copy of the file as it was; what was lost, if anything.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn mend(&self) -> Result<Option<String>> {
        if self.damage.is_empty() {
            return Ok(None);
        }
        let bytes = std::fs::read(&self.path).map_err(unreadable(&self.path))?;
        let kept: Vec<u8> = self.whole.iter().flat_map(|batch| &bytes[batch.at.clone()]).copied().collect();
        replace(&self.path, &kept).map_err(unreadable(&self.path))?;
        let lost: usize = self.damage.iter().map(ExactSizeIterator::len).sum();
        Ok(Some(format!(
            "{lost} bytes in {} places are taken out: decisions, events or items that were acknowledged in {}; {} groups of {} \
             writes are kept",
            self.damage.len(),
            if self.damage.len() == 1 { "one moment, or a few in a row" } else { "some moments" },
            self.whole.len(),
            self.writes()
        )))
    }
}
