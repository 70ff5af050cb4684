//! The database's write-ahead log (<https://www.sqlite.org/fileformat2.html#the_write_ahead_log>).
//!
//! Checksums of frames follow from each other, and SQLite takes the log for ended at the first that is wrong. As the log is
//! synchronised with each transaction, that is right for the last one. If a later transaction's frame is what was written
//! behind the frame before it, the earlier one was damaged.

use super::{MEND, damaged, unreadable};
use crate::Result;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// Bytes of a page in databases of ours.
const PAGE: usize = 4_096;

/// What is found in a log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wal {
    path: PathBuf,
    /// Frames up to the first that is wrong.
    pub(super) whole: usize,
    /// Where the first wrong one is, if frames of later transactions are behind it, and how many.
    damage: Option<(usize, usize)>,
}

/// The log of a database's file.
pub(super) fn of(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// What is in a log; none: it is empty, or not there.
pub(super) fn survey(path: &Path) -> Result<Option<Wal>> {
    match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        file => file.and_then(|file| frames(path, BufReader::with_capacity(1 << 20, file))).map_err(unreadable(path)),
    }
}

fn frames(path: &Path, mut from: impl Read) -> io::Result<Option<Wal>> {
    let mut header = [0; HEADER];
    if !fill(&mut from, &mut header)? {
        return Ok(None);
    }
    let big = header[..4] == [0x37, 0x7f, 0x06, 0x83];
    let known = big || header[..4] == [0x37, 0x7f, 0x06, 0x82];
    // The header is synchronised before the first frame: if there are frames, it was right once.
    let computed = sum([0, 0], &header[..24], big);
    let right = known && computed == sums(&header, 24);
    let page = if right { word(&header, 8) as usize } else { PAGE };
    let (mut wal, mut number) = (Wal { path: path.to_owned(), whole: 0, damage: None }, 0);
    let mut damage = (!right).then_some((0, 0));
    let (mut salts, mut committed) = (right.then(|| header[16..24].to_vec()), !right);
    // What was written, and what should have been: one of them is right whichever of data and checksum was changed.
    let mut seeds = [computed, sums(&header, 24)];
    let mut frame = vec![0; FRAME_HEADER + page];
    while fill(&mut from, &mut frame)? {
        // Frames of an earlier round stay behind those of this one.
        let ours = frame[8..16] == **salts.get_or_insert_with(|| frame[8..16].to_vec());
        let computed = seeds.map(|seed| sum(sum(seed, &frame[..8], big), &frame[FRAME_HEADER..], big));
        let right = ours && computed.contains(&sums(&frame, 16));
        match &mut damage {
            None if right => wal.whole += 1,
            None => damage = Some((HEADER + number * frame.len(), 0)),
            Some((_, later)) if right && committed => *later += 1,
            Some(_) => {}
        }
        // A number of pages says that the transaction ends here.
        committed |= damage.is_some() && word(&frame, 4) != 0;
        seeds = [computed[0], sums(&frame, 16)];
        number += 1;
    }
    wal.damage = damage.filter(|(_, later)| *later > 0);
    Ok(Some(wal))
}

/// Reads as much as `bytes` takes; false at the end.
fn fill(from: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(bytes) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |word| u32::from_be_bytes(*word))
}

fn sums(bytes: &[u8], at: usize) -> [u32; 2] {
    [word(bytes, at), word(bytes, at + 4)]
}

/// The checksum of SQLite: words of the order that the log's first bytes say.
fn sum([mut a, mut b]: [u32; 2], bytes: &[u8], big: bool) -> [u32; 2] {
    let read = |word: &[u8; 4]| if big { u32::from_be_bytes(*word) } else { u32::from_le_bytes(*word) };
    for pair in bytes.as_chunks::<4>().0.chunks_exact(2) {
        a = a.wrapping_add(read(&pair[0])).wrapping_add(b);
        b = b.wrapping_add(read(&pair[1])).wrapping_add(a);
    }
    [a, b]
}

impl Wal {
    /// # Errors
    /// When SQLite would let go of what was acknowledged.
    pub(super) fn refuse_damage(&self) -> Result<()> {
        let Some((at, later)) = self.damage else { return Ok(()) };
        Err(damaged(
            &self.path,
            &format!("damaged at byte {at}; {later} pages of later transactions are behind it"),
            MEND,
        ))
    }

    /// Ends the log where it is damaged, and keeps a copy of it as it was; what was lost, if anything.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn mend(&self) -> Result<Option<String>> {
        let Some((at, later)) = self.damage else { return Ok(None) };
        let bytes = std::fs::read(&self.path).map_err(unreadable(&self.path))?;
        super::replace(&self.path, &bytes[..at]).map_err(unreadable(&self.path))?;
        Ok(Some(format!(
            "the transactions from byte {at} on are taken out, {later} pages and more: what people changed last, and counts \
             of the last decisions and events"
        )))
    }
}
