//! Experiments looked for, with what a list shows of each.

use crate::ExperimentRecord;
use bandit::Status;

/// Which experiments, in which order.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// Part of an id, a name or the id of an arm, whatever the case of its ASCII letters; empty for all.
    pub text: String,
    /// In this status.
    pub status: Option<Status>,
    /// Those alone that have been started and that a check worries about.
    pub worrying: bool,
    /// Their order.
    pub order: Order,
    /// From which hour of decision on, counted from 1970, trials are recent.
    pub recent_since: i64,
    /// How many are passed over.
    pub skip: usize,
    /// Most that are found.
    pub limit: usize,
}

/// An order; ids decide between equals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// By id.
    #[default]
    Id,
    /// The newest first.
    Newest,
    /// Those with most recent trials first.
    Traffic,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// How many there are of the kind.
    pub total: u64,
    /// Some of them.
    pub experiments: Vec<Listed>,
}

/// One experiment of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The experiment.
    pub record: ExperimentRecord,
    /// Its recent trials.
    pub recent: u64,
    /// Names of the checks that are not well, as last found.
    pub worries: Vec<String>,
}

/// Outcomes of an experiment's decisions of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayTraffic {
    /// The experiment.
    pub experiment: String,
    /// Day of decision (UTC), counted from 1970.
    pub day: i64,
    /// Trials.
    pub trials: u64,
    /// Those with a reward.
    pub rewards: u64,
}
