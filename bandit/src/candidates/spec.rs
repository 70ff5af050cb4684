//! What an owner says of an experiment whose arms are a catalog's items.

use crate::experiment::{Experiment, StickyBy};
use crate::id::check_id;
use crate::policy::{OnChange, PolicyKind, Pooling};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Most items that one list is chosen from: the exact probabilities of its positions are computed while a visitor waits.
pub const MAX_POOL: usize = 50;

/// Takes the items of a catalog as arms: its recommendations are ordered by what was learnt of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct CandidateArms {
    /// The catalog. Of its experiments one runs at a time.
    #[schema(example = "shop")]
    pub catalog: String,
    /// Items that compete for a list's places, 2 to 50: the first of the list as it would be without the experiment.
    /// Twenty unless said otherwise: their probabilities take about a millisecond, fifty a few.
    #[serde(default = "twenty_items")]
    pub pool: usize,
    /// Trials that an item's prior counts for.
    #[serde(default = "twenty")]
    pub strength: f64,
    /// By how much a standard deviation of similarity within the pool raises the log-odds of an item's prior.
    #[serde(default = "half")]
    pub similarity_weight: f64,
    /// Whether a visitor's first list of a day stays for that day. What `exclude` takes from it is filled up by items that are
    /// dealt from the rest of the pool, and stay for that day too: with the probabilities given what is excluded.
    #[serde(default)]
    pub sticky: bool,
}

fn twenty_items() -> usize {
    20
}

fn twenty() -> f64 {
    20.0
}

fn half() -> f64 {
    0.5
}

impl CandidateArms {
    /// Tells every mistake, by field and reason.
    pub(crate) fn check(&self, e: &Experiment, mut tell: impl FnMut(bool, &str, String)) {
        if let Err(why) = check_id(&self.catalog) {
            tell(false, "candidates.catalog", why.to_string());
        }
        let pool = (2..=MAX_POOL).contains(&self.pool);
        tell(pool, "candidates.pool", format!("must be 2 to {MAX_POOL}"));
        tell((0.1..=1e6).contains(&self.strength), "candidates.strength", "must be 0.1 to 1000000".into());
        let weight = (0.0..=10.0).contains(&self.similarity_weight);
        tell(weight, "candidates.similarity_weight", "must be 0 to 10".into());
        tell(e.arms.is_empty(), "arms", "must be left out: the catalog's items are the arms".into());
        let policy = &e.policy;
        tell(
            matches!(policy.kind, PolicyKind::Thompson | PolicyKind::Fixed),
            "policy.kind",
            "must be 'thompson', or 'fixed' for lists by similarity alone, with 'candidates'".into(),
        );
        #[expect(clippy::cast_precision_loss, reason = "at most 50")]
        let most = 1.0 / self.pool.max(1) as f64;
        tell((0.0..=most).contains(&policy.floor), "policy.floor", format!("must be 0 to {most:.4} (1 / pool)"));
        tell(policy.on_change == OnChange::Keep, "policy.on_change", "must be 'keep' with 'candidates'".into());
        tell(policy.pace_rewards.is_none(), "policy.pace_rewards", "must be left out with 'candidates'".into());
        let pooling = policy.pooling == Pooling::None;
        tell(
            pooling,
            "policy.pooling",
            "must be 'none' with 'candidates': similarity says what to expect of an item".into(),
        );
        tell(e.segment_by.is_empty(), "segment_by", "must be empty with 'candidates'".into());
        tell(
            e.guardrails.is_empty(),
            "guardrails",
            "must be empty with 'candidates': no item is a control to go back to".into(),
        );
        tell(
            e.stopping.is_none(),
            "stopping",
            "must be left out with 'candidates': items come and go, none is the winner".into(),
        );
        let by = &e.sticky.by;
        tell(
            by.contains(&StickyBy::User) && by.contains(&StickyBy::Item),
            "sticky.by",
            "must contain 'user' and 'item' with 'candidates': each item of a list is a trial".into(),
        );
    }
}
