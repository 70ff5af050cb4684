//! How arms are chosen, as an experiment's owner writes it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How arms are chosen and how the past is weighed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct PolicySpec {
    /// The rule.
    #[serde(default)]
    pub kind: PolicyKind,
    /// Least probability of every enabled arm, at most 1 / arms.
    #[serde(default)]
    pub floor: f64,
    /// Share of uniform exploration under `epsilon_greedy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
    /// Age in hours at which an outcome counts half; absent: all count in full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub half_life_hours: Option<f64>,
    /// Full hours of decision that are learnt from, counted back from now, beside the one under way; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_hours: Option<u32>,
    /// Whether segments lend each other strength.
    #[serde(default)]
    pub pooling: Pooling,
    /// What becomes of older outcomes when the arms' rates have changed.
    #[serde(default, skip_serializing_if = "OnChange::is_keep")]
    pub on_change: OnChange,
    /// Factor on the standard deviation of what `thompson` and `top_two_thompson` draw: below 1 explores less. Absent: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub posterior_scale: Option<f64>,
    /// Standard deviations of its posterior by which `logistic_thompson` and `linear_thompson` draw every arm above its mean:
    /// arms that are little known are tried sooner, and those that are known waste less. Absent: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimism: Option<f64>,
    /// Rewards that a segment must have seen to explore with half of the posterior's variance, where segments are many: few
    /// rewards explore little. Absent: all explore fully.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace_rewards: Option<f64>,
    /// Share of draws in which `top_two_thompson` deals its leader rather than the challenger. Absent: 0.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader_share: Option<f64>,
}

impl PolicySpec {
    /// Settings that do well where rates stand still, where they change and where segments are many, or, with features, where
    /// arms depend on them: `bandit/tests/regret.rs` and `contextual.rs` have the figures.
    #[must_use]
    pub fn recommended(contextual: bool) -> Self {
        if contextual {
            return Self {
                kind: PolicyKind::LogisticThompson,
                posterior_scale: Some(0.25),
                optimism: Some(1.2),
                ..Self::default()
            };
        }
        Self {
            pooling: Pooling::Hierarchical,
            on_change: OnChange::Forget,
            pace_rewards: Some(100.0),
            posterior_scale: Some(0.8),
            ..Self::default()
        }
    }

    /// Reads how people name a policy: JSON as in an experiment, `recommended`, or a kind with nothing else set. None if it
    /// is something else.
    ///
    /// # Errors
    /// What is wrong with JSON: field and reason, in one line.
    pub fn named(given: &str) -> Result<Option<Self>, String> {
        if given.starts_with('{') {
            return from_json(given).map(Some);
        }
        if given == "recommended" {
            return Ok(Some(Self::recommended(false)));
        }
        Ok(serde_json::from_value(serde_json::json!({ "kind": given })).ok())
    }

    /// Exploration share of `epsilon_greedy`.
    #[must_use]
    pub fn epsilon(&self) -> f64 {
        self.epsilon.unwrap_or(0.1)
    }

    /// Factor on the standard deviation of what is drawn.
    #[must_use]
    pub fn posterior_scale(&self) -> f64 {
        self.posterior_scale.unwrap_or(1.0)
    }

    /// Deviations by which contextual policies draw above the mean.
    #[must_use]
    pub fn optimism(&self) -> f64 {
        self.optimism.unwrap_or(0.0)
    }

    /// Whether priors are fitted across segments. Under a contextual policy segments are for people to read, and arms share a
    /// prior within the model.
    #[must_use]
    pub fn pools_segments(&self) -> bool {
        self.pooling == Pooling::Hierarchical && !self.kind.is_contextual()
    }

    /// Whether what one segment has seen changes how another is dealt.
    #[must_use]
    pub fn shares_segments(&self) -> bool {
        self.pools_segments() || self.pace_rewards.is_some()
    }

    /// Share of the leader under `top_two_thompson`.
    #[must_use]
    pub fn leader_share(&self) -> f64 {
        self.leader_share.unwrap_or(0.5)
    }
}

/// Reads JSON; what is wrong with it is told as field and reason, in one line.
///
/// # Errors
/// When it is not JSON of such a thing.
pub fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|e| {
        let field = e.path().to_string();
        if field == "." { e.inner().to_string() } else { format!("{field}: {}", e.inner()) }
    })?;
    json.end().map_err(|e| e.to_string())?;
    Ok(value)
}

/// The rule by which arms are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicyKind {
    /// The arm whose draw from its Beta posterior is highest (Thompson 1933).
    #[default]
    Thompson,
    /// The leader of a draw or, to tell the best arm from the second best, its challenger (Russo 2016).
    TopTwoThompson,
    /// The highest posterior mean, or with probability epsilon any arm.
    EpsilonGreedy,
    /// The highest posterior quantile of an order that grows with the trials (Kaufmann, Cappé & Garivier 2012).
    BayesUcb,
    /// Constant shares by weight: an A/B test.
    Fixed,
    /// The arm whose drawn log-odds are highest in the request's context, by Bayesian logistic regression on features.
    LogisticThompson,
    /// The same for rates, by Bayesian linear regression.
    LinearThompson,
}

impl PolicyKind {
    /// Whether arms are dealt by the request's features.
    #[must_use]
    pub fn is_contextual(self) -> bool {
        matches!(self, Self::LogisticThompson | Self::LinearThompson)
    }
}

/// What becomes of older outcomes when a change of the arms' rates was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnChange {
    /// They count on; the change is reported.
    #[default]
    Keep,
    /// They count no more.
    Forget,
}

impl OnChange {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    fn is_keep(&self) -> bool {
        *self == Self::Keep
    }
}

/// Whether segments lend each other strength.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Each segment learns alone.
    #[default]
    None,
    /// Arms share a fitted prior across segments.
    Hierarchical,
}
