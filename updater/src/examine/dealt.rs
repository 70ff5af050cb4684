//! What was dealt in an hour, with the probabilities that it was dealt by.

use bandit::{Dealt, PosteriorSet};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{DealtRow, ExperimentRecord, Result, Stores};

/// The decisions of one hour.
///
/// Propensities are taken given whether the holdout dealt: a participant is in it for good, so that marginal ones of one
/// user's decisions are not independent. What another revision dealt with a holdout is left out, since its share then is
/// not known.
pub(super) async fn of_hour(stores: &Stores, record: &ExperimentRecord, hour: i64) -> Result<Vec<Dealt>> {
    let e = &record.definition;
    let rows = stores.findings.dealt(&e.id, hour..hour + 1).await?;
    let held_out = e.holdout > 0.0 || rows.iter().any(|r| r.holdout);
    let mut sets: BTreeMap<u64, Option<PosteriorSet>> = BTreeMap::new();
    let mut weights: BTreeMap<(u64, u64, String, bool), Option<Arc<[f64]>>> = BTreeMap::new();
    let mut dealt = Vec::with_capacity(rows.len());
    for row in rows {
        if held_out && row.revision != record.revision {
            continue;
        }
        if !sets.contains_key(&row.version) {
            sets.insert(row.version, stores.posteriors.at(&e.id, row.version).await?);
        }
        let set = sets[&row.version].as_ref().filter(|set| set.revision == row.revision);
        let place = (row.version, row.revision, row.segment.clone(), row.holdout);
        let weights = weights.entry(place).or_insert_with(|| {
            let list = set?.segments.get(&row.segment)?;
            let own = list.iter().enumerate().map(|(arm, p)| given(record, &row, arm, p.propensity));
            (list.len() == e.arms.len()).then(|| own.collect())
        });
        dealt.push(Dealt {
            hour,
            arm: row.arm,
            propensity: given(record, &row, row.arm, row.propensity),
            decisions: row.decisions,
            weights: weights.clone(),
        });
    }
    Ok(dealt)
}

/// The probability of an arm given who dealt, from the marginal one h/K + (1 − h) π.
fn given(record: &ExperimentRecord, row: &DealtRow, arm: usize, marginal: f64) -> f64 {
    let e = &record.definition;
    let enabled = |i: usize| e.arms.get(i).is_some_and(|a| a.enabled);
    #[expect(clippy::cast_precision_loss, reason = "at most 100 arms")]
    let k = (0..e.arms.len()).filter(|&i| enabled(i)).count() as f64;
    if !(marginal > 0.0 && marginal <= 1.0) || row.revision != record.revision || !enabled(arm) {
        marginal
    } else if row.holdout {
        1.0 / k
    } else if e.holdout >= 1.0 {
        marginal
    } else {
        // What rounds to nothing was dealt all the same.
        ((marginal - e.holdout / k) / (1.0 - e.holdout)).max(1e-12)
    }
}
