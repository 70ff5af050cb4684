//! Who looked at what, in the order of time.

use super::items::Items;
use super::table::Cells;
use super::{RecommendationsArgs, RecommendationsError};
use crate::import::Field;
use crate::import::mapping::Mapping;
use crate::import::progress::Progress;
use crate::import::source::Source;
use jiff::Timestamp;
use std::collections::HashMap;

/// Most rows that count.
const MOST: usize = 50_000_000;

/// Somebody looked at something.
#[derive(Clone, Copy)]
pub(super) struct View {
    pub(super) at: Timestamp,
    pub(super) user: u32,
    /// The item.
    pub(super) slot: u32,
}

/// The log.
pub(super) struct Log {
    /// In order of time, of equal times by user.
    pub(super) views: Vec<View>,
    pub(super) users: usize,
    pub(super) rows: u64,
    /// Rows of items that are not among the items.
    pub(super) unknown: u64,
    /// Rows below the least value.
    pub(super) disliked: u64,
}

pub(super) fn read(args: &RecommendationsArgs, items: &Items, progress: Progress) -> Result<Log, RecommendationsError> {
    let path = args.file.as_path();
    let mapping = Mapping::parse(&args.map)?;
    let source = Source::open(path, args.input, progress)?;
    let mut named = mapping.given();
    named.extend(args.value.as_deref());
    let there = source.columns(&named)?;
    let fields = [Field::User, Field::Item, Field::At];
    let layout = mapping.lay_out_trials(&fields, &there)?;
    let mut columns: Vec<String> = fields
        .iter()
        .filter_map(|field| layout.slot(field).and_then(|slot| layout.columns.get(slot)).cloned())
        .collect();
    if let Some(column) = args.value.as_ref().filter(|c| !there.names.contains(c)) {
        let (path, column, there) = (path.into(), column.clone(), there.names.join(", "));
        return Err(RecommendationsError::NoColumn { path, column, setting: "value", there });
    }
    columns.extend(args.value.clone());
    let mut users: HashMap<String, u32> = HashMap::new();
    let mut log = Log { views: Vec::new(), users: 0, rows: 0, unknown: 0, disliked: 0 };
    for row in source.rows(&columns, "log")? {
        let cells = Cells::of(path, &columns, row?)?;
        log.rows += 1;
        let (user, item, at) = (cells.need(0)?, cells.need(1)?, cells.moment(2)?);
        if let Some(least) = args.min_value
            && cells.number(3)? < least
        {
            log.disliked += 1;
            continue;
        }
        let Some(&slot) = items.ids.get(item) else {
            log.unknown += 1;
            continue;
        };
        let next = u32::try_from(users.len()).unwrap_or(u32::MAX);
        let user = *users.entry(user.to_owned()).or_insert(next);
        log.views.push(View { at, user, slot });
        if log.views.len() > MOST {
            return Err(RecommendationsError::TooMany { path: path.into(), what: "rows that count", most: MOST });
        }
    }
    source.unchanged()?;
    // Of one user and moment, in the order of the file.
    log.views.sort_by_key(|view| (view.at, view.user));
    log.users = users.len();
    Ok(log)
}
