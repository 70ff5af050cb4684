//! Parquet as rows: the columns that are wanted, a batch at a time. A column `a.b` is the leaf `b` of the group `a`.

mod meaning;

use super::ImportError;
use super::mapping::Columns;
use super::refusal::Place;
use super::source::{Cell, Row};
use ::parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use ::parquet::data_type::DataType;
use ::parquet::errors::{ParquetError, Result};
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use indicatif::ProgressBar;
use meaning::Meaning;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Rows decoded at once.
const BATCH: usize = 1_024;

/// What the decoder does with a file. It is not written for damaged files: some make it panic.
fn decode<T>(path: &Path, work: impl FnOnce() -> Result<T>) -> std::result::Result<T, ImportError> {
    let why = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => return Ok(done),
        Ok(Err(e)) => e.to_string(),
        Err(_) => "its pages contradict each other".into(),
    };
    Err(ImportError::Damaged { path: path.into(), why })
}

/// The leaves that have one value in a row.
pub(super) fn columns(path: &Path, file: File) -> std::result::Result<Columns, ImportError> {
    decode(path, || {
        let reader = SerializedFileReader::new(file)?;
        let leaves = reader.metadata().file_metadata().schema_descr().columns();
        let names = leaves.iter().filter(|leaf| leaf.max_rep_level() == 0).map(|leaf| leaf.path().string()).collect();
        Ok(Columns { names, open: false })
    })
}

/// A leaf of the present row group.
struct Leaf {
    reader: ColumnReader,
    meaning: Meaning,
    /// Level of a value that is there.
    present: i16,
}

/// The rows of a file.
pub(super) struct Records {
    path: PathBuf,
    file: SerializedFileReader<File>,
    /// Index of each wanted leaf.
    wanted: Vec<Option<usize>>,
    /// The next row group, and the leaves and rows left of the present one.
    group: usize,
    leaves: Vec<Option<Leaf>>,
    left: usize,
    /// Rows decoded, the next one last.
    ready: Vec<Vec<Cell>>,
    number: u64,
    rows: u64,
    bar: ProgressBar,
    bytes: u64,
    ended: bool,
}

impl Records {
    pub(super) fn new(
        path: &Path,
        file: File,
        columns: &[String],
        bar: ProgressBar,
    ) -> std::result::Result<Self, ImportError> {
        decode(path, || {
            let file = SerializedFileReader::new(file)?;
            let metadata = file.metadata();
            let leaves = metadata.file_metadata().schema_descr().columns();
            let place = |column: &String| {
                leaves.iter().position(|leaf| leaf.max_rep_level() == 0 && leaf.path().string() == *column)
            };
            Ok(Self {
                path: path.into(),
                wanted: columns.iter().map(place).collect(),
                group: 0,
                leaves: Vec::new(),
                left: 0,
                ready: Vec::new(),
                number: 0,
                rows: metadata.row_groups().iter().map(|g| u64::try_from(g.num_rows()).unwrap_or(0)).sum(),
                bytes: bar.length().unwrap_or(0),
                bar,
                ended: false,
                file,
            })
        })
    }

    /// Decodes more rows; false at the end.
    fn more(&mut self) -> Result<bool> {
        while self.left == 0 {
            if self.group == self.file.num_row_groups() {
                return Ok(false);
            }
            let group = self.file.get_row_group(self.group)?;
            let leaf = |i: usize| -> Result<Leaf> {
                let column = group.metadata().column(i).column_descr();
                Ok(Leaf {
                    reader: group.get_column_reader(i)?,
                    meaning: Meaning::of(column),
                    present: column.max_def_level(),
                })
            };
            self.leaves = self.wanted.iter().map(|i| i.map(leaf).transpose()).collect::<Result<_>>()?;
            self.left = usize::try_from(group.metadata().num_rows()).map_err(|e| ParquetError::External(e.into()))?;
            self.group += 1;
        }
        let n = self.left.min(BATCH);
        let mut rows = vec![Vec::with_capacity(self.leaves.len()); n];
        for leaf in &mut self.leaves {
            let cells = match leaf {
                Some(leaf) => leaf.read(n)?,
                None => vec![Cell::Empty; n],
            };
            for (row, cell) in rows.iter_mut().zip(cells) {
                row.push(cell);
            }
        }
        rows.reverse();
        (self.ready, self.left) = (rows, self.left - n);
        Ok(true)
    }
}

impl Leaf {
    /// The next `n` cells.
    fn read(&mut self, n: usize) -> Result<Vec<Cell>> {
        let (meaning, present) = (self.meaning, self.present);
        match &mut self.reader {
            ColumnReader::BoolColumnReader(r) => cells(r, n, present, |v| Cell::Text(v.to_string())),
            ColumnReader::Int32ColumnReader(r) => cells(r, n, present, |v| meaning.int32(*v)),
            ColumnReader::Int64ColumnReader(r) => cells(r, n, present, |v| meaning.integer(*v)),
            ColumnReader::Int96ColumnReader(r) => {
                cells(r, n, present, |v| Meaning::Moment(1_000).integer(v.to_millis()))
            }
            ColumnReader::FloatColumnReader(r) => cells(r, n, present, |v| Cell::Text(v.to_string())),
            ColumnReader::DoubleColumnReader(r) => cells(r, n, present, |v| Cell::Text(v.to_string())),
            ColumnReader::ByteArrayColumnReader(r) => cells(r, n, present, |v| meaning.bytes(v.data())),
            ColumnReader::FixedLenByteArrayColumnReader(r) => cells(r, n, present, |v| meaning.bytes(v.data())),
        }
    }
}

fn cells<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    n: usize,
    present: i16,
    cell: impl Fn(&T::T) -> Cell,
) -> Result<Vec<Cell>> {
    let (mut values, mut levels, mut read) = (Vec::new(), Vec::new(), 0);
    while read < n {
        match reader.read_records(n - read, Some(&mut levels), None, &mut values)? {
            (0, ..) => return Err(ParquetError::EOF("a column has fewer values than rows".into())),
            (records, ..) => read += records,
        }
    }
    if present == 0 {
        return Ok(values.iter().map(cell).collect());
    }
    let mut values = values.iter();
    Ok(levels
        .iter()
        .map(|l| if *l == present { values.next().map_or(Cell::Empty, &cell) } else { Cell::Empty })
        .collect())
}

impl Iterator for Records {
    type Item = std::result::Result<Row, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty() && !self.ended {
            let path = self.path.clone();
            match decode(&path, || self.more()) {
                Ok(more) => self.ended = !more,
                Err(e) => {
                    self.ended = true;
                    return Some(Err(e));
                }
            }
            // Rows stand for the bytes that hold them.
            let share = u128::from(self.bytes) * u128::from(self.number) / u128::from(self.rows.max(1));
            self.bar.set_position(u64::try_from(share).unwrap_or(self.bytes));
        }
        let cells = self.ready.pop()?;
        self.number += 1;
        Some(Ok(Row { number: self.number, place: Place::Row(self.number), cells: Ok(cells) }))
    }
}
