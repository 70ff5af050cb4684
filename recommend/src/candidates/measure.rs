//! What a list that was shown was like.

use super::Candidates;
use crate::quality::intra_list_distance;
use jiff::Timestamp;
use std::borrow::Cow;

/// Seconds since its first put for which an item is new.
const NEW_SECONDS: i64 = 86_400;

/// What is known of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Measured {
    /// Mean of 1 - cosine over its pairs; none if it was not asked for, or there is no pair.
    pub distance: Option<f64>,
    /// Items of which it is known when they were first put.
    pub dated: u64,
    /// Of these, those that were first put within 24 hours.
    pub new: u64,
    /// Seconds since then, of all of these together.
    pub age_seconds: f64,
}

impl Candidates {
    /// Measures a list at `now`; items that are gone meanwhile are left out. Its distance takes as many multiplications as
    /// its vectors have numbers: who is in a hurry does without.
    pub fn measure<'a>(&self, ids: impl Iterator<Item = &'a str>, distance: bool, now: Timestamp) -> Measured {
        let state = self.read();
        let (mut measured, mut vectors) = (Measured::default(), Vec::<Cow<'_, [f32]>>::new());
        for slot in ids.filter_map(|id| state.entries.slot(id)) {
            if let Some(at) = state.entries.get(slot).and_then(|entry| entry.added_at) {
                let age = now.duration_since(at);
                measured.dated += 1;
                measured.new += u64::from(age.as_secs() < NEW_SECONDS);
                measured.age_seconds += age.as_secs_f64().max(0.0);
            }
            if distance {
                vectors.push(self.direction(&state, slot));
            }
        }
        let vectors: Vec<&[f32]> = vectors.iter().map(|v| &**v).collect();
        measured.distance = intra_list_distance(&vectors);
        measured
    }
}
