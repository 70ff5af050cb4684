//! What checks read, and what they found.

use crate::Result;
use async_trait::async_trait;
use bandit::Exposures;
use bandit::evaluate::WeightSums;
use jiff::Timestamp;
use std::ops::Range;

/// Counts of decisions that checks of an experiment's health read, each of some hours alone, and their findings.
#[async_trait]
pub trait Findings: Send + Sync {
    /// What was kept last.
    async fn findings(&self, experiment: &str) -> Result<Option<String>>;

    /// Keeps what was found, in place of what was kept before.
    ///
    /// # Errors
    /// [`crate::StoreError::Missing`] without such an experiment.
    async fn keep_findings(&self, experiment: &str, at: Timestamp, document: &str) -> Result<()>;

    /// Decisions of policy and holdout in some hours since 1970, exposed or not, that agree in all else; in order.
    async fn dealt(&self, experiment: &str, hours: Range<i64>) -> Result<Vec<DealtRow>>;

    /// Trials from `since` on by hour and arm, and how many of them a reward event of some name claims within
    /// `window_hours`; in order.
    async fn struck(
        &self,
        experiment: &str,
        event: &str,
        since: Timestamp,
        window_hours: u32,
    ) -> Result<Vec<StruckRow>>;

    /// What weighing by propensities needs of the trials of some hours, by hour, arm and bin of the propensity; in order.
    async fn weighed(&self, experiment: &str, hours: Range<i64>) -> Result<Vec<WeighedRow>>;

    /// Users dealt to in some hours, and those of several arms; and all assignments that were ever logged with two.
    async fn exposures(&self, experiment: &str, hours: Range<i64>) -> Result<Exposures>;
}

/// Decisions that agree.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub struct DealtRow {
    /// Hour of decision, counted from 1970.
    pub hour: i64,
    /// The segment.
    pub segment: String,
    /// Version of the posteriors that dealt.
    pub version: u64,
    /// Revision of the definition that dealt.
    pub revision: u64,
    /// Index of the arm.
    pub arm: usize,
    /// Dealt by the holdout's uniform draw.
    pub holdout: bool,
    /// As logged.
    pub propensity: f64,
    /// How many.
    pub decisions: u64,
}

/// Trials of an arm and hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StruckRow {
    /// Hour of decision, counted from 1970.
    pub hour: i64,
    /// Index of the arm.
    pub arm: usize,
    /// Exposed assignments.
    pub trials: u64,
    /// Those with the event.
    pub events: u64,
}

/// Trials of an hour and arm with propensities of one bin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WeighedRow {
    /// Hour of decision, counted from 1970.
    pub hour: i64,
    /// Index of the arm.
    pub arm: usize,
    /// Index of the bin, by [`bandit::evaluate::PROPENSITY_EDGES`]: an edge belongs to the bin that it ends.
    pub bin: usize,
    /// Sums over the trials; those without a propensity above 0 are left out.
    pub sums: WeightSums,
}
