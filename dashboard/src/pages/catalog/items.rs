//! The items of a catalog that are asked for.

use crate::catalogs::{InCatalog, cut, payload, query, score};
use crate::export::Sheet;
use crate::failure::Failure;
use crate::format::Num;
use crate::frame::Frame;
use crate::moment::Moment;
use crate::work::computed;
use jiff::Timestamp;
use recommend::{Browse, Found, Shown, Wanted};
use serde_json::json;
use std::sync::Arc;

/// Items of a page.
const PAGE: usize = 40;
/// Longest text that is looked for, in bytes: no id is longer.
const LONGEST: usize = 256;
/// Tags shown of an item.
const TAGS: usize = 3;
/// Characters shown of a tag.
const TAG: usize = 32;

/// What is asked for.
pub(super) struct Asked {
    pub(super) q: String,
    pub(super) tag: String,
    pub(super) near: String,
    pub(super) after: String,
}

impl Asked {
    pub(super) fn of(frame: &Frame) -> Self {
        let value = |name| {
            let mut value = frame.parameter(name).unwrap_or_default();
            value.truncate(value.floor_char_boundary(LONGEST));
            value
        };
        Self { q: value("q"), tag: value("tag"), near: value("near"), after: value("after") }
    }

    pub(super) fn filters(&self) -> bool {
        !(self.q.is_empty() && self.tag.is_empty() && self.near.is_empty())
    }
}

/// What was found: each item, and how near it is if that was asked.
pub(super) struct Search {
    items: Vec<(Shown, Option<f64>)>,
    total: usize,
    more: bool,
    /// The item that was to be near is not there.
    lost: bool,
}

/// Items as the page shows them.
pub(super) struct Items {
    pub(super) rows: Vec<Row>,
    pub(super) total: Num,
    pub(super) near: bool,
    pub(super) lost: bool,
    /// Address of the next page.
    pub(super) next: Option<String>,
}

pub(super) struct Row {
    pub(super) id: Arc<str>,
    pub(super) path: String,
    pub(super) score: Num,
    /// Each with the query that looks for it.
    pub(super) tags: Vec<(String, String)>,
    pub(super) more_tags: usize,
    pub(super) expires: Option<String>,
    pub(super) added: Option<Moment>,
    pub(super) payload: String,
}

/// Looks through the catalog, off the threads that answer requests: of a million items that takes a while.
pub(super) async fn find(catalog: &InCatalog, asked: &Asked, now: Timestamp) -> Result<Search, Failure> {
    let candidates = catalog.candidates.clone();
    let Asked { q, tag, near, after } = asked;
    let (q, tag, near, after) = (q.clone(), tag.clone(), near.clone(), after.clone());
    computed(move || {
        if near.is_empty() {
            let after = Some(after.as_str()).filter(|a| !a.is_empty());
            let Found { items, total, more } =
                candidates.browse(&Browse { id: &q, tag: &tag, after, limit: PAGE }, now);
            return Search { items: items.into_iter().map(|item| (item, None)).collect(), total, more, lost: false };
        }
        // The nearest, however alike.
        let (diversity, max_per_tag) = (Some(0.0), Some(usize::MAX));
        let wanted = Wanted { k: PAGE, diversity, max_per_tag, tags: &[], exclude: &[], alike: true, now };
        let found = candidates.related(&near, &wanted);
        let lost = found.is_none();
        let items = found.unwrap_or_default().into_iter();
        let items: Vec<_> = items.filter_map(|c| Some((candidates.item(&c.id)?, Some(score(c.score))))).collect();
        Search { total: items.len(), items, more: false, lost }
    })
    .await
}

impl Items {
    pub(super) fn shown(catalog: &InCatalog, frame: &Frame, found: Search, now: Timestamp) -> Self {
        let last = found.items.last().map(|(item, _)| item.id.to_string());
        let row = |(item, score): (Shown, Option<f64>)| Row {
            path: catalog.item_path(&item.id),
            score: score.map_or_else(Num::none, Num::number),
            more_tags: item.tags.len().saturating_sub(TAGS),
            tags: item.tags.iter().take(TAGS).map(|tag| (cut(tag, TAG), query("tag", tag))).collect(),
            expires: item.expires_at.map(|at| at.strftime("%Y-%m-%d %H:%M:%S").to_string()),
            added: item.added_at.map(|at| Moment::ago(frame.lang, at, now)),
            payload: payload(item.payload.as_ref().map(|p| p.get())),
            id: item.id,
        };
        Self {
            near: found.items.iter().any(|(_, score)| score.is_some()),
            lost: found.lost,
            total: Num::count(found.total as u64),
            next: last.filter(|_| found.more).map(|last| frame.with("after", &last)),
            rows: found.items.into_iter().map(row).collect(),
        }
    }
}

pub(super) fn sheet(found: &Search) -> Sheet {
    let row = |(item, score): &(Shown, Option<f64>)| {
        vec![
            json!(item.id),
            json!(item.tags.join(" ")),
            json!(item.expires_at),
            json!(item.added_at),
            json!(score),
            json!(item.payload.as_ref().map(|p| p.get())),
        ]
    };
    Sheet {
        name: "items",
        columns: &["id", "tags", "expires_at", "added_at", "score", "payload"],
        rows: found.items.iter().map(row).collect(),
    }
}
