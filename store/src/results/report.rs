//! What results say: the answer of the API, and what the dashboard shows.

use bandit::evaluate::Gain;
use bandit::{ArmResult, RateDifference, Status};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an owner asks of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Results {
    /// The experiment.
    pub experiment: String,
    /// Where it is in its life.
    pub status: Status,
    /// The arm it was stopped with.
    pub winner: Option<String>,
    /// Version of the posteriors that are dealt from; 0 is the prior.
    pub posterior_version: u64,
    /// When the last update ended; none before the first.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub updated_at: Option<Timestamp>,
    /// Where the arms are a catalog's items: how many with trials are not among `arms`, which are those with most trials.
    /// `p_best` and the like are then among those shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arms_left_out: Option<u64>,
    /// The arms over all segments.
    pub arms: Vec<ArmResult>,
    /// The arms in each segment, those with most trials first; at most 400 rows in all.
    pub segments: Vec<SegmentResult>,
    /// Where there are several segments: each enabled arm, were it dealt to everyone. Rows of `arms` do not say that then, since
    /// the policy deals each arm to visitors of its own. Empty until segments with most of the trials have 100 of each arm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_for_all: Option<Vec<OneForAll>>,
    /// The uniform holdout beside the policy; none unless the experiment has one.
    pub holdout: Option<Holdout>,
    /// How long rewards take; none before there are any whose trials have waited.
    pub delay: Option<Delay>,
    /// What to know before trusting the numbers.
    pub health: Vec<Health>,
}

/// One segment's arms.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SegmentResult {
    /// The segment.
    pub segment: String,
    /// Its arms.
    pub arms: Vec<ArmResult>,
}

/// An arm, were it dealt to everyone, each segment weighted by its trials.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct OneForAll {
    /// The arm.
    pub arm: String,
    /// Posterior mean of its rate.
    pub rate: f64,
    /// Rate that is lost against dealing each segment the arm of the highest posterior mean there; 0 if that is this one
    /// everywhere.
    pub loss: f64,
}

/// Uniform allocation beside the policy's, at the same time on the same traffic.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Holdout {
    /// Who was dealt uniformly.
    pub holdout: Group,
    /// Who was dealt by the policy.
    pub policy: Group,
    /// The policy's rate less the holdout's; none while one of them has no trial.
    pub difference: Option<RateDifference>,
}

/// A group of trials.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Group {
    /// Exposed assignments.
    pub trials: u64,
    /// Those with a reward in their window.
    pub rewards: u64,
    /// `rewards / trials`; none without trials.
    pub rate: Option<f64>,
    /// 95 % credible interval of the rate under a uniform prior.
    #[schema(value_type = Vec<f64>)]
    pub interval: [f64; 2],
}

/// How long rewards take after their decisions, of those that come within the window. Trials whose reward may still come
/// count as failures to the extent that it would have come by now.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Delay {
    /// Hours within which half of them come.
    pub median_hours: f64,
    /// Hours within which 95 % come.
    pub p95_hours: f64,
    /// Rewards behind these numbers.
    pub rewards: u64,
    /// Hours up to which trials have waited; what comes later is drawn with caution.
    pub known_hours: f64,
    /// Hours and the share that comes within them, from (0, 0) to the window's end and 1.
    #[schema(value_type = Vec<Vec<f64>>)]
    pub points: Vec<[f64; 2]>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// What is checked.
    pub check: String,
    /// Whether all is well.
    pub ok: bool,
    /// What was found.
    pub detail: String,
    /// The numbers behind it.
    #[serde(flatten)]
    pub numbers: serde_json::Map<String, serde_json::Value>,
}

/// What the updater keeps of its checks: what readers are told, and what it needs to go on.
#[derive(Debug, Serialize, Deserialize)]
pub struct Examined {
    /// Version of `state`.
    #[serde(default)]
    pub format: u32,
    /// One line for each check.
    pub lines: Vec<Health>,
    /// Rewards beyond those of an even split, by the log up to the last full hour.
    #[serde(default)]
    pub gain: Option<Gain>,
    /// Trials by propensity, in the bins of [`bandit::evaluate::PROPENSITY_EDGES`].
    #[serde(default)]
    pub propensities: Vec<u64>,
    /// Of the updater alone.
    pub state: serde_json::Value,
}
