//! Lists made before anybody asks for them, for many visitors at once; and whether one is still what would be made.
//!
//! A list that is told is the one that would be made now, as far as that can be known cheaply: it was made from the same
//! views, and nothing that came since could have been in its pool. What left since is left out. A change of the definition
//! begins the candidates anew ([`Candidates::begin_notes`]), so that no older list is believed.

use super::lists::{Basis, POOL_AT_LEAST, POOL_PER_PLACE};
use super::{Candidate, Candidates, List, Source, State, Wanted};
use crate::index::Hit;
use jiff::Timestamp;
use std::collections::HashSet;
use std::sync::Arc;

/// Items of a list that is made ahead: more than most pages show, since what ends until it is told is left out.
pub const LISTED_AHEAD: usize = 30;
/// So that a shorter list, as a request may want it, is its beginning.
const _: () = assert!(LISTED_AHEAD * POOL_PER_PLACE <= POOL_AT_LEAST, "the pool is the same for every shorter list");

/// A list made ahead.
#[derive(Debug, Clone, PartialEq)]
pub struct MadeAhead {
    /// Best first: id and score.
    pub items: Vec<(Arc<str>, f32)>,
    /// Views that it was made from.
    pub history: usize,
    /// What comes and scores less could not have been in it.
    pub floor: f32,
}

fn wanted(now: Timestamp) -> Wanted<'static> {
    Wanted { k: LISTED_AHEAD, diversity: None, max_per_tag: None, tags: &[], exclude: &[], alike: false, now }
}

impl Candidates {
    /// Says that every change up to `number` is in it, and nothing of what came by earlier ones is known any more.
    pub fn begin_notes(&self, number: u64) {
        self.write().noted.begin(number);
    }

    /// Says that an item is put, or was, by the change of this number; numbers do not fall.
    pub fn note(&self, number: u64, id: &str) {
        self.write().noted.add(number, id);
    }

    /// What [`Candidates::for_visitor`] would give of [`LISTED_AHEAD`] items by what its pool at first holds, for each of
    /// these visitors; none for whoever looked at nothing that is known here. The lock is held for a search of all of them,
    /// and then for one list at a time.
    pub fn for_visitors(&self, seen: &[Vec<(&str, f64)>], now: Timestamp) -> Vec<Option<MadeAhead>> {
        let wanted = wanted(now);
        let (edits, pools) = self.pools_of(&self.read(), seen, &wanted);
        let mut made = vec![None; seen.len()];
        for (i, history, pool) in pools {
            let state = self.read();
            made[i] = if state.edits == edits {
                Some(self.made_ahead(&state, &pool, history, &wanted))
            } else {
                // Slots may be others' by now.
                self.alone(&state, &seen[i], &wanted)
            };
        }
        made
    }

    /// For each visitor with a vector: who, the views that count, and the pool; and when that was so.
    fn pools_of(
        &self,
        state: &State,
        seen: &[Vec<(&str, f64)>],
        wanted: &Wanted<'_>,
    ) -> (u64, Vec<(usize, usize, Vec<Hit>)>) {
        let basis: Vec<Basis<'_>> = seen.iter().map(|seen| self.basis(state, seen, wanted)).collect();
        let (of, vectors): (Vec<usize>, Vec<&[f32]>) =
            basis.iter().enumerate().filter_map(|(i, basis)| Some((i, basis.vector.as_deref()?))).unzip();
        let may = |i: usize, slot| state.may_show(slot, wanted, None, &basis[of[i]].hidden);
        let pools = state.index.search_many(&vectors, POOL_AT_LEAST, may);
        (state.edits, of.iter().zip(pools).map(|(i, pool)| (*i, basis[*i].views.len(), pool)).collect())
    }

    fn alone(&self, state: &State, seen: &[(&str, f64)], wanted: &Wanted<'_>) -> Option<MadeAhead> {
        let Basis { views, vector, hidden } = self.basis(state, seen, wanted);
        let may = |slot| state.may_show(slot, wanted, None, &hidden);
        let pool = state.index.search(&vector?, POOL_AT_LEAST, may);
        Some(self.made_ahead(state, &pool, views.len(), wanted))
    }

    fn made_ahead(&self, state: &State, pool: &[Hit], history: usize, wanted: &Wanted<'_>) -> MadeAhead {
        let chosen =
            self.varied(state, pool, wanted, |pool, variety| crate::diversity::choose(pool, wanted.k, variety));
        let item = |place: usize| Some((state.entries.get(pool[place].slot)?.id.clone(), pool[place].score));
        let full = pool.len() >= POOL_AT_LEAST;
        let floor = pool.last().filter(|_| full).map_or(f32::NEG_INFINITY, |hit| hit.score);
        MadeAhead { items: chosen.into_iter().filter_map(item).collect(), history, floor }
    }

    /// A list that was made ahead of these same views with every change up to `number` in it, as it may be told now: none
    /// if something that was put since could be in it, if too much was, if fewer than `wanted.k` of its items are left, or
    /// if it is not what `wanted` asks for.
    pub fn recall(&self, made: &MadeAhead, number: u64, seen: &[(&str, f64)], wanted: &Wanted<'_>) -> Option<List> {
        let usual = wanted.tags.is_empty() && wanted.exclude.is_empty() && !wanted.alike;
        let same = |of: Option<f64>| of.is_none_or(|d| d.to_bits() == self.definition.diversity.to_bits());
        let tags = wanted.max_per_tag.is_none() || wanted.max_per_tag == self.definition.max_per_tag;
        if !usual || !same(wanted.diversity) || !tags || made.items.len() < wanted.k {
            return None;
        }
        let state = self.read();
        let put: HashSet<&str> = state.noted.since(number)?.map(|id| &**id).collect();
        // One that is on the list may be elsewhere now, unless it left, and one that was looked at changes what the list is
        // near to.
        let told = made.items.iter().map(|(id, _)| &**id).filter(|id| state.entries.slot(id).is_some());
        if told.chain(seen.iter().map(|(id, _)| *id)).any(|id| put.contains(id)) {
            return None;
        }
        if !put.is_empty() {
            let Basis { vector, hidden, .. } = self.basis(&state, seen, wanted);
            let slots = put.iter().filter_map(|id| state.entries.slot(id));
            let slots = slots.filter(|slot| state.may_show(*slot, wanted, None, &hidden));
            // What cannot be compared with the floor may be above it.
            let could_be_in = |hit: &Hit| hit.score.partial_cmp(&made.floor).is_none_or(std::cmp::Ordering::is_ge);
            if state.index.score(&vector?, slots).iter().any(could_be_in) {
                return None;
            }
        }
        let none = HashSet::new();
        let live = |(id, score): &(Arc<str>, f32)| {
            let slot = state.entries.slot(id)?;
            let shown = state.may_show(slot, wanted, None, &none);
            shown.then(|| state.candidate(slot, f64::from(*score)))?
        };
        let items: Vec<Candidate> = made.items.iter().filter_map(live).take(wanted.k).collect();
        (items.len() == wanted.k).then_some(List { items, source: Source::Precomputed, history: made.history })
    }
}
