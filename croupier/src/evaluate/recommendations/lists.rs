//! The lists that are compared.

use super::Setup;
use super::items::Items;
use super::measure::Measured;
use super::replay::Moment;
use jiff::Timestamp;
use recommend::View;
use recommend::diversity::{Candidate, Variety, choose};
use std::time::Instant;

/// Nearest items that a varied list is chosen from.
pub(super) const POOL: usize = 200;

/// How a list is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Ours,
    Plain,
    Last,
    Popular,
}

pub(super) const LISTS: [Kind; 4] = [Kind::Ours, Kind::Plain, Kind::Last, Kind::Popular];

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Plain => "plain",
            Self::Last => "last",
            Self::Popular => "popular",
        }
    }
}

pub(super) struct Maker<'a> {
    pub(super) setup: &'a Setup,
    pub(super) items: &'a Items,
    pub(super) k: usize,
    pub(super) half_life_hours: f64,
}

impl Maker<'_> {
    /// Makes each list, and measures it.
    pub(super) fn try_all(&self, moment: &Moment<'_>, measured: &mut [Measured]) {
        let profile = self.profile(moment);
        for (kind, measured) in LISTS.into_iter().zip(measured) {
            let start = Instant::now();
            let list = self.list(kind, moment);
            let took = start.elapsed();
            measured.add(self.items, moment, &list, profile.as_deref(), self.k, took);
        }
    }

    /// Who has no direction gets what is popular.
    fn list(&self, kind: Kind, moment: &Moment<'_>) -> Vec<u32> {
        let last = || moment.visitor.views.last().and_then(|(slot, _)| self.items.index.vector(*slot));
        let list = match kind {
            Kind::Ours => self.profile(moment).map(|profile| self.varied(&profile, moment)),
            Kind::Plain => self.profile(moment).map(|profile| self.nearest(&profile, moment)),
            Kind::Last => last().map(|vector| self.nearest(vector, moment)),
            Kind::Popular => None,
        };
        list.unwrap_or_else(|| self.popular(moment))
    }

    fn profile(&self, moment: &Moment<'_>) -> Option<Vec<f32>> {
        let seconds = |at: Timestamp| moment.at.duration_since(at).as_secs_f64();
        let newest = moment.visitor.views.iter().rev().take(self.setup.catalog.history_length);
        let view = |(place, (slot, at)): (usize, &(u32, Timestamp))| {
            let vector = self.items.index.vector(*slot)?;
            Some(View { vector, age_seconds: seconds(*at), place })
        };
        let history: Vec<View<'_>> = newest.enumerate().filter_map(view).collect();
        self.setup.profile.vector(&history, self.setup.catalog.metric)
    }

    /// Whether an item may be in the list.
    fn is_new(&self, slot: u32, moment: &Moment<'_>) -> bool {
        self.items.from[slot as usize] <= moment.at && !moment.visitor.seen.contains(&slot)
    }

    fn nearest(&self, query: &[f32], moment: &Moment<'_>) -> Vec<u32> {
        let hits = self.items.index.search(query, self.k, |slot| self.is_new(slot, moment));
        hits.iter().map(|hit| hit.slot).collect()
    }

    fn varied(&self, query: &[f32], moment: &Moment<'_>) -> Vec<u32> {
        let hits = self.items.index.search(query, POOL.max(self.k), |slot| self.is_new(slot, moment));
        let candidate = |hit: &recommend::index::Hit| Candidate {
            score: hit.score,
            vector: &self.items.directions[hit.slot as usize],
            scale: 1.0,
            tags: &self.items.tags[hit.slot as usize],
        };
        let pool: Vec<Candidate<'_>> = hits.iter().map(candidate).collect();
        let catalog = &self.setup.catalog;
        let variety = Variety { max_per_tag: catalog.max_per_tag, ..Variety::new(catalog.diversity) };
        choose(&pool, self.k, &variety).into_iter().filter_map(|place| hits.get(place).map(|hit| hit.slot)).collect()
    }

    fn popular(&self, moment: &Moment<'_>) -> Vec<u32> {
        let counts = moment.popular.iter().map(|count| count.at(moment.at, self.half_life_hours));
        let mut best: Vec<(u32, f64)> =
            (0..).zip(counts).filter(|(slot, count)| *count > 0.0 && self.is_new(*slot, moment)).collect();
        best.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        best.into_iter().take(self.k).map(|(slot, _)| slot).collect()
    }
}
