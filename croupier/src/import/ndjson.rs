//! One JSON object per line as rows. A column `a.b` is the member `b` of the object `a`.

use super::ImportError;
use super::mapping::Columns;
use super::refusal::{Place, Why};
use super::source::{Cell, LONGEST_ROW, Row, Stream, unreadable};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

type Object = Map<String, Value>;

/// Most names of columns that are remembered for messages.
const REMEMBERED: usize = 1_000;

/// Lines that are not blank, each an object or not.
struct Lines<R> {
    file: BufReader<R>,
    line: u64,
    text: Vec<u8>,
}

impl<R: Stream> Lines<R> {
    fn new(file: R) -> Self {
        Self { file: BufReader::with_capacity(1 << 16, file), line: 0, text: Vec::new() }
    }

    fn next(&mut self) -> io::Result<Option<Result<Object, Why>>> {
        loop {
            self.text.clear();
            let most = LONGEST_ROW as u64 + 1;
            if self.file.by_ref().take(most).read_until(b'\n', &mut self.text)? == 0 {
                return Ok(None);
            }
            self.line += 1;
            if self.text.len() > LONGEST_ROW && self.text.last() != Some(&b'\n') {
                self.file.skip_until(b'\n')?;
                return Ok(Some(Err(Why::TooLong)));
            }
            let text = self.text.strip_prefix("\u{feff}".as_bytes()).filter(|_| self.line == 1).unwrap_or(&self.text);
            let text = text.trim_ascii_end();
            if !text.is_empty() {
                return Ok(Some(parse(text)));
            }
        }
    }
}

fn parse(text: &[u8]) -> Result<Object, Why> {
    match serde_json::from_slice(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Why::NotAnObject),
        Err(e) => {
            // Its line is always 1: the place says which it is in the file.
            let message = e.to_string();
            let what = message.rsplit_once(" at line ").map_or(message.as_str(), |(what, _)| what);
            Err(Why::Json(format!("{what} at column {}", e.column())))
        }
    }
}

/// The names in the file, until all of `wanted` were seen.
pub(super) fn columns(path: &Path, file: impl Stream, wanted: &[&str]) -> Result<Columns, ImportError> {
    let (mut names, mut missing) = (BTreeSet::new(), wanted.to_vec());
    let mut lines = Lines::new(file);
    while let Some(object) = lines.next().map_err(unreadable(path))? {
        let Ok(object) = object else { continue };
        missing.retain(|column| find(&object, column).is_none());
        for (name, value) in &object {
            let inner = value.as_object().into_iter().flat_map(Object::keys).map(|inner| format!("{name}.{inner}"));
            for name in std::iter::once(name.clone()).filter(|_| !value.is_object()).chain(inner) {
                if names.len() < REMEMBERED {
                    names.insert(name);
                }
            }
        }
        if missing.is_empty() {
            break;
        }
    }
    names.extend(wanted.iter().filter(|c| !missing.contains(c)).map(|c| (*c).to_owned()));
    Ok(Columns { names: names.into_iter().collect(), open: true })
}

/// The member `a`, or `b` of `a` for `a.b`.
fn find<'a>(object: &'a Object, column: &str) -> Option<&'a Value> {
    let nested = || {
        let (outer, inner) = column.split_once('.')?;
        find(object.get(outer)?.as_object()?, inner)
    };
    object.get(column).or_else(nested)
}

fn cell(object: &Object, column: &str) -> Cell {
    match find(object, column) {
        None | Some(Value::Null) => Cell::Empty,
        Some(Value::String(text)) => Cell::of_bytes(text.as_bytes()),
        Some(Value::Number(n)) => Cell::Text(n.to_string()),
        Some(Value::Bool(b)) => Cell::Text(b.to_string()),
        Some(list @ Value::Array(_)) => Cell::List(list.to_string()),
        Some(Value::Object(_)) => Cell::NotAValue,
    }
}

/// The rows of the file.
pub(super) struct Objects<R> {
    path: PathBuf,
    lines: Lines<R>,
    columns: Vec<String>,
    number: u64,
}

impl<R: Stream> Objects<R> {
    pub(super) fn new(path: &Path, file: R, columns: &[String]) -> Self {
        Self { path: path.into(), lines: Lines::new(file), columns: columns.to_vec(), number: 0 }
    }
}

impl<R: Stream> Iterator for Objects<R> {
    type Item = Result<Row, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        let object = match self.lines.next() {
            Ok(object) => object?,
            Err(e) => return Some(Err(unreadable(&self.path)(e))),
        };
        self.number += 1;
        let cells = object.map(|object| self.columns.iter().map(|c| cell(&object, c)).collect());
        Some(Ok(Row { number: self.number, place: Place::Line(self.lines.line), cells }))
    }
}
