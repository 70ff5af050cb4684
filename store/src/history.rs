//! What each published version said of the whole experiment, so that its past is read without its posterior sets.

use crate::results::{foremost, rows_of};
use crate::{Memory, Result};
use async_trait::async_trait;
use bandit::evaluate::Gain;
use bandit::{ArmResult, Beta, Evidence, Experiment, PosteriorSet, RateDifference, Remaining, hour_of};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Version of the document; one of a later release is not read.
pub const HISTORY_FORMAT: u32 = 1;

/// Published versions by experiment, one document each.
#[async_trait]
pub trait History: Send + Sync {
    /// Keeps entries; one that is kept already stays as it is.
    ///
    /// # Errors
    /// [`crate::StoreError::Missing`] without such an experiment.
    async fn keep(&self, experiment: &str, entries: &[VersionEntry]) -> Result<()>;

    /// One version; none if it is not kept or cannot be read.
    async fn version(&self, experiment: &str, version: u64) -> Result<Option<VersionEntry>>;

    /// Entries of versions as of `since` or later, oldest first: all, or at most `most` of them, which are spread evenly
    /// over time and begin with the first and end with the newest of those that can be read.
    async fn entries(&self, experiment: &str, since: Timestamp, most: usize) -> Result<Versions>;

    /// Of each of some experiments those among its newest `each` versions that are kept and can be read, oldest first; in
    /// one query.
    async fn newest(&self, experiments: &[String], each: usize) -> Result<Vec<(String, VersionEntry)>>;

    /// The highest version up to `latest` that is not kept.
    async fn highest_missing(&self, experiment: &str, latest: u64) -> Result<Option<u64>>;
}

/// Versions that were asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Versions {
    /// Those that can be read.
    pub entries: Vec<VersionEntry>,
    /// How many were left out, since they cannot: the past is there to look at, and one page of it must not hide the others.
    pub unreadable: usize,
}

/// One published version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VersionEntry {
    /// Version of this form.
    pub format: u32,
    /// Version of the posterior set.
    pub version: u64,
    /// Revision of the definition it was computed for.
    pub revision: u64,
    /// The moment to which ages of outcomes were counted.
    pub as_of: Timestamp,
    /// Whether it was written down later than it was published: counts are then of decisions before `as_of`, with rewards
    /// that came afterwards.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub made_up: bool,
    /// Index of the control.
    pub control: usize,
    /// The arms over all segments.
    pub arms: Vec<VersionArm>,
    /// What the stopping rule looks at; none where arms are dealt by segment or features.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_remaining: Option<Remaining>,
    /// Natural logarithm of the largest evidence so far that the log is not what its propensities say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_ratio: Option<f64>,
    /// Rewards beyond those of an even split, by the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gain: Option<Gain>,
    /// The policy's rate less the holdout's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holdout: Option<RateDifference>,
    /// Trials by propensity, in the bins of [`bandit::evaluate::PROPENSITY_EDGES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub propensities: Vec<u64>,
}

/// One arm over all segments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VersionArm {
    /// Arm id.
    pub id: String,
    /// Whether it was dealt to anybody new.
    pub enabled: bool,
    /// Exposed assignments.
    pub trials: u64,
    /// Those without a reward whose window was open.
    pub pending: u64,
    /// Those with a reward.
    pub rewards: u64,
    /// Pseudo-successes of the posterior.
    pub alpha: f64,
    /// Its pseudo-failures.
    pub beta: f64,
    /// Probability that no enabled arm has a higher rate.
    pub p_best: f64,
    /// Expected rate lost per trial if only this arm were shown.
    pub expected_loss: f64,
    /// Probability that the arm is dealt to a participant.
    pub allocation: f64,
}

impl VersionArm {
    /// Expected rate.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.posterior().mean()
    }

    /// The distribution of its rate.
    #[must_use]
    pub fn posterior(&self) -> Beta {
        Beta { alpha: self.alpha, beta: self.beta }
    }
}

impl VersionEntry {
    /// What `set` says of the whole experiment, with counts of `evidence` as they are at `now`. What checks know is for
    /// the caller to add.
    #[must_use]
    pub fn new(e: &Experiment, set: &PosteriorSet, evidence: &Evidence, now: Timestamp) -> Self {
        if e.candidates.is_some() && e.arms.is_empty() {
            let ids = foremost(evidence);
            let entry =
                Self::new(&e.with_candidates(&ids), &set.of_candidates(&ids), &evidence.of_candidates(&ids), now);
            let holdout = crate::results::holdout(e, &evidence.outcomes).and_then(|h| h.difference);
            return Self { holdout, ..entry };
        }
        let open_since = hour_of(now) - i64::from(e.reward.window_hours);
        let rows = rows_of(e, set, evidence, open_since);
        let alike = e.features.is_empty() && e.segment_by.is_empty() && e.candidates.is_none();
        let betas: Vec<Beta> = rows.iter().map(|r| r.posterior).collect();
        let arm = |(r, arm): (ArmResult, &bandit::Arm)| VersionArm {
            id: r.id,
            enabled: arm.enabled,
            trials: r.trials,
            pending: r.pending,
            rewards: r.rewards,
            alpha: r.posterior.alpha,
            beta: r.posterior.beta,
            p_best: r.p_best,
            expected_loss: r.expected_loss,
            allocation: r.allocation,
        };
        Self {
            format: HISTORY_FORMAT,
            version: set.version,
            revision: set.revision,
            as_of: set.as_of,
            made_up: false,
            control: e.control(),
            value_remaining: if alike { bandit::value_remaining(e, &betas) } else { None },
            arms: rows.into_iter().zip(&e.arms).map(arm).collect(),
            sample_ratio: None,
            gain: None,
            holdout: crate::results::holdout(e, &evidence.outcomes).and_then(|h| h.difference),
            propensities: Vec::new(),
        }
    }

    /// An entry for a set that was published some time ago, by the decisions from before it; none if the definition's arms
    /// are no longer the set's, or are a catalog's items.
    #[must_use]
    pub fn made_up(e: &Experiment, set: &PosteriorSet, evidence: &Evidence) -> Option<Self> {
        let known = set.arms.len() <= e.arms.len() && set.arms.iter().zip(&e.arms).all(|(id, arm)| *id == arm.id);
        if !known || e.candidates.is_some() {
            return None;
        }
        let mut then = e.clone();
        then.arms.truncate(set.arms.len());
        let before = |hour: i64| hour.saturating_mul(3600) < set.as_of.as_second();
        let arms = then.arms.len();
        let past = Evidence {
            outcomes: evidence.outcomes.iter().filter(|o| before(o.hour) && o.arm < arms).cloned().collect(),
            ..evidence.clone()
        };
        Some(Self { made_up: true, ..Self::new(&then, set, &past, set.as_of) })
    }

    /// The rows that results had, with intervals and uplifts computed anew from the same posteriors.
    #[must_use]
    pub fn rows(&self, memory: &Memory) -> Vec<ArmResult> {
        let betas: Vec<Beta> = self.arms.iter().map(VersionArm::posterior).collect();
        let enabled: Vec<bool> = self.arms.iter().map(|a| a.enabled).collect();
        let judged = memory.judge(&betas, &enabled, self.control);
        let row = |(arm, judged): (&VersionArm, &bandit::Judgement)| ArmResult {
            id: arm.id.clone(),
            trials: arm.trials,
            pending: arm.pending,
            rewards: arm.rewards,
            #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
            rate: (arm.trials > 0).then(|| arm.rewards as f64 / arm.trials as f64),
            interval: judged.interval,
            p_best: arm.p_best,
            expected_loss: arm.expected_loss,
            allocation: arm.allocation,
            uplift: judged.uplift.clone(),
            posterior: arm.posterior(),
        };
        self.arms.iter().zip(judged.iter()).map(row).collect()
    }
}

/// Which of the moments to take so that at most `most` are spread evenly, the first and the last among them. Moments are
/// in order.
pub(crate) fn thinned(moments: &[i64], most: usize) -> Vec<usize> {
    let (Some(&first), Some(&last)) = (moments.first(), moments.last()) else { return Vec::new() };
    if moments.len() <= most {
        return (0..moments.len()).collect();
    }
    let steps = i64::try_from(most.max(2) - 1).unwrap_or(i64::MAX);
    let mut taken = Vec::with_capacity(most.max(2));
    for step in 0..=steps {
        let goal = first.saturating_add((last - first) / steps * step + (last - first) % steps * step / steps);
        let at = moments.partition_point(|&m| m < goal).min(moments.len() - 1);
        if taken.last() != Some(&at) {
            taken.push(at);
        }
    }
    if let Some(end) = taken.last_mut() {
        // Several versions may be of one moment.
        *end = moments.len() - 1;
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::thinned;

    #[test]
    fn the_first_and_the_newest_stay_and_the_rest_is_even() {
        assert_eq!(thinned(&[], 5), [0; 0]);
        assert_eq!(thinned(&[3, 4], 5), [0, 1]);
        let hourly: Vec<i64> = (0..2160).collect();
        let taken = thinned(&hourly, 100);
        assert_eq!((taken.len(), taken[0], taken[99]), (100, 0, 2159));
        assert!(taken.windows(2).all(|w| (21..=22).contains(&(w[1] - w[0]))), "{taken:?}");
        // A burst does not push the rest away.
        let mut burst: Vec<i64> = (0..50).map(|n| n * 1000).collect();
        burst.splice(10..10, (0..500).map(|n| 9_500 + n % 2));
        burst.sort_unstable();
        let taken = thinned(&burst, 50);
        assert!(taken.len() >= 45 && taken.len() <= 50, "{}", taken.len());
        assert_eq!(thinned(&[5, 5, 5, 5], 2), [3], "one moment, the newest");
        assert_eq!(thinned(&[i64::MIN / 2, 0, i64::MAX / 2], 2), [0, 2]);
    }
}
