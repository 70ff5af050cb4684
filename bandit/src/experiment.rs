//! What an experiment is, as its owner writes it.

use crate::candidates::CandidateArms;
use crate::id::shows_nothing;
use crate::policy::PolicySpec;
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
    /// What can be shown, 2 to 100, in a fixed order: new ones go last. None with `candidates`.
    #[serde(default)]
    pub arms: Vec<Arm>,
    /// The items of a catalog, in place of arms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidates: Option<CandidateArms>,
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

    /// Name for people; the id where that would show nothing.
    #[must_use]
    pub fn title(&self) -> &str {
        if shows_nothing(&self.name) { &self.id } else { &self.name }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_shows_nothing_is_no_title() {
        let json = r#"{"id":"page","arms":[{"id":"a"},{"id":"b"}],"reward":{"event":"x"}}"#;
        let mut e: Experiment = serde_json::from_str(json).unwrap();
        for (name, title) in [("", "page"), ("\u{200b} \u{feff}", "page"), (" a\u{200b}", " a\u{200b}")] {
            e.name = name.into();
            assert_eq!(e.title(), title);
        }
    }
}
