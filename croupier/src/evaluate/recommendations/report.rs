//! The answer for programs, and what it is of.

use super::items::Items;
use super::lists::{Kind, LISTS, POOL};
use super::log::Log;
use super::measure::{FIGURES, Measured};
use super::replay::Replayed;
use super::{RecommendationsArgs, Setup};
use recommend::quality::Mean;
use serde_json::{Map, Value, json};

/// What came of it.
pub(super) struct Report<'a> {
    pub(super) args: &'a RecommendationsArgs,
    pub(super) setup: &'a Setup,
    pub(super) items: &'a Items,
    pub(super) log: &'a Log,
    pub(super) replayed: &'a Replayed,
}

/// Which lists are compared with which.
pub(super) const PAIRS: [(Kind, Kind); 4] =
    [(Kind::Ours, Kind::Popular), (Kind::Ours, Kind::Plain), (Kind::Plain, Kind::Popular), (Kind::Last, Kind::Popular)];

impl Report<'_> {
    pub(super) fn of(&self, kind: Kind) -> Option<&Measured> {
        LISTS.iter().position(|k| *k == kind).and_then(|place| self.replayed.measured.get(place))
    }

    /// Users with a list.
    pub(super) fn users(&self) -> usize {
        self.of(Kind::Ours).map_or(0, Measured::users)
    }

    pub(super) fn json(&self) -> Value {
        let Self { args, setup, items, log, replayed } = self;
        json!({
            "log": {
                "source": args.file.display().to_string(),
                "rows": log.rows,
                "of_unknown_items": log.unknown,
                "below_min_value": log.disliked,
                "from": log.views.first().map(|v| v.at),
                "to": log.views.last().map(|v| v.at),
            },
            "items": items.len(),
            "catalog": setup.catalog,
            "profile": setup.profile,
            "half_life_hours": args.half_life_hours,
            "k": args.k,
            "pool": POOL,
            "seed": args.seed,
            "moments": replayed.moments,
            "tried": replayed.tried,
            "users": self.users(),
            "lists": LISTS.iter().zip(&replayed.measured).map(|(kind, m)| one(*kind, m)).collect::<Vec<_>>(),
            "differences": PAIRS.iter().filter_map(|(a, b)| self.difference(*a, *b)).collect::<Vec<_>>(),
        })
    }

    fn difference(&self, a: Kind, b: Kind) -> Option<Value> {
        let (mine, theirs) = (self.of(a)?, self.of(b)?);
        let mut fields = Map::new();
        fields.insert("list".into(), a.as_str().into());
        fields.insert("from".into(), b.as_str().into());
        fields.extend((0..).zip(FIGURES).map(|(i, name)| (name.to_owned(), mean(mine.above(theirs, i)))));
        Some(fields.into())
    }
}

fn one(kind: Kind, measured: &Measured) -> Value {
    let mut fields = Map::new();
    fields.insert("list".into(), kind.as_str().into());
    fields.extend((0..).zip(FIGURES).map(|(i, name)| (name.to_owned(), mean(measured.mean(i)))));
    fields.insert("coverage".into(), measured.coverage().into());
    fields.insert("gini".into(), measured.gini().into());
    fields.insert("lists_with_near_duplicates".into(), measured.near_duplicates.into());
    fields.insert("microseconds".into(), measured.microseconds().into());
    fields.into()
}

fn mean(mean: Option<Mean>) -> Value {
    mean.map_or(Value::Null, |m| json!({"mean": m.mean, "se": m.se, "users": m.n}))
}
