//! What was dealt in an hour, with the probabilities that it was dealt by.

use bandit::{Dealt, PosteriorSet};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use store::{DealtRow, ExperimentRecord, Result, Stores};

/// Version, revision, segment, and whether the holdout dealt: what shares its probabilities.
type Place = (u64, u64, String, bool);

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
    let mut weights: BTreeMap<Place, Option<Arc<[f64]>>> = BTreeMap::new();
    let mut dealt = Vec::with_capacity(rows.len());
    for row in rows {
        if held_out && row.revision != record.revision {
            continue;
        }
        if let Entry::Vacant(place) = sets.entry(row.version) {
            place.insert(stores.posteriors.at(&e.id, row.version).await?);
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

#[cfg(test)]
mod tests {
    use super::*;
    use bandit::{Experiment, Status};
    use jiff::Timestamp;

    #[test]
    fn propensities_are_given_who_dealt() {
        let text = r#"{"id":"e","arms":[{"id":"a"},{"id":"b"},{"id":"c","enabled":false}],"reward":{"event":"buy"},
            "holdout":0.2}"#;
        let definition: Experiment = serde_json::from_str(text).unwrap();
        let record = ExperimentRecord {
            definition,
            status: Status::Running,
            winner: None,
            revision: 2,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
            started_at: None,
            stopped_at: None,
            frozen_at: None,
        };
        let row = |holdout, revision| DealtRow {
            hour: 0,
            segment: "all".into(),
            version: 1,
            revision,
            arm: 0,
            holdout,
            propensity: 0.66,
            decisions: 1,
        };
        // 0.2 / 2 + 0.8 · 0.7
        assert!((given(&record, &row(false, 2), 0, 0.66) - 0.7).abs() < 1e-12);
        assert!((given(&record, &row(true, 2), 0, 0.66) - 0.5).abs() < 1e-12);
        assert!((given(&record, &row(false, 1), 0, 0.66) - 0.66).abs() < 1e-12, "of another holdout");
        assert!(given(&record, &row(false, 2), 0, 0.1) > 0.0, "rounded to nothing");
        for impossible in [0.0, -1.0, 1.5, f64::INFINITY] {
            assert_eq!(given(&record, &row(false, 2), 0, impossible).to_bits(), impossible.to_bits());
        }
    }
}
