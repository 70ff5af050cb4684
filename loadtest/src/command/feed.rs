//! The thread that reads a log and makes jobs of it.

use crate::failure::Failure;
use crate::map::{Left, Made, Mapping};
use crate::plan::Planner;
use crate::read::{Entry, Input, Ledger, Note, Outcome, SharedLedger, Stamps};
use crate::send::Outbox;
use std::cell::RefCell;

/// Reads logs over and over or once.
pub(super) struct Feed {
    pub(super) logs: Vec<Input>,
    pub(super) stamps: Stamps,
    pub(super) mapping: Mapping,
    pub(super) ledger: SharedLedger,
    pub(super) again: bool,
}

impl Feed {
    /// Sends all jobs to `outbox`, until it or time is over. The reason is told if a log cannot be opened.
    pub(super) fn run(&self, planner: &mut Planner, outbox: Outbox) -> Result<(), Failure> {
        let outbox = RefCell::new(outbox);
        let mut made = Vec::new();
        loop {
            let before = self.ledger.lock().requests;
            for log in &self.logs {
                let opened = log.open(self.stamps, &self.ledger)?;
                let mut push = |job| outbox.borrow_mut().push(job).is_ok();
                let mut each = |entry: &Entry<'_>, line: &[u8]| {
                    self.mapped(entry, line, &mut made);
                    for made in made.drain(..) {
                        if planner.push(made, line, &self.ledger, &mut push).is_err() {
                            return Outcome::Enough;
                        }
                    }
                    Outcome::More
                };
                let mut idle = || if outbox.borrow_mut().flush().is_ok() { Outcome::More } else { Outcome::Enough };
                if opened.read(&self.ledger, &mut each, &mut idle) == Outcome::Enough {
                    return Ok(());
                }
            }
            let over = planner.end_of_log(&mut |job| outbox.borrow_mut().push(job).is_ok()).is_err();
            if over || !self.again || self.ledger.lock().requests == before {
                return Ok(());
            }
        }
    }

    fn mapped(&self, entry: &Entry<'_>, line: &[u8], made: &mut Vec<Made>) {
        match self.mapping.requests(entry, made) {
            Ok(()) => self.ledger.lock().requests += made.len() as u64,
            Err(left) => left.note(&mut self.ledger.lock(), line),
        }
    }

    /// Reads everything once without sending, and gives the first requests to `show`.
    pub(super) fn dry_run(&self, show: &mut dyn FnMut(&Made)) -> Result<(), Failure> {
        let mut made = Vec::new();
        for log in &self.logs {
            let mut each = |entry: &Entry<'_>, line: &[u8]| {
                self.mapped(entry, line, &mut made);
                made.drain(..).for_each(|made| show(&made));
                Outcome::More
            };
            log.open(self.stamps, &self.ledger)?.read(&self.ledger, &mut each, &mut || Outcome::More);
        }
        Ok(())
    }
}

impl Left {
    /// Counts a line that is no request.
    pub(super) fn note(self, ledger: &mut Ledger, line: &[u8]) {
        match self {
            Self::Note(note) => ledger.note(note, line),
            Self::Lacks(field) => {
                ledger.note(Note::NoMatch, line);
                *ledger.lacking.entry(field).or_default() += 1;
            }
        }
    }
}
