//! The catalog that a path names, as this process knows it, and how pages show what is in it.

use crate::app::App;
use crate::failure::Failure;
use crate::frame::Frame;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use bandit::hour_of;
use jiff::Timestamp;
use recommend::{Candidates, Wanted};
use std::sync::Arc;
use store::{ListHour, Result as Stored};

/// Characters of a payload in a table.
const PAYLOAD: usize = 120;

/// A catalog, and its live items.
pub(crate) struct InCatalog {
    pub(crate) id: String,
    pub(crate) candidates: Arc<Candidates>,
}

impl FromRequestParts<App> for InCatalog {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let params = RawPathParams::from_request_parts(parts, app).await.map_err(|_| Failure::page())?;
        let (_, id) = params.iter().find(|(name, _)| *name == "catalog").ok_or_else(Failure::page)?;
        match app.shelf.get(id) {
            Some(candidates) => Ok(Self { id: id.to_owned(), candidates }),
            None if app.shelf.is_loaded() => Err(Failure::NoCatalog(id.to_owned())),
            None => Err(Failure::Reading),
        }
    }
}

impl InCatalog {
    /// Address of the catalog's page, and of what is under it.
    pub(crate) fn path(&self) -> String {
        path(&self.id)
    }

    pub(crate) fn item_path(&self, item: &str) -> String {
        format!("{}/item?{}", self.path(), query("item", item))
    }

    pub(crate) fn map_path(&self, name: &str, value: &str) -> String {
        format!("{}/plots/map?{}", self.path(), query(name, value))
    }
}

pub(crate) fn path(catalog: &str) -> String {
    format!("/dashboard/catalogs/{}", encoded(catalog))
}

/// A part of a path: everything but letters, digits and marks that mean nothing is escaped.
pub(crate) fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

pub(crate) fn query(name: &str, value: &str) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish()
}

/// What a list is made by where a request says no more, as in the API.
pub(crate) fn usual(now: Timestamp, k: usize) -> Wanted<'static> {
    Wanted { k, diversity: None, max_per_tag: None, tags: &[], exclude: &[], alike: false, now }
}

/// A score with the digits that the API tells: those of single precision.
#[expect(clippy::cast_possible_truncation, reason = "nearness is of single precision")]
pub(crate) fn score(score: f64) -> f64 {
    (score as f32).to_string().parse().unwrap_or(score)
}

/// A payload as text, cut to what fits a table.
pub(crate) fn payload(text: Option<&str>) -> String {
    cut(text.unwrap_or_default(), PAYLOAD)
}

pub(crate) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Hours that a page shows, the one under way included.
pub(crate) const RANGES: [i64; 2] = [24, 168];

pub(crate) fn range(frame: &Frame) -> i64 {
    let asked = frame.parameter("hours").and_then(|hours| hours.parse().ok());
    asked.filter(|hours| RANGES.contains(hours)).unwrap_or(RANGES[0])
}

/// Lists of a catalog in each of the last hours, those without any included.
pub(crate) async fn hours(app: &App, catalog: &str, back: i64) -> Stored<Vec<ListHour>> {
    let last = hour_of(app.now());
    let known = app.stores.list_hours.list_hours(Some(catalog), last - back + 1..last + 1).await?;
    Ok(filled(catalog, &known, last, back))
}

pub(crate) fn filled(catalog: &str, known: &[ListHour], last: i64, back: i64) -> Vec<ListHour> {
    let of = |hour| known.iter().find(|h| h.hour == hour).cloned();
    (last - back + 1..=last).map(|hour| of(hour).unwrap_or_else(|| ListHour::empty(catalog, hour, 0))).collect()
}

/// All of these hours as one.
pub(crate) fn together(hours: &[ListHour]) -> Option<ListHour> {
    let mut with_lists = hours.iter().filter(|h| h.lists > 0);
    let first = with_lists.next()?.clone();
    Some(with_lists.fold(first, |mut sum, hour| {
        sum.add(hour);
        sum
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_whole_in_addresses_and_short_in_tables() {
        assert_eq!(path("a/b ?#%.."), "/dashboard/catalogs/a%2Fb%20%3F%23%25..");
        assert_eq!(query("item", "靴&=+"), "item=%E9%9D%B4%26%3D%2B");
        assert_eq!((cut("靴靴靴", 2).as_str(), cut("靴靴", 2).as_str(), cut("", 0).as_str()), ("靴靴…", "靴靴", ""));
    }
}
