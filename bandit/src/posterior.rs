//! What was learnt, published whole and versioned.

use crate::beta::Beta;
use crate::context::{ContextModel, ContextOutcome, ContextPolicy};
use crate::experiment::Experiment;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Newest version of the JSON form: 2 has a contextual policy's model or what segments share; 1 has neither and is written
/// still.
const FORMAT: u32 = 2;

/// The posteriors of every segment and arm of an experiment as of one moment. Its bytes are a function of
/// the outcomes, the definition and `as_of` alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PosteriorSet {
    /// Version of this form.
    format: u32,
    /// The experiment.
    pub experiment: String,
    /// 1, 2, 3 …; 0 is the prior, before anything was published.
    pub version: u64,
    /// Revision of the definition it was computed for.
    pub revision: u64,
    /// The moment to which ages of outcomes are counted.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
    /// Arm ids, in the definition's order: the order of every list below.
    pub arms: Vec<String>,
    /// Segment → one posterior per arm.
    pub segments: BTreeMap<String, Vec<ArmPosterior>>,
    /// What a contextual policy deals from; the posteriors above are then for people to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ContextModel>,
    /// What segments share, where they are pooled or paced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<Shared>,
}

/// What one segment's deals have from the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Shared {
    /// One posterior per arm for a segment that nothing is known of.
    pub unseen: Vec<ArmPosterior>,
    /// Factor on the standard deviation of such a segment's draws.
    pub unseen_scale: f64,
    /// The same factor of each segment.
    pub scales: BTreeMap<String, f64>,
}

impl Shared {
    fn is_sound(&self, set: &PosteriorSet) -> bool {
        let scale = |s: &f64| s.is_finite() && *s > 0.0;
        self.unseen.len() == set.arms.len()
            && self.unseen.iter().all(ArmPosterior::is_sound)
            && scale(&self.unseen_scale)
            && self.scales.values().all(scale)
            && self.scales.keys().eq(set.segments.keys())
    }
}

/// One arm in one segment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ArmPosterior {
    /// Pseudo-successes.
    pub alpha: f64,
    /// Pseudo-failures.
    pub beta: f64,
    /// Probability that the policy deals this arm to a participant, holdout included. Of a contextual policy, its
    /// mean over the contexts of the latest decisions.
    pub propensity: f64,
}

impl ArmPosterior {
    /// The distribution of the arm's rate.
    #[must_use]
    pub fn beta(&self) -> Beta {
        Beta { alpha: self.alpha, beta: self.beta }
    }

    fn is_sound(&self) -> bool {
        Beta::new(self.alpha, self.beta).is_some() && (0.0..=1.0).contains(&self.propensity)
    }
}

/// Why bytes are not a posterior set.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not the JSON of a set.
    #[error("not a posterior set: {0}")]
    Json(#[from] serde_json::Error),
    /// Written by a later release.
    #[error("posterior set has format {0}, this release reads up to {FORMAT}: upgrade")]
    Format(u32),
    /// Numbers that no update writes.
    #[error("posterior set of segment '{0}' is damaged: a list is not one positive pair per arm")]
    Damaged(String),
    /// A model of lengths or numbers that no update writes.
    #[error("posterior set is damaged: its model does not fit its arms and features")]
    Model,
    /// Pooling that no update writes.
    #[error("posterior set is damaged: what segments share does not fit its arms and segments")]
    Shared,
}

impl PosteriorSet {
    /// A set in the present form.
    #[must_use]
    pub fn new(
        experiment: &str,
        version: u64,
        revision: u64,
        as_of: Timestamp,
        arms: Vec<String>,
        segments: BTreeMap<String, Vec<ArmPosterior>>,
    ) -> Self {
        let experiment = experiment.into();
        Self { format: 1, experiment, version, revision, as_of, arms, segments, model: None, shared: None }
    }

    /// The set with the model of its contextual policy, made from `outcomes`, over whose latest contexts the arms'
    /// probabilities are averaged.
    #[must_use]
    pub fn with_model(mut self, experiment: &Experiment, model: ContextModel, outcomes: &[ContextOutcome]) -> Self {
        let policy = ContextPolicy::new(experiment, &model, &self.arms);
        let shares = policy.mean_propensities(outcomes, self.arms.len());
        for list in self.segments.values_mut() {
            for (posterior, share) in list.iter_mut().zip(&shares) {
                posterior.propensity = *share;
            }
        }
        Self { format: FORMAT, model: Some(model), ..self }
    }

    /// The set with what its segments share.
    #[must_use]
    pub fn with_shared(self, shared: Shared) -> Self {
        Self { format: FORMAT, shared: Some(shared), ..self }
    }

    /// The factor on the standard deviation of a segment's draws.
    #[must_use]
    pub fn scale(&self, segment: &str) -> f64 {
        self.shared.as_ref().and_then(|shared| shared.scales.get(segment)).copied().unwrap_or(1.0)
    }

    /// Its bytes: canonical, since maps are ordered and floats are printed shortest.
    ///
    /// # Errors
    /// None that a set built by this crate can meet.
    pub fn encode(&self) -> Result<Vec<u8>, DecodeError> {
        Ok(serde_json::to_vec(self)?)
    }

    /// Reads the bytes of any release up to this one.
    ///
    /// # Errors
    /// When they are not a set, or one of a later release.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let Head { format } = serde_json::from_slice(bytes)?;
        if !(1..=FORMAT).contains(&format) {
            return Err(DecodeError::Format(format));
        }
        let set: Self = serde_json::from_slice(bytes)?;
        let sound = |list: &Vec<ArmPosterior>| list.len() == set.arms.len() && list.iter().all(ArmPosterior::is_sound);
        match set.segments.iter().find(|(_, list)| !sound(list)) {
            Some((segment, _)) => Err(DecodeError::Damaged(segment.clone())),
            None if set.model.as_ref().is_some_and(|model| !model.is_sound(set.arms.len())) => Err(DecodeError::Model),
            None if set.shared.as_ref().is_some_and(|shared| !shared.is_sound(&set)) => Err(DecodeError::Shared),
            None if (set.model.is_some() || set.shared.is_some()) != (format == 2) => Err(DecodeError::Model),
            None => Ok(set),
        }
    }

    /// Whether publishing `self` after `earlier` would tell nobody anything new.
    #[must_use]
    pub fn says_the_same_as(&self, earlier: &Self) -> bool {
        (self.revision, &self.arms, &self.segments, &self.model, &self.shared)
            == (earlier.revision, &earlier.arms, &earlier.segments, &earlier.model, &earlier.shared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stored sets of old releases must still be read.
    #[test]
    fn format_1_is_read_and_written() {
        let bytes = include_bytes!("../fixtures/posterior_set.v1.json");
        let set = PosteriorSet::decode(bytes).unwrap();
        assert_eq!((set.version, set.segments["device=mobile"][1].alpha), (42, 62.0));
        assert_eq!(set.encode().unwrap(), bytes.trim_ascii_end());
    }

    #[test]
    fn format_2_is_read_and_written() {
        let text = include_str!("../fixtures/posterior_set.v2.json");
        let set = PosteriorSet::decode(text.as_bytes()).unwrap();
        assert_eq!(set.model.as_ref().unwrap().arms[1].mean, [-2.9, 0.1875, 0.75, -0.75]);
        assert_eq!(set.encode().unwrap(), text.trim_ascii_end().as_bytes());
        for (from, to) in [
            ("0.0625,0.001", "0.0625"),
            ("-2.9,", ""),
            ("12.25", "-12.25"),
            ("\"format\":2", "\"format\":1"),
            (r#""mobile","desktop""#, r#""mobile""#),
        ] {
            let damaged = text.replace(from, to);
            assert!(matches!(PosteriorSet::decode(damaged.as_bytes()), Err(DecodeError::Model)), "{from}");
        }
    }

    #[test]
    fn strangers_and_damage_are_refused() {
        let text = include_str!("../fixtures/posterior_set.v1.json");
        let later = text.replace("\"format\":1", "\"format\":3");
        assert!(matches!(PosteriorSet::decode(later.as_bytes()), Err(DecodeError::Format(3))));
        let lacking = text.replace("\"format\":1", "\"format\":2");
        assert!(matches!(PosteriorSet::decode(lacking.as_bytes()), Err(DecodeError::Model)));
        let negative = text.replace("\"alpha\":62.0", "\"alpha\":-62.0");
        assert!(matches!(PosteriorSet::decode(negative.as_bytes()), Err(DecodeError::Damaged(_))));
        assert!(matches!(PosteriorSet::decode(b"{}"), Err(DecodeError::Json(_))));
    }
}
