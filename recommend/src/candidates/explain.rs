//! A visitor's list explained: the list itself, by the code that makes lists, with all that it was made from.

use super::lists::Made;
use super::{Candidates, List, State, Wanted};
use crate::diversity::{Judged, Variety, judge};
use std::collections::HashMap;
use std::sync::Arc;

/// Why a visitor's list is what it is.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// What [`Candidates::for_visitor`] gives.
    pub list: List,
    /// What they looked at, each in its place.
    pub seen: Vec<Seen>,
    /// The vector of these views: what the list is near to. None if there is none, and the list of what is popular.
    pub vector: Option<Vec<f32>>,
    /// How varied the list was to be.
    pub variety: Variety,
    /// Candidates that it was chosen from.
    pub pool: usize,
    /// The nearest of them, nearest first, and all that are in the list.
    pub nearest: Vec<Near>,
}

/// Something that was looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// Whether it is still there.
    pub standing: Standing,
    /// Its share of the vector; none if it is not in it.
    pub weight: Option<f64>,
}

/// What became of something that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It can be recommended.
    Live,
    /// It ended, and where it was is remembered.
    Ended,
    /// Nothing is known of it here: it is of another catalog, or ended long ago.
    Unknown,
}

/// A candidate.
#[derive(Debug, Clone)]
pub struct Near {
    /// Its id.
    pub id: Arc<str>,
    /// Its tags, each once, in order.
    pub tags: Vec<Arc<str>>,
    /// Its rank by nearness, from 1.
    pub rank: usize,
    /// How near it is.
    pub score: f32,
    /// Its place in the list, from 1.
    pub place: Option<usize>,
    /// What it was worth when it was taken, or what it would be worth after the list's last.
    pub judged: Judged,
}

impl Candidates {
    /// Explains what [`Candidates::for_visitor`] gives, with at least the `most` nearest candidates.
    #[must_use]
    pub fn explain(&self, seen: &[(&str, f64)], wanted: &Wanted<'_>, most: usize) -> Explanation {
        let state = self.read();
        let Made { list, views, vector, pool } = self.made_for(&state, seen, wanted);
        let weights = vector.as_ref().map(|_| self.definition.profile.weights(&views)).unwrap_or_default();
        let weights: HashMap<usize, f64> = views.iter().map(|view| view.place).zip(weights).collect();
        let standing = |(place, (id, _)): (usize, &(&str, f64))| Seen {
            standing: state.standing(id, wanted),
            weight: weights.get(&place).copied(),
        };
        let (taken, rest) = self.varied(&state, &pool, wanted, |pool, variety| judge(pool, wanted.k, variety, most));
        let places = taken.into_iter().zip(1..).map(|(judged, place)| (judged, Some(place)));
        let mut nearest: Vec<Near> = places
            .chain(rest.into_iter().map(|judged| (judged, None)))
            .filter_map(|(judged, place)| {
                let hit = pool[judged.place];
                let id = state.entries.get(hit.slot)?.id.clone();
                let (tags, rank) = (state.tags_of(hit.slot), judged.place + 1);
                Some(Near { id, tags, rank, score: hit.score, place, judged })
            })
            .collect();
        nearest.sort_by_key(|near| near.rank);
        Explanation {
            seen: seen.iter().enumerate().map(standing).collect(),
            list,
            vector,
            variety: self.variety(wanted),
            pool: pool.len(),
            nearest,
        }
    }
}

impl State {
    fn standing(&self, id: &str, wanted: &Wanted<'_>) -> Standing {
        let entry = self.entries.slot(id).and_then(|slot| self.entries.get(slot));
        match entry {
            Some(entry) if entry.expires_at.is_none_or(|at| at > wanted.now) => Standing::Live,
            Some(_) => Standing::Ended,
            None if self.ended.vector(id).is_some() => Standing::Ended,
            None => Standing::Unknown,
        }
    }
}
