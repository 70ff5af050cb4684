//! Cells of a file by their columns.

use super::{Fault, RecommendationsError};
use crate::import::source::{Cell, Row};
use crate::import::{Refusal, Shown, times};
use jiff::Timestamp;
use std::path::Path;

/// One row.
pub(super) struct Cells<'a> {
    path: &'a Path,
    columns: &'a [String],
    place: crate::import::Place,
    cells: Vec<Cell>,
}

impl<'a> Cells<'a> {
    pub(super) fn of(path: &'a Path, columns: &'a [String], row: Row) -> Result<Self, RecommendationsError> {
        let place = row.place;
        let refuse = |why| RecommendationsError::Row { path: path.into(), refusal: Refusal { place, why } };
        Ok(Self { path, columns, place, cells: row.cells.map_err(refuse)? })
    }

    /// The error that the cell of `column` is.
    pub(super) fn refuse(&self, column: usize, fault: Fault) -> RecommendationsError {
        let column = self.columns.get(column).cloned().unwrap_or_default();
        RecommendationsError::Cell { path: self.path.into(), place: self.place, column, fault }
    }

    /// The text in a column, if there is any; a list as JSON.
    pub(super) fn list(&self, column: usize) -> Result<Option<&str>, RecommendationsError> {
        match self.cells.get(column) {
            None | Some(Cell::Empty) => Ok(None),
            Some(Cell::Text(text) | Cell::List(text)) => Ok(Some(text.trim())),
            Some(Cell::NotUtf8) => Err(self.refuse(column, Fault::NotUtf8)),
            Some(Cell::NotAValue) => Err(self.refuse(column, Fault::NotAValue)),
        }
    }

    /// The text in a column, if there is any.
    pub(super) fn text(&self, column: usize) -> Result<Option<&str>, RecommendationsError> {
        match self.cells.get(column) {
            Some(Cell::List(_)) => Err(self.refuse(column, Fault::NotAValue)),
            _ => self.list(column),
        }
    }

    pub(super) fn need(&self, column: usize) -> Result<&str, RecommendationsError> {
        self.text(column)?.ok_or_else(|| self.refuse(column, Fault::Empty))
    }

    pub(super) fn moment(&self, column: usize) -> Result<Timestamp, RecommendationsError> {
        let text = self.need(column)?;
        times::read(text).ok_or_else(|| self.refuse(column, Fault::Time(Shown::new(text))))
    }

    pub(super) fn number(&self, column: usize) -> Result<f64, RecommendationsError> {
        let text = self.need(column)?;
        let number = text.parse().ok().filter(|x: &f64| x.is_finite());
        number.ok_or_else(|| self.refuse(column, Fault::Number(Shown::new(text))))
    }

    /// Whether it says yes; nothing says no.
    pub(super) fn mark(&self, column: usize) -> Result<bool, RecommendationsError> {
        match self.text(column)?.map(str::to_ascii_lowercase).as_deref() {
            None | Some("0" | "false") => Ok(false),
            Some("1" | "true") => Ok(true),
            Some(other) => Err(self.refuse(column, Fault::Mark(Shown::new(other)))),
        }
    }
}
