//! The form of a definition. It keeps texts as they were typed, so that a mistake loses nothing, and whatever it has no
//! input for, so that an edit changes nothing else. Inputs are named as the API names fields: what it finds wrong there
//! is told at the input of that name.

mod diff;
mod fields;
mod input;
mod send;

pub(crate) use diff::{Difference, differences};
pub(crate) use input::policies;
pub(crate) use send::{curl, pretty};

use crate::lang::Lang;
use crate::reasons::reason;
use bandit::{FieldError, PolicySpec};
use fields::{FIELDS, GROUPS, Group, group, put, take};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Names that hold several inputs, at which a mistake may be found too.
const PARTS: [&str; 6] = ["candidates", "reward", "policy", "sticky", "stopping", "body"];

/// A definition as texts.
#[derive(Default)]
pub(crate) struct Form {
    /// By path, as `arms[1].prior.alpha`.
    texts: BTreeMap<String, String>,
    /// Rows of each group.
    rows: BTreeMap<&'static str, usize>,
    /// What no input shows, in the shape of the definition.
    rest: Map<String, Value>,
    mistakes: Vec<Mistake>,
}

/// Something that is wrong, and at which name it is told.
struct Mistake {
    place: String,
    why: String,
}

fn at(group: &str, row: usize, part: &str) -> String {
    format!("{group}[{row}].{part}")
}

impl Form {
    /// The form of a definition.
    pub(crate) fn of(mut definition: Map<String, Value>) -> Self {
        let mut form = Self::default();
        for (path, kind) in FIELDS {
            form.texts.extend(kind.text(take(&mut definition, path)).map(|text| (path.to_owned(), text)));
        }
        for g in &GROUPS {
            let Some(Value::Array(rows)) = definition.get_mut(g.name) else { continue };
            for (i, row) in rows.iter_mut().filter_map(Value::as_object_mut).enumerate() {
                for (part, kind) in g.parts {
                    form.texts.extend(kind.text(take(row, part)).map(|text| (at(g.name, i, part), text)));
                }
                form.texts.insert(at(g.name, i, "from"), i.to_string());
            }
            form.rows.insert(g.name, rows.len());
        }
        form.rest = definition;
        form
    }

    /// The form as it was sent.
    pub(crate) fn sent(pairs: Vec<(String, String)>) -> Self {
        let mut form = Self::default();
        for (name, text) in pairs {
            if name == "rest" {
                form.rest = serde_json::from_str(&text).unwrap_or_default();
                continue;
            }
            if let Some((g, row)) = row_of(&name) {
                let rows = form.rows.entry(g.name).or_default();
                *rows = (row + 1).max(*rows);
            }
            // Boxes of one name are a list.
            let known = form.texts.entry(name).or_default();
            if !known.is_empty() {
                known.push('\n');
            }
            known.push_str(&text);
        }
        form
    }

    /// The text of a name.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.texts.get(name).map_or("", String::as_str)
    }

    /// Sets the text of a name.
    pub(crate) fn set(&mut self, name: &str, text: &str) {
        self.texts.insert(name.into(), text.into());
    }

    /// The definition that it stands for. What cannot be read is left out and noted as a mistake.
    pub(crate) fn document(&mut self) -> Map<String, Value> {
        let (document, mistakes) = self.read();
        self.mistakes = mistakes;
        document
    }

    /// The same, to look at.
    pub(crate) fn draft(&self) -> Map<String, Value> {
        self.read().0
    }

    fn read(&self) -> (Map<String, Value>, Vec<Mistake>) {
        let mut whole = self.rest.clone();
        let mut mistakes = Vec::new();
        let mut read = |object: &mut Map<String, Value>, path: &str, name: String, kind: fields::Kind| match kind
            .value(self.texts.get(&name).map(String::as_str))
        {
            Ok(Some(value)) => put(object, path, value),
            Ok(None) => {}
            Err(why) => mistakes.push(Mistake { place: name, why }),
        };
        for (path, kind) in FIELDS {
            read(&mut whole, path, path.into(), kind);
        }
        for g in &GROUPS {
            let mut kept = match whole.remove(g.name) {
                Some(Value::Array(kept)) => kept,
                _ => Vec::new(),
            };
            let mut rows: Vec<Value> = Vec::new();
            for i in 0..self.count(g.name) {
                let from = self.text(&at(g.name, i, "from")).parse::<usize>().ok();
                let row = from.and_then(|i| kept.get_mut(i)).map(Value::take);
                let mut row = row.and_then(|v| v.as_object().cloned()).unwrap_or_default();
                for (part, kind) in g.parts {
                    read(&mut row, part, at(g.name, i, part), *kind);
                }
                // Of a prior both parts are given, or none.
                if let Some(Value::Object(prior)) = row.get_mut("prior") {
                    for part in ["alpha", "beta"] {
                        prior.entry(part).or_insert_with(|| 1.into());
                    }
                }
                rows.push(row.into());
            }
            if !rows.is_empty() || g.name == "arms" {
                whole.insert(g.name.into(), rows.into());
            }
        }
        (whole, mistakes)
    }

    /// Notes mistakes beside those that [`Form::document`] found.
    pub(crate) fn refuse(&mut self, errors: Vec<FieldError>) {
        let places = self.places();
        let unread: Vec<String> = self.mistakes.iter().map(|m| m.place.clone()).collect();
        // Lines and columns are those of the JSON that the form became, which nobody typed.
        let why = |e: &FieldError| e.why.rsplit_once(" at line ").map_or(&*e.why, |(why, _)| why).to_owned();
        let told = errors.iter().map(|e| Mistake { place: place(&places, &e.field), why: why(e) });
        self.mistakes.extend(told.filter(|m| !unread.contains(&m.place)));
        self.mistakes.sort_by_key(|m| places.iter().position(|p| *p == m.place));
    }

    /// Tells what is wrong in a language.
    pub(crate) fn speak(&mut self, lang: Lang) {
        for mistake in &mut self.mistakes {
            mistake.why = reason(lang, &mistake.why);
        }
    }

    /// Whether nothing wrong is known.
    pub(crate) fn is_well(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// Adds or removes rows or fills in what is recommended, if that is the wish.
    pub(crate) fn heed(&mut self, wish: &str) -> bool {
        let recommend = wish == "recommend";
        if recommend {
            self.recommend();
        }
        self.change_rows(wish) || recommend
    }

    /// Adds an empty row to a group, or removes one: `add-arms`, `remove-arms-3`. Whether that was the wish.
    pub(crate) fn change_rows(&mut self, wish: &str) -> bool {
        if let Some(g) = wish.strip_prefix("add-").and_then(group) {
            let row = self.count(g.name).min(g.most - 1);
            self.rows.insert(g.name, row + 1);
            for (part, kind) in g.parts {
                self.texts.extend(kind.text(None).map(|text| (at(g.name, row, part), text)));
            }
            return true;
        }
        let named = wish.strip_prefix("remove-").and_then(|rest| rest.split_once('-'));
        let Some((g, gone)) = named.and_then(|(name, row)| Some((group(name)?, row.parse::<usize>().ok()?))) else {
            return false;
        };
        let count = self.count(g.name);
        if gone < count {
            let parts = || g.parts.iter().map(|(part, _)| *part).chain(["from"]);
            for row in gone..count {
                for part in parts() {
                    let next = self.texts.remove(&at(g.name, row + 1, part));
                    self.texts.remove(&at(g.name, row, part));
                    self.texts.extend(next.map(|text| (at(g.name, row, part), text)));
                }
            }
            self.rows.insert(g.name, count - 1);
        }
        true
    }

    /// Sets the policy to what does well: with features one that learns from them.
    pub(crate) fn recommend(&mut self) {
        let policy = serde_json::to_value(PolicySpec::recommended(self.count("features") > 0));
        let mut whole = Map::from_iter(policy.ok().map(|p| ("policy".to_owned(), p)));
        for (path, kind) in FIELDS.into_iter().filter(|(path, _)| path.starts_with("policy.")) {
            self.texts.extend(kind.text(take(&mut whole, path)).map(|text| (path.to_owned(), text)));
        }
    }

    fn count(&self, group: &str) -> usize {
        self.rows.get(group).copied().unwrap_or(0)
    }

    /// Every name at which a mistake can be told, in the order of the page.
    fn places(&self) -> Vec<String> {
        let mut all: Vec<String> = FIELDS[..2].iter().map(|(path, _)| (*path).to_owned()).collect();
        let rows = |name: &'static str| {
            let parts = group(name).map_or(&[][..], |g: &Group| g.parts);
            let inputs = (0..self.count(name)).flat_map(move |i| parts.iter().map(move |(part, _)| at(name, i, part)));
            std::iter::once(name.to_owned()).chain(inputs)
        };
        all.extend(rows("arms"));
        all.extend(FIELDS[2..].iter().map(|(path, _)| (*path).to_owned()));
        all.extend(rows("features").chain(rows("guardrails")));
        all.extend(PARTS.map(str::to_owned));
        all
    }
}

/// Where a mistake in `field` is told: at its input, or the nearest thing around it.
fn place(places: &[String], field: &str) -> String {
    let mut path = field;
    loop {
        if places.iter().any(|p| p == path) {
            return path.into();
        }
        match path.rfind(['.', '[']) {
            Some(end) => path = &path[..end],
            None => return "body".into(),
        }
    }
}

/// The group and row that a name belongs to.
fn row_of(name: &str) -> Option<(&'static Group, usize)> {
    let (name, rest) = name.split_once('[')?;
    let (row, _) = rest.split_once("].")?;
    let (g, row) = (group(name)?, row.parse().ok()?);
    (row < g.most).then_some((g, row))
}

#[cfg(test)]
mod tests;
