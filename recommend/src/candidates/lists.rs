//! Lists: what is near, filtered, varied.

use super::{Candidates, State};
use crate::Metric;
use crate::diversity::{self, Variety, choose};
use crate::index::{Hit, unit};
use crate::profile::View;
use jiff::Timestamp;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

/// Candidates that a list is chosen from, for each of its places.
pub(super) const POOL_PER_PLACE: usize = 4;
/// And at least.
pub(super) const POOL_AT_LEAST: usize = 200;
/// If most of a pool is the same thing again and again, a pool of so many times as many is looked at, up to the largest.
const POOL_GROWS: usize = 8;
const POOL_AT_MOST: usize = 20_000;
/// Up to so many holders of the tags asked for, each is scored; beyond, the index is searched. Scoring one costs about
/// what the scan of ten does.
const FEW_HOLDERS: usize = 10_000;

/// Lengths of vectors whose products are far from the ends of single precision.
const USUAL_LENGTHS: std::ops::RangeInclusive<f64> = 1e-9..=1e9;

/// What a list may hold.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// How many items, at most.
    pub k: usize,
    /// Variety from 0 to 1; as the catalog defines it where absent.
    pub diversity: Option<f64>,
    /// Items of a tag before further ones lose ground; as the catalog defines it where absent.
    pub max_per_tag: Option<usize>,
    /// Items have one of these tags; any item, where there are none.
    pub tags: &'a [String],
    /// Ids of items that are not to be shown.
    pub exclude: &'a [String],
    /// Whether two items that are nearly the same may be shown: who searches wants all that is near.
    pub alike: bool,
    /// When.
    pub now: Timestamp,
}

/// An item of a list.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Its id.
    pub id: Arc<str>,
    /// How near it is; in a list of what is popular, its views.
    pub score: f64,
    /// What its owner sent with it.
    pub payload: Option<Arc<RawValue>>,
}

/// Where a list comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// What the visitor looked at.
    History,
    /// What everybody looks at; what came last, where that does not suffice.
    Popular,
    /// What the visitor looked at, made before the request came.
    Precomputed,
}

/// A list for a visitor.
#[derive(Debug, Clone)]
pub struct List {
    /// Best first.
    pub items: Vec<Candidate>,
    /// Where it comes from.
    pub source: Source,
    /// Views that it was made from.
    pub history: usize,
}

/// A list, and what it was made from.
pub(super) struct Made<'a> {
    pub(super) list: List,
    pub(super) views: Vec<View<'a>>,
    pub(super) vector: Option<Vec<f32>>,
    /// What it was chosen from, best first.
    pub(super) pool: Vec<Hit>,
}

/// What a list is made from.
pub(super) struct Basis<'a> {
    pub(super) views: Vec<View<'a>>,
    pub(super) vector: Option<Vec<f32>>,
    /// Slots that are not shown.
    pub(super) hidden: HashSet<u32>,
}

impl Candidates {
    /// What is near a vector that passed [`crate::check_vector`].
    pub fn near(&self, vector: &[f32], wanted: &Wanted<'_>) -> Vec<Candidate> {
        let state = self.read();
        let hidden = state.slots_of(wanted.exclude.iter().map(String::as_str));
        self.list(&state, vector, wanted, &hidden)
    }

    /// What is near an item, itself left out; none if it is not there, and did not end lately either.
    pub fn related(&self, id: &str, wanted: &Wanted<'_>) -> Option<Vec<Candidate>> {
        let state = self.read();
        let vector = state.vector_of(id)?;
        let hidden = state.slots_of(wanted.exclude.iter().map(String::as_str).chain([id]));
        Some(self.list(&state, vector, wanted, &hidden))
    }

    /// A list for somebody who looked at `seen`, newest first, each with the seconds since then. Of these the newest that
    /// are known here count, as many as the catalog's history is long; none of `seen` is shown.
    pub fn for_visitor(&self, seen: &[(&str, f64)], wanted: &Wanted<'_>) -> List {
        self.made_for(&self.read(), seen, wanted).list
    }

    pub(super) fn basis<'a>(&self, state: &'a State, seen: &[(&str, f64)], wanted: &Wanted<'_>) -> Basis<'a> {
        let ids = wanted.exclude.iter().map(String::as_str).chain(seen.iter().map(|(id, _)| *id));
        let hidden = state.slots_of(ids);
        let views: Vec<View<'_>> = seen
            .iter()
            .enumerate()
            .filter_map(|(place, (id, age))| Some(View { vector: state.vector_of(id)?, age_seconds: *age, place }))
            .take(self.definition.history_length)
            .collect();
        let vector = self.definition.profile.vector(&views, self.definition.metric);
        Basis { views, vector, hidden }
    }

    pub(super) fn made_for<'a>(&self, state: &'a State, seen: &[(&str, f64)], wanted: &Wanted<'_>) -> Made<'a> {
        let Basis { views, vector, hidden } = self.basis(state, seen, wanted);
        let (pool, items, source) = match &vector {
            Some(vector) => {
                let (pool, chosen) = self.chosen(state, vector, wanted, &hidden);
                let items = state.listed(&pool, &chosen);
                (pool, items, Source::History)
            }
            None => (Vec::new(), state.popular(wanted, &hidden), Source::Popular),
        };
        Made { list: List { items, source, history: views.len() }, views, vector, pool }
    }

    /// Those of `ids` that may be shown, each in its place; without a score.
    pub fn those(&self, ids: &[&str], wanted: &Wanted<'_>) -> Vec<Option<Candidate>> {
        let state = self.read();
        let hidden = state.slots_of(wanted.exclude.iter().map(String::as_str));
        let tags = state.wanted_tags(wanted);
        let one = |id: &&str| {
            let slot = state.entries.slot(id)?;
            state.may_show(slot, wanted, tags.as_deref(), &hidden).then(|| state.candidate(slot, 0.0))?
        };
        ids.iter().map(one).collect()
    }

    fn list(&self, state: &State, vector: &[f32], wanted: &Wanted<'_>, hidden: &HashSet<u32>) -> Vec<Candidate> {
        let (pool, chosen) = self.chosen(state, vector, wanted, hidden);
        state.listed(&pool, &chosen)
    }

    /// What is near, best first, and the places of those that make the list.
    fn chosen(
        &self,
        state: &State,
        vector: &[f32],
        wanted: &Wanted<'_>,
        hidden: &HashSet<u32>,
    ) -> (Vec<Hit>, Vec<usize>) {
        let tags = state.wanted_tags(wanted);
        let mut most = POOL_AT_LEAST.max(wanted.k.saturating_mul(POOL_PER_PLACE));
        loop {
            let pool = state.pool(vector, most, wanted, tags.as_deref(), hidden);
            let chosen = self.varied(state, &pool, wanted, |pool, variety| choose(pool, wanted.k, variety));
            if chosen.len() < wanted.k && pool.len() == most && most < POOL_AT_MOST {
                most = POOL_AT_MOST.min(most * POOL_GROWS);
                continue;
            }
            return (pool, chosen);
        }
    }

    pub(super) fn varied<T>(
        &self,
        state: &State,
        pool: &[Hit],
        wanted: &Wanted<'_>,
        choose: impl FnOnce(&[diversity::Candidate<'_>], &Variety) -> T,
    ) -> T {
        let directions: Vec<(Cow<'_, [f32]>, f32)> = pool.iter().map(|hit| self.scaled(state, hit.slot)).collect();
        let candidates: Vec<diversity::Candidate<'_>> = pool
            .iter()
            .zip(&directions)
            .map(|(hit, (vector, scale))| {
                let tags = state.entries.get(hit.slot).map_or(&[][..], |entry| &entry.tags);
                diversity::Candidate { score: hit.score, vector, scale: *scale, tags }
            })
            .collect();
        choose(&candidates, &self.variety(wanted))
    }

    /// How varied a list is to be.
    pub(super) fn variety(&self, wanted: &Wanted<'_>) -> Variety {
        let usual = Variety::new(wanted.diversity.unwrap_or(self.definition.diversity));
        Variety {
            near_duplicate: usual.near_duplicate.filter(|_| !wanted.alike),
            max_per_tag: wanted.max_per_tag.or(self.definition.max_per_tag),
            ..usual
        }
    }

    /// A vector and what makes its length 1. It is copied only where single precision could not hold the product of two:
    /// pools are large where much is alike.
    pub(super) fn scaled<'a>(&self, state: &'a State, slot: u32) -> (Cow<'a, [f32]>, f32) {
        let vector = state.index.vector(slot).unwrap_or_default();
        if self.definition.metric == Metric::Cosine {
            return (vector.into(), 1.0);
        }
        let length = vector.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt();
        if USUAL_LENGTHS.contains(&length) {
            #[expect(clippy::cast_possible_truncation, reason = "vectors are of single precision")]
            return (vector.into(), length.recip() as f32);
        }
        unit(vector).map_or_else(|| (vector.into(), 0.0), |unit| (unit.into(), 1.0))
    }

    /// A vector at length 1, as it is kept under the cosine.
    pub(super) fn direction<'a>(&self, state: &'a State, slot: u32) -> Cow<'a, [f32]> {
        let vector = state.index.vector(slot).unwrap_or_default();
        match self.definition.metric {
            Metric::Cosine => vector.into(),
            Metric::InnerProduct => unit(vector).unwrap_or_else(|| vec![0.0; vector.len()]).into(),
        }
    }
}

fn best(mut hits: Vec<Hit>, most: usize) -> Vec<Hit> {
    hits.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.slot.cmp(&b.slot)));
    hits.truncate(most);
    hits
}

impl State {
    /// The nearest that may be shown, at most `most`, best first.
    fn pool(
        &self,
        vector: &[f32],
        most: usize,
        wanted: &Wanted<'_>,
        tags: Option<&[u32]>,
        hidden: &HashSet<u32>,
    ) -> Vec<Hit> {
        let may = |slot: u32| self.may_show(slot, wanted, tags, hidden);
        match tags {
            Some(tags) if self.holders(tags) <= FEW_HOLDERS => {
                let holders = tags.iter().flat_map(|tag| self.entries.holders(*tag));
                let slots: HashSet<u32> = holders.copied().filter(|slot| may(*slot)).collect();
                best(self.index.score(vector, slots), most)
            }
            _ => self.index.search(vector, most, may),
        }
    }

    /// Numbers of the tags asked for that items have, in order; none if any tag will do.
    fn wanted_tags(&self, wanted: &Wanted<'_>) -> Option<Vec<u32>> {
        (!wanted.tags.is_empty()).then(|| {
            let mut tags: Vec<u32> = wanted.tags.iter().filter_map(|name| self.entries.tag(name)).collect();
            tags.sort_unstable();
            tags.dedup();
            tags
        })
    }

    fn holders(&self, tags: &[u32]) -> usize {
        tags.iter().map(|tag| self.entries.holders(*tag).len()).sum()
    }

    pub(super) fn may_show(&self, slot: u32, wanted: &Wanted<'_>, tags: Option<&[u32]>, hidden: &HashSet<u32>) -> bool {
        let Some(entry) = self.entries.get(slot) else { return false };
        entry.expires_at.is_none_or(|at| at > wanted.now)
            && !hidden.contains(&slot)
            && tags.is_none_or(|tags| entry.tags.iter().any(|tag| tags.binary_search(tag).is_ok()))
    }

    pub(super) fn vector_of(&self, id: &str) -> Option<&[f32]> {
        let live = self.entries.slot(id).and_then(|slot| self.index.vector(slot));
        live.or_else(|| self.ended.vector(id))
    }

    pub(super) fn slots_of<'a>(&self, ids: impl Iterator<Item = &'a str>) -> HashSet<u32> {
        ids.filter_map(|id| self.entries.slot(id)).collect()
    }

    /// The most popular that may be shown, then the newest: everybody is shown something.
    fn popular(&self, wanted: &Wanted<'_>, hidden: &HashSet<u32>) -> Vec<Candidate> {
        let tags = self.wanted_tags(wanted);
        let viewed = self.popular.iter().filter_map(|(id, views)| Some((self.entries.slot(id)?, *views)));
        let newest: Box<dyn Iterator<Item = u32>> = match tags.as_deref() {
            // Few have them: not all items are looked at for those.
            Some(tags) if self.holders(tags) <= FEW_HOLDERS => {
                let mut slots: Vec<u32> = tags.iter().flat_map(|tag| self.entries.holders(*tag)).copied().collect();
                slots.sort_by_key(|slot| std::cmp::Reverse(self.entries.get(*slot).map(|entry| entry.arrival)));
                Box::new(slots.into_iter())
            }
            _ => Box::new(self.entries.newest()),
        };
        let newest = newest.map(|slot| (slot, 0.0));
        let mut shown = HashSet::new();
        viewed
            .chain(newest)
            .filter(|(slot, _)| self.may_show(*slot, wanted, tags.as_deref(), hidden) && shown.insert(*slot))
            .take(wanted.k)
            .filter_map(|(slot, score)| self.candidate(slot, score))
            .collect()
    }

    pub(super) fn listed(&self, pool: &[Hit], chosen: &[usize]) -> Vec<Candidate> {
        chosen.iter().filter_map(|i| self.candidate(pool[*i].slot, f64::from(pool[*i].score))).collect()
    }

    pub(super) fn candidate(&self, slot: u32, score: f64) -> Option<Candidate> {
        let entry = self.entries.get(slot)?;
        Some(Candidate { id: entry.id.clone(), score, payload: entry.payload.clone() })
    }
}
