//! Of arms that are a catalog's items, results show those with most trials.

use crate::{ExperimentRecord, Result, Stores};
use bandit::{Evidence, Experiment, OTHER_CANDIDATES};

/// How many: each takes quadrature against all others.
pub const ARMS_SHOWN: usize = 50;

/// Ids of the arms that are shown.
pub(crate) fn foremost(evidence: &Evidence) -> Vec<String> {
    evidence.candidates.iter().filter(|id| *id != OTHER_CANDIDATES).take(ARMS_SHOWN).cloned().collect()
}

/// A record whose definition has the arms that results show, where they are a catalog's items; else as it is.
///
/// # Errors
/// When the counts cannot be read.
pub async fn with_foremost_arms(stores: &Stores, record: ExperimentRecord) -> Result<ExperimentRecord> {
    if record.definition.candidates.is_none() {
        return Ok(record);
    }
    let all = stores.outcomes.totals(&record.definition.id, i64::MAX).await?;
    Ok(with_foremost(&record, &all))
}

/// The same by counts that were read; arms that it has already stay.
pub(super) fn with_foremost(record: &ExperimentRecord, all: &Evidence) -> ExperimentRecord {
    let mut record = record.clone();
    if record.definition.candidates.is_some() && record.definition.arms.is_empty() {
        record.definition = record.definition.with_candidates(&foremost(all));
    }
    record
}

pub(super) fn ids(e: &Experiment) -> Vec<String> {
    e.arms.iter().map(|arm| arm.id.clone()).collect()
}

/// Counts of the arms that are shown.
pub(super) fn of_shown(e: &Experiment, evidence: Evidence) -> Evidence {
    if e.candidates.is_some() { evidence.of_candidates(&ids(e)) } else { evidence }
}

/// Arms with trials that are not shown; those beyond the bound of all are one more.
pub(super) fn left_out(all: &Evidence, shown: usize) -> u64 {
    all.candidates.len().saturating_sub(shown) as u64
}
