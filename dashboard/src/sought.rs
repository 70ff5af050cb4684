//! Which decisions a page is asked for: its query, field by field, with what is wrong with a field beside it.

use crate::address;
use crate::app::App;
use crate::failure::Failure;
use crate::lang::{Lang, Phrase};
use axum::http::Uri;
use bandit::{DecisionId, Source};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use std::collections::BTreeMap;
use store::{Cursor, DecisionFilter, ExperimentRecord};

/// Fields that filter, in the order of the form.
pub(crate) const FILTERS: [&str; 10] =
    ["experiment", "user", "item", "arm", "segment", "source", "day", "from", "to", "rewarded"];
/// Longest text that is looked for, in bytes: no id is longer.
const LONGEST: usize = 1024;

/// What is sought.
pub(crate) struct Sought {
    /// What each field says.
    values: BTreeMap<String, String>,
    errors: BTreeMap<&'static str, Phrase>,
    pub(crate) filter: DecisionFilter,
    pub(crate) experiment: Option<ExperimentRecord>,
    /// Where the page begins; none for the newest.
    pub(crate) before: Option<Cursor>,
    pub(crate) id: Option<DecisionId>,
}

impl Sought {
    /// Reads a page's query.
    pub(crate) async fn read(app: &App, uri: &Uri, lang: Lang) -> Result<Self, Failure> {
        let mut values: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in address::pairs(uri) {
            // Spaces are part of names.
            let exact = matches!(name.as_str(), "user" | "item" | "segment");
            let value = if exact { value.as_str() } else { value.trim() };
            if !value.is_empty() {
                values.insert(name, value[..value.floor_char_boundary(LONGEST)].to_owned());
            }
        }
        let experiment = match values.get("experiment") {
            Some(id) => app.stores.experiments.get(id).await?,
            None => None,
        };
        let mut sought = Self {
            values,
            errors: BTreeMap::new(),
            filter: DecisionFilter::default(),
            experiment,
            before: None,
            id: None,
        };
        sought.names(lang);
        sought.times(lang);
        sought.before = sought.parsed("before", lang, cursor);
        sought.id = sought.parsed("id", lang, |text| text.to_ascii_lowercase().parse().ok());
        Ok(sought)
    }

    /// What a field says.
    pub(crate) fn value(&self, field: &str) -> &str {
        self.values.get(field).map_or("", String::as_str)
    }

    /// What is wrong with it.
    pub(crate) fn error(&self, field: &str) -> Option<&Phrase> {
        self.errors.get(field)
    }

    pub(crate) fn is_usable(&self) -> bool {
        self.errors.is_empty()
    }

    /// The experiment that is named and is not there: it has no decisions, arms or segments.
    pub(crate) fn missing(&self) -> Option<&str> {
        self.values.get("experiment").filter(|_| self.experiment.is_none()).map(String::as_str)
    }

    /// The filters that are set.
    pub(crate) fn set(&self) -> Vec<&'static str> {
        FILTERS.into_iter().filter(|field| !self.value(field).is_empty()).collect()
    }

    fn own(&self, field: &str) -> Option<String> {
        self.values.get(field).cloned()
    }

    fn names(&mut self, lang: Lang) {
        self.filter.experiment = self.own("experiment");
        self.filter.user = self.own("user");
        self.filter.item = self.own("item");
        self.filter.segment = self.own("segment");
        self.filter.source = self.parsed("source", lang, source);
        self.filter.rewarded = self.parsed("rewarded", lang, |text| match text {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        });
        if self.missing().is_some() {
            return;
        }
        let lists = self.experiment.as_ref().is_some_and(|e| e.definition.candidates.is_some());
        if let Some(arm) = self.own("arm").filter(|_| lists) {
            // Its arms are the items that it shows.
            self.filter.item.get_or_insert(arm);
        } else if let Some(arm) = self.own("arm") {
            self.filter.arm = self.experiment.as_ref().and_then(|e| e.definition.arm_index(&arm));
            let error = match &self.experiment {
                None => Some(lang.say("An arm belongs to an experiment: name that too.", &[])),
                Some(_) if self.filter.arm.is_none() => {
                    Some(lang.say("The experiment has no arm {arm}.", &[("arm", arm.as_str().into())]))
                }
                Some(_) => None,
            };
            error.and_then(|error| self.errors.insert("arm", error));
        }
        if self.filter.segment.is_some() && self.experiment.is_none() {
            let error = lang.say("A segment belongs to an experiment: name that too.", &[]);
            self.errors.insert("segment", error);
        }
    }

    /// The zone that days are counted in: the experiment's.
    pub(crate) fn zone(&self) -> (TimeZone, &str) {
        let name = self.experiment.as_ref().map_or("UTC", |e| &e.definition.sticky.time_zone);
        (TimeZone::get(name).unwrap_or(TimeZone::UTC), name)
    }

    fn times(&mut self, lang: Lang) {
        let zone = self.zone().0;
        let day = |text: &str| {
            let day: Date = text.parse().ok()?;
            let start = |day: Date| day.to_zoned(zone.clone()).ok().map(|z| z.timestamp());
            Some((start(day)?, start(day.checked_add(1.day()).ok()?)?))
        };
        let day = self.parsed("day", lang, day);
        let (from, to) = (self.parsed("from", lang, moment), self.parsed("to", lang, moment));
        for (field, at) in [("from", from), ("to", to)] {
            // As the form's input takes it.
            at.and_then(|at| self.values.insert(field.into(), at.strftime("%Y-%m-%dT%H:%M:%S").to_string()));
        }
        self.filter.from = from.max(day.map(|(from, _)| from));
        self.filter.to = [to, day.map(|(_, to)| to)].into_iter().flatten().min();
        if let (Some(from), Some(to)) = (self.filter.from, self.filter.to)
            && from >= to
        {
            self.errors.insert("to", lang.say("Must be after the beginning.", &[]));
        }
    }

    fn parsed<T>(&mut self, field: &'static str, lang: Lang, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.values.get(field)?;
        let parsed = parse(text);
        if parsed.is_none() {
            let error = match field {
                "day" => lang.say("Must be a day, as 2026-11-21.", &[]),
                "from" | "to" => lang.say("Must be a moment of UTC, as 2026-11-21T10:00.", &[]),
                "id" => lang.say("Must be 32 hexadecimal digits, as decide returned them.", &[]),
                _ => lang.say("Is none of what it may be.", &[]),
            };
            self.errors.insert(field, error);
        }
        parsed
    }
}

/// A source by its name in the API.
fn source(name: &str) -> Option<Source> {
    serde_json::from_value(name.into()).ok()
}

/// A moment; what names no zone is of UTC.
fn moment(text: &str) -> Option<Timestamp> {
    let local = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|z| z.timestamp());
    text.parse().ok().or_else(local)
}

/// A place in the order of decisions, as [`place`] writes it.
fn cursor(text: &str) -> Option<Cursor> {
    let (at, id) = text.rsplit_once('-')?;
    Some(Cursor { at: at.parse().ok()?, id: id.parse().ok()? })
}

/// A place as the query says it.
pub(crate) fn place(cursor: Cursor) -> String {
    format!("{}-{}", cursor.at, cursor.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back_and_moments_are_of_utc() {
        for at in [0, 1_795_255_200_000, -5] {
            let c = Cursor { at, id: DecisionId([7; 16]) };
            assert_eq!(cursor(&place(c)), Some(c));
        }
        assert_eq!((cursor("5"), cursor("x-"), cursor("")), (None, None, None));
        let ten: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        for text in ["2026-11-21T10:00", "2026-11-21T10:00:00Z", "2026-11-21T19:00:00+09:00"] {
            assert_eq!(moment(text), Some(ten), "{text}");
        }
        assert_eq!(moment("tomorrow"), None);
    }
}
