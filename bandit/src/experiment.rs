//! What an experiment is, as its owner writes it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An experiment's definition. Rules that types cannot express are in [`crate::validate`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct Experiment {
    /// Identifier, `[a-z0-9][a-z0-9_-]{0,63}`.
    #[schema(example = "product-page")]
    pub id: String,
    /// Name for people; the id when empty.
    #[serde(default)]
    pub name: String,
    /// What can be shown, 2 to 100, in a fixed order: new ones go last.
    pub arms: Vec<Arm>,
    /// How arms are chosen.
    #[serde(default)]
    pub policy: PolicySpec,
    /// Context attributes that split traffic into segments, each with posteriors of its own.
    #[serde(default)]
    pub segment_by: Vec<String>,
    /// Context attributes that a contextual policy learns from.
    #[serde(default)]
    pub features: Vec<Feature>,
    /// What keeps its arm.
    #[serde(default)]
    pub sticky: Sticky,
    /// What counts as success.
    pub reward: RewardSpec,
    /// Events whose rate must stay low.
    #[serde(default)]
    pub guardrails: Vec<Guardrail>,
    /// Share of users who take part, 0 to 1.
    #[serde(default = "one")]
    pub traffic: f64,
    /// Share of participants dealt uniformly at random, to measure the policy against, 0 to 1.
    #[serde(default)]
    pub holdout: f64,
    /// When an assignment becomes a trial.
    #[serde(default)]
    pub exposure: Exposure,
    /// When the experiment may be stopped; absent: advice by the defaults.
    #[serde(default)]
    pub stopping: Option<Stopping>,
}

impl Experiment {
    /// Index of the control arm: the marked one, or the first.
    #[must_use]
    pub fn control(&self) -> usize {
        self.arms.iter().position(|a| a.control).unwrap_or(0)
    }

    /// Index of the arm with this id.
    #[must_use]
    pub fn arm_index(&self, id: &str) -> Option<usize> {
        self.arms.iter().position(|a| a.id == id)
    }

    /// Name for people.
    #[must_use]
    pub fn title(&self) -> &str {
        if self.name.is_empty() { &self.id } else { &self.name }
    }
}

fn one() -> f64 {
    1.0
}

fn yes() -> bool {
    true
}

/// One variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct Arm {
    /// Identifier within the experiment.
    #[schema(example = "b")]
    pub id: String,
    /// The arm that others are compared with, and that is shown when nothing is decided.
    #[serde(default)]
    pub control: bool,
    /// What the page receives when this arm is dealt: any JSON.
    #[serde(default)]
    pub payload: serde_json::Value,
    /// Belief before any outcome.
    #[serde(default)]
    pub prior: Prior,
    /// A disabled arm is dealt to nobody new; who has it keeps it.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Share under the `fixed` policy, relative to the other arms'.
    #[serde(default = "one")]
    pub weight: f64,
}

/// Parameters of a Beta prior: pseudo-counts of successes and failures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct Prior {
    /// Pseudo-successes, positive.
    pub alpha: f64,
    /// Pseudo-failures, positive.
    pub beta: f64,
}

impl Default for Prior {
    /// Uniform on rates.
    fn default() -> Self {
        Self { alpha: 1.0, beta: 1.0 }
    }
}

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
            return Self { kind: PolicyKind::LogisticThompson, posterior_scale: Some(0.5), ..Self::default() };
        }
        Self {
            pooling: Pooling::Hierarchical,
            on_change: OnChange::Forget,
            pace_rewards: Some(100.0),
            posterior_scale: Some(0.8),
            ..Self::default()
        }
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

/// A declared context attribute of a contextual policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct Feature {
    /// Key in the request's context.
    pub name: String,
    /// How its values are read.
    pub kind: FeatureKind,
}

/// How a feature's values are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FeatureKind {
    /// A number.
    Numeric,
    /// One of a set of names.
    Categorical,
}

/// What keeps its arm, and where its day begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct Sticky {
    /// Parts of the assignment's key.
    #[serde(default = "by_all")]
    pub by: Vec<StickyBy>,
    /// IANA time zone in which days are counted.
    #[serde(default = "utc")]
    #[schema(example = "Asia/Tokyo")]
    pub time_zone: String,
}

impl Default for Sticky {
    fn default() -> Self {
        Self { by: by_all(), time_zone: utc() }
    }
}

fn by_all() -> Vec<StickyBy> {
    vec![StickyBy::User, StickyBy::Item, StickyBy::Day]
}

fn utc() -> String {
    "UTC".into()
}

/// A part of the assignment's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StickyBy {
    /// The visitor.
    User,
    /// The thing looked at.
    Item,
    /// The calendar day in the experiment's time zone.
    Day,
}

/// What counts as success.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RewardSpec {
    /// Name of the reward event.
    #[schema(example = "purchase")]
    pub event: String,
    /// How several rewards of one decision add up.
    #[serde(default)]
    pub kind: RewardKind,
    /// Hours after the decision within which a reward counts.
    #[serde(default = "day_long")]
    pub window_hours: u32,
}

fn day_long() -> u32 {
    24
}

/// How rewards are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RewardKind {
    /// A decision succeeded or not: one positive reward or several are one success.
    #[default]
    Binary,
}

/// An event whose rate must stay low.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct Guardrail {
    /// Name of the event. It counts within the reward's window after its decision, 48 hours at most.
    pub event: String,
    /// Highest acceptable share of trials with it.
    pub max_rate: f64,
    /// Whether a breach by an arm other than the control deals the control to everyone new.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub freeze: bool,
}

/// When an experiment may be stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct Stopping {
    /// Whether the updater stops it with the winner; otherwise it advises.
    #[serde(default)]
    pub automatic: bool,
    /// Share of the champion's rate that another arm may be better by.
    #[serde(default = "one_percent")]
    pub value_remaining: f64,
    /// Probability with which no more than that may remain.
    #[serde(default = "rule_of_95")]
    pub confidence: f64,
    /// Hours since the start before which it is always too early: a shop's week has its rhythm.
    #[serde(default = "one_week")]
    pub min_hours: u32,
}

impl Default for Stopping {
    fn default() -> Self {
        Self { automatic: false, value_remaining: one_percent(), confidence: rule_of_95(), min_hours: one_week() }
    }
}

fn one_percent() -> f64 {
    0.01
}

fn rule_of_95() -> f64 {
    0.95
}

fn one_week() -> u32 {
    168
}

/// When an assignment becomes a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Exposure {
    /// As soon as it is decided.
    #[default]
    Decide,
    /// When an exposure event says that it was seen.
    Event,
}

/// Where an experiment is in its life: `draft → running ⇄ paused → stopped`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not started: everyone gets the control.
    Draft,
    /// Deciding and learning.
    Running,
    /// Who has an arm keeps it, new ones get the control; rewards still count.
    Paused,
    /// Ended for good, with or without a winner.
    Stopped,
}

impl Status {
    /// Its name in JSON and SQL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }

    /// The status with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Draft, Self::Running, Self::Paused, Self::Stopped].into_iter().find(|s| s.as_str() == name)
    }

    /// Whether this status may become `next`.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        use Status::{Draft, Paused, Running, Stopped};
        matches!((self, next), (Draft | Paused, Running) | (Running, Paused) | (Running | Paused, Stopped))
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
