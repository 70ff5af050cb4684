//! CSV as rows.

use super::ImportError;
use super::mapping::Columns;
use super::refusal::{Place, Why};
use super::source::{Cell, LONGEST_ROW, Row, Stream, unreadable};
use ::csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Remembers what was last read, and refuses to read on and on for one record.
struct Window<R> {
    file: R,
    /// The last bytes that were read, and where the next ones will be.
    last: Vec<u8>,
    end: u64,
    /// Bytes read for the present record.
    taken: usize,
}

impl<R: Read> Read for Window<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken > LONGEST_ROW {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let n = self.file.read(buffer)?;
        if n > 0 {
            self.last.clear();
            self.last.extend_from_slice(&buffer[..n]);
            self.end += n as u64;
            self.taken += n;
        }
        Ok(n)
    }
}

impl<R> Window<R> {
    /// The byte before `position`, which the reader has just come to.
    fn byte_before(&self, position: u64) -> Option<u8> {
        let back = usize::try_from(self.end.checked_sub(position)?).ok()?;
        self.last.len().checked_sub(back + 1).map(|i| self.last[i])
    }
}

fn reader<R: Stream>(file: R) -> Reader<Window<R>> {
    let window = Window { file, last: Vec::new(), end: 0, taken: 0 };
    // Rows of other lengths are refused one by one, not by the reader.
    ReaderBuilder::new().flexible(true).buffer_capacity(1 << 16).from_reader(window)
}

fn header<R: Stream>(path: &Path, reader: &mut Reader<Window<R>>) -> Result<Vec<String>, ImportError> {
    let names = reader.byte_headers().map(|h| h.iter().map(|n| String::from_utf8_lossy(n).into_owned()).collect());
    names.map_err(|e| failed(path, 1, e))
}

fn failed(path: &Path, line: u64, error: ::csv::Error) -> ImportError {
    match error.into_kind() {
        ErrorKind::Io(why) if why.kind() == io::ErrorKind::FileTooLarge => {
            ImportError::LongRow { path: path.into(), line }
        }
        ErrorKind::Io(why) => unreadable(path)(why),
        // Rows are read as bytes and of any length, so that nothing else can be wrong with them.
        other => unreadable(path)(io::Error::other(format!("{other:?}"))),
    }
}

/// The header's names.
pub(super) fn columns(path: &Path, file: impl Stream) -> Result<Columns, ImportError> {
    Ok(Columns { names: header(path, &mut reader(file))?, open: false })
}

/// The rows after the header.
pub(super) struct Records<R> {
    path: PathBuf,
    reader: Reader<Window<R>>,
    /// Where in a record each wanted cell is.
    wanted: Vec<Option<usize>>,
    columns: usize,
    record: ByteRecord,
    number: u64,
    /// Line on which the last record ended.
    line: u64,
}

impl<R: Stream> Records<R> {
    pub(super) fn new(path: &Path, file: R, columns: &[String]) -> Result<Self, ImportError> {
        let mut reader = reader(file);
        let names = header(path, &mut reader)?;
        Ok(Self {
            path: path.into(),
            reader,
            wanted: columns.iter().map(|c| names.iter().position(|n| n == c)).collect(),
            columns: names.len(),
            record: ByteRecord::new(),
            number: 0,
            line: 1,
        })
    }

    /// The line on which the present record begins. Its reader counts line feeds, and stops between those of a
    /// CR LF, so whether the record's own is among them depends on the byte before.
    fn begins(&mut self) -> u64 {
        let position = self.reader.position();
        let ended = self.reader.get_ref().byte_before(position.byte()) == Some(b'\n');
        self.line = position.line() - u64::from(ended);
        let inside = self.record.as_slice().iter().filter(|b| **b == b'\n').count();
        self.line.saturating_sub(inside as u64)
    }
}

impl<R: Stream> Iterator for Records<R> {
    type Item = Result<Row, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.reader.get_mut().taken = 0;
        match self.reader.read_byte_record(&mut self.record) {
            Err(e) => return Some(Err(failed(&self.path, self.line + 1, e))),
            Ok(false) => return None,
            Ok(true) => self.number += 1,
        }
        let place = Place::Line(self.begins());
        let (cells, columns) = (self.record.len(), self.columns);
        let cell = |i: &Option<usize>| i.and_then(|i| self.record.get(i)).map_or(Cell::Empty, Cell::of_bytes);
        let cells = if cells == columns {
            Ok(self.wanted.iter().map(cell).collect())
        } else {
            Err(Why::Ragged { cells, columns })
        };
        Some(Ok(Row { number: self.number, place, cells }))
    }
}
