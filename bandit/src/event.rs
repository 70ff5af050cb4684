//! What happens: decisions of ours, and rewards, exposures and views that pages report.

use crate::decide::Source;
use crate::id::check_id;
use crate::key::{DecisionId, event_key};
use crate::segment::Context;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How far clocks of pages and servers may differ: a reward stamped up to this long before its decision
/// belongs to it.
pub const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(60);
/// An event stamped later than this after its arrival is refused.
const MAX_AHEAD: SignedDuration = SignedDuration::from_mins(5);
/// An event older than this is refused: no reward window is longer.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(400 * 24);

/// One record of the event log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Event {
    /// An arm was dealt for the first time to a key.
    Decision(DecisionRecord),
    /// The same, told ahead of being shown: a trial once an exposure event says that it was seen, or a decision of it
    /// was asked for by itself.
    Offer(DecisionRecord),
    /// Something that a page reported.
    User(UserEvent),
}

/// What the log keeps of a first decision: enough to replay it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DecisionRecord {
    /// Hash of the assignment's key.
    #[schema(value_type = String)]
    pub decision_id: DecisionId,
    /// The experiment.
    pub experiment: String,
    /// The visitor.
    pub user: String,
    /// The item, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// The day in the experiment's time zone.
    #[schema(value_type = String, format = Date)]
    pub day: Date,
    /// Whose posteriors were drawn from.
    pub segment: String,
    /// Values of the declared features at the first draw, under a contextual policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub features: Option<Context>,
    /// The arm dealt.
    pub arm: String,
    /// Its probability.
    pub propensity: f64,
    /// Of an item of a list: its place, from 0. The propensity is that of the item at this place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// Names the list that it was first shown in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub list: Option<DecisionId>,
    /// Posterior version.
    pub posterior_version: u64,
    /// Revision of the definition.
    pub revision: u64,
    /// Who chose.
    pub source: Source,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// What a page sends.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct NewEvent {
    /// Makes redelivery harmless; made by the server when absent.
    pub id: Option<String>,
    /// `reward`, `exposure` or `view`.
    #[serde(rename = "type")]
    pub kind: Option<UserEventKind>,
    /// Name of a reward.
    pub name: Option<String>,
    /// The visitor.
    pub user: Option<String>,
    /// The item.
    pub item: Option<String>,
    /// The decision it belongs to, as decide returned it.
    #[schema(value_type = Option<String>)]
    pub decision_id: Option<DecisionId>,
    /// Restricts the event to one experiment.
    pub experiment: Option<String>,
    /// Size of the reward, 0 or more; 1 when absent.
    pub value: Option<f64>,
    /// When it happened; on arrival when absent, or when that is up to five minutes ahead.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
}

/// The kinds of events that pages report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserEventKind {
    /// Success, or a guardrail's event.
    Reward,
    /// The arm was seen.
    Exposure,
    /// An item was looked at.
    View,
}

impl UserEventKind {
    /// Its name in JSON and SQL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reward => "reward",
            Self::Exposure => "exposure",
            Self::View => "view",
        }
    }
}

/// A checked event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UserEvent {
    /// Idempotency key.
    pub id: String,
    /// What happened.
    pub kind: UserEventKind,
    /// Name of a reward, else empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The visitor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// The decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision_id: Option<DecisionId>,
    /// The only experiment it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<String>,
    /// Size of a reward.
    pub value: f64,
    /// When it happened.
    pub at: Timestamp,
}

impl UserEvent {
    /// Fixed-size name of the event's id.
    #[must_use]
    pub fn key(&self) -> [u8; 16] {
        event_key(&self.id)
    }
}

/// Why an event cannot be taken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EventError {
    /// A field is missing that this type needs.
    #[error("{0}: is required {1}")]
    Missing(&'static str, &'static str),
    /// A field is not what it may be.
    #[error("{0}: {1}")]
    Bad(&'static str, String),
}

impl NewEvent {
    /// Checks an event that arrived at `now`; `id` is used if it brought none.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn check(self, now: Timestamp, id: impl FnOnce() -> String) -> Result<UserEvent, EventError> {
        use EventError::{Bad, Missing};
        let kind = self.kind.ok_or(Missing("type", "('reward', 'exposure' or 'view')"))?;
        for (field, value) in [
            ("id", &self.id),
            ("name", &self.name),
            ("user", &self.user),
            ("item", &self.item),
            ("experiment", &self.experiment),
        ] {
            if let Some(value) = value {
                check_id(value).map_err(|e| Bad(field, e.to_string()))?;
            }
        }
        match kind {
            UserEventKind::Reward => {
                if self.name.is_none() {
                    return Err(Missing("name", "for a reward"));
                }
                if self.user.is_none() && self.decision_id.is_none() {
                    return Err(Missing("decision_id", "for a reward without 'user'"));
                }
            }
            UserEventKind::Exposure => {
                if self.decision_id.is_none() && (self.user.is_none() || self.experiment.is_none()) {
                    return Err(Missing("decision_id", "for an exposure without 'user' and 'experiment'"));
                }
            }
            UserEventKind::View => {
                if self.user.is_none() || self.item.is_none() {
                    return Err(Missing("user", "for a view, and so is 'item'"));
                }
            }
        }
        let value = self.value.unwrap_or(1.0);
        if !(0.0..=1e15).contains(&value) {
            return Err(Bad("value", "must be a number from 0 to 1e15".into()));
        }
        let at = self.at.unwrap_or(now);
        if at.duration_since(now) > MAX_AHEAD {
            return Err(Bad("at", format!("is in the future: {at}, and it is {now}")));
        }
        if now.duration_since(at) > MAX_AGE {
            return Err(Bad("at", format!("is more than 400 days ago: {at}")));
        }
        Ok(UserEvent {
            id: self.id.unwrap_or_else(id),
            kind,
            name: self.name.unwrap_or_default(),
            user: self.user,
            item: self.item,
            decision_id: self.decision_id,
            experiment: self.experiment,
            value,
            // Nothing has happened later than now: of clocks, ours is the one that all else here goes by.
            at: at.min(now),
        })
    }
}
