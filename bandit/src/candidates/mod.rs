//! Experiments whose arms are the items of a catalog: what a visitor may be shown is ordered by Thompson sampling.
//!
//! A trial is one item shown to one visitor, under the key that any decision about that item has. The items of a list are
//! dealt together, each with the exact probability of its being at its position.

mod explorer;
mod policy;
mod spec;

pub use explorer::{DealtItem, DealtList, Explorer};
pub use policy::{BaseRate, CandidatePolicy};
pub use spec::{CandidateArms, MAX_POOL};

use crate::experiment::{Arm, Experiment, Prior};
use crate::posterior::{ArmPosterior, PosteriorSet};

/// Most arms of such an experiment that have a posterior of their own: those with most trials. The trials of all others
/// count for the base rate alone, and they start anew from their similarity.
pub const MOST_CANDIDATES: usize = 10_000;

/// Stands for all arms beyond [`MOST_CANDIDATES`]: no item has this id.
pub const OTHER_CANDIDATES: &str = "";

impl Experiment {
    /// The same with these items as its arms, on the flat prior: what is learnt of them is added to it.
    #[must_use]
    pub fn with_candidates(&self, ids: &[String]) -> Self {
        let arm = |id: &String| Arm {
            id: id.clone(),
            control: false,
            payload: serde_json::Value::Null,
            prior: Prior::default(),
            enabled: true,
            weight: 1.0,
        };
        Self { arms: ids.iter().map(arm).collect(), ..self.clone() }
    }
}

impl PosteriorSet {
    /// The set with these arms instead of its own; those that it does not know have the flat prior.
    #[must_use]
    pub fn of_candidates(&self, ids: &[String]) -> Self {
        let flat = ArmPosterior { alpha: 1.0, beta: 1.0, propensity: 0.0 };
        let places: std::collections::HashMap<&str, usize> =
            self.arms.iter().enumerate().map(|(i, id)| (id.as_str(), i)).collect();
        let of = |list: &Vec<ArmPosterior>| {
            ids.iter().map(|id| places.get(id.as_str()).map_or(flat, |&i| list[i])).collect::<Vec<_>>()
        };
        let mut set = self.clone();
        set.segments = self.segments.iter().map(|(name, list)| (name.clone(), of(list))).collect();
        set.arms = ids.to_vec();
        set
    }
}
