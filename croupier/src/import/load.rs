//! A log in batches, as the store takes it in.

use super::ImportError;
use super::refusal::Refusal;
use super::rows::RowReader;
use super::source::{Rows, Source};
use super::summary::Refused;
use jiff::Timestamp;
use store::Ingest;

/// Rows of one batch.
const BATCH: usize = 2_000;

/// What was read, beside what was loaded.
#[derive(Default)]
pub(super) struct Told {
    /// Rows read.
    pub(super) rows: u64,
    /// Decisions among them, with repeats.
    pub(super) decisions: u64,
    pub(super) refused: Refused,
    pub(super) outside_window: u64,
    /// An assignment's row stands before an earlier one.
    pub(super) unordered: bool,
    /// Why the log is not loaded.
    pub(super) failure: Option<ImportError>,
}

/// The batches of a log; the first error ends them.
pub(super) struct Batches<'a> {
    source: &'a Source,
    rows: Rows,
    reader: RowReader<'a>,
    at: Timestamp,
    strict: bool,
    newest: Option<Timestamp>,
    done: bool,
    told: Told,
}

impl<'a> Batches<'a> {
    pub(super) fn new(source: &'a Source, rows: Rows, reader: RowReader<'a>, at: Timestamp, strict: bool) -> Self {
        Self { source, rows, reader, at, strict, newest: None, done: false, told: Told::default() }
    }

    /// What was read.
    pub(super) fn told(self) -> Told {
        self.told
    }

    fn batch(&mut self) -> Result<Ingest, ImportError> {
        let mut batch = Ingest { at: self.at, ..Ingest::default() };
        for _ in 0..BATCH {
            let Some(row) = self.rows.next().transpose()? else {
                self.done = true;
                self.end()?;
                break;
            };
            self.told.rows += 1;
            let place = row.place;
            match self.reader.read(row) {
                Ok(taken) => {
                    if let Some(decision) = taken.decision {
                        self.told.decisions += 1;
                        if taken.assignment {
                            self.told.unordered |= self.newest.is_some_and(|newest| decision.at < newest);
                            self.newest = self.newest.max(Some(decision.at));
                        }
                        batch.decisions.push(decision);
                    }
                    self.told.outside_window += u64::from(taken.outside_window);
                    batch.events.extend(taken.event);
                }
                Err(why) if self.strict => return Err(ImportError::Refused { refusal: Refusal { place, why } }),
                Err(why) => self.told.refused.add(Refusal { place, why }),
            }
        }
        Ok(batch)
    }

    /// What can only be known at the end.
    fn end(&mut self) -> Result<(), ImportError> {
        self.source.unchanged()?;
        if self.told.rows > self.told.refused.count {
            return Ok(());
        }
        let first = self.told.refused.first.first().cloned();
        Err(ImportError::Nothing { path: self.source.path().into(), rows: self.told.rows, first })
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<Ingest, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        match self.batch() {
            Ok(batch) => Some(Ok(batch)),
            Err(e) => {
                self.done = true;
                let why = e.to_string();
                self.told.failure = Some(e);
                Some(Err(why))
            }
        }
    }
}
