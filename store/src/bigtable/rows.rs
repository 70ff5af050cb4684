//! Rows, put together from the chunks that a read streams.

use googleapis_tonic_google_bigtable_v2::google::bigtable::v2::read_rows_response::CellChunk;
use googleapis_tonic_google_bigtable_v2::google::bigtable::v2::read_rows_response::cell_chunk::RowStatus;
use tonic::Status;

/// One row, with its cells in order of family and qualifier.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) key: Vec<u8>,
    pub(super) cells: Vec<Cell>,
}

/// One cell.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) family: String,
    pub(super) qualifier: Vec<u8>,
    pub(super) value: Vec<u8>,
}

/// Puts rows together. A chunk says only what differs from the one before it.
#[derive(Default)]
pub(super) struct Rows {
    whole: Vec<Row>,
    row: Option<Row>,
    /// The last cell has more to come.
    open: bool,
}

impl Rows {
    pub(super) fn push(&mut self, chunk: CellChunk) -> Result<(), Status> {
        if matches!(chunk.row_status, Some(RowStatus::ResetRow(true))) {
            // The server begins this row again.
            (self.row, self.open) = (None, false);
            return Ok(());
        }
        let more = chunk.value_size > 0;
        let commits = matches!(chunk.row_status, Some(RowStatus::CommitRow(true)));
        if !chunk.row_key.is_empty() && self.row.is_none() {
            self.row = Some(Row { key: chunk.row_key, cells: Vec::new() });
        }
        let row = self.row.as_mut().ok_or_else(|| Status::internal("a cell without a row"))?;
        let previous = row.cells.last_mut();
        match previous {
            Some(cell) if self.open => cell.value.extend_from_slice(&chunk.value),
            previous => {
                let unnamed = || Status::internal("a cell without a name");
                let (family, qualifier) = match (chunk.family_name, chunk.qualifier, previous) {
                    (Some(family), Some(qualifier), _) => (family, qualifier),
                    (None, Some(qualifier), Some(cell)) => (cell.family.clone(), qualifier),
                    (None, None, Some(cell)) => (cell.family.clone(), cell.qualifier.clone()),
                    _ => return Err(unnamed()),
                };
                let mut value = chunk.value;
                if more {
                    value.reserve(usize::try_from(chunk.value_size).unwrap_or(0).saturating_sub(value.len()));
                }
                row.cells.push(Cell { family, qualifier, value });
            }
        }
        self.open = more;
        if commits {
            self.whole.extend(self.row.take());
        }
        Ok(())
    }

    /// All rows, once the stream has ended.
    pub(super) fn finish(self) -> Result<Vec<Row>, Status> {
        match self.row {
            // A stream that ended early may end well the next time.
            Some(_) => Err(Status::unavailable("the answer ended in the middle of a row")),
            None => Ok(self.whole),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(key: &str, family: Option<&str>, qualifier: Option<&str>, value: &str) -> CellChunk {
        CellChunk {
            row_key: key.into(),
            family_name: family.map(Into::into),
            qualifier: qualifier.map(Into::into),
            value: value.into(),
            ..CellChunk::default()
        }
    }

    fn cell(family: &str, qualifier: &str, value: &str) -> Cell {
        Cell { family: family.into(), qualifier: qualifier.into(), value: value.into() }
    }

    #[test]
    fn cells_are_joined_and_names_carried_on() {
        let committed = |c| CellChunk { row_status: Some(RowStatus::CommitRow(true)), ..c };
        let mut rows = Rows::default();
        for c in [
            CellChunk { value_size: 4, ..chunk("r1", Some("f"), Some("a"), "xx") },
            chunk("", None, None, "yy"),
            chunk("", None, Some("b"), "z"),
            committed(chunk("", Some("g"), Some("a"), "w")),
            chunk("r2", Some("f"), Some("a"), "lost"),
            CellChunk { row_status: Some(RowStatus::ResetRow(true)), ..CellChunk::default() },
            committed(chunk("r2", Some("f"), Some("a"), "kept")),
        ] {
            rows.push(c).unwrap();
        }
        let first = vec![cell("f", "a", "xxyy"), cell("f", "b", "z"), cell("g", "a", "w")];
        let second = vec![cell("f", "a", "kept")];
        let row = |key: &str, cells| Row { key: key.into(), cells };
        assert_eq!(rows.finish().unwrap(), [row("r1", first), row("r2", second)]);
    }

    #[test]
    fn what_is_not_whole_is_refused() {
        let mut rows = Rows::default();
        rows.push(chunk("r", Some("f"), Some("a"), "x")).unwrap();
        assert!(rows.finish().is_err(), "not committed");
        assert!(Rows::default().push(chunk("", Some("f"), Some("a"), "x")).is_err(), "no row");
        assert!(Rows::default().push(chunk("r", None, None, "x")).is_err(), "no name");
    }
}
