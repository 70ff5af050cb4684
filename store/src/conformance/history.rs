//! History: each published version once, thinned when there are many.

use super::{Place, change, experiment, moment};
use crate::{HISTORY_FORMAT, StoreError, Stores, VersionArm, VersionEntry};
use bandit::evaluate::Gain;
use bandit::{RateDifference, Remaining};
use jiff::Timestamp;
use jiff::civil::date;

const HOUR: i64 = 3_600_000;

async fn begin(place: &impl Place) -> Stores {
    let stores = place.open().await;
    for id in ["e", "f"] {
        stores.experiments.create(&experiment(id, ""), &change("me", "", 0)).await.unwrap();
    }
    stores
}

/// A version published `hours` after a certain one; its numbers have all their digits.
fn entry(version: u64, hours: i64) -> VersionEntry {
    let third = 1.0 / 3.0 + f64::from(u32::try_from(version).unwrap());
    let arm = |id: &str| VersionArm {
        id: id.into(),
        enabled: id != "c",
        trials: version * 10,
        pending: version,
        rewards: version * 2,
        alpha: third,
        beta: 0.1 + 0.2,
        p_best: 1e-17,
        expected_loss: 0.1,
        allocation: 1.0 - 1e-16,
    };
    VersionEntry {
        format: HISTORY_FORMAT,
        version,
        revision: 1,
        as_of: moment(hours * HOUR),
        made_up: version.is_multiple_of(2),
        control: 0,
        arms: ["a", "b", "c"].map(arm).into(),
        value_remaining: Some(Remaining { champion: 1, p_remaining: 0.25, remaining: 0.01, confidence: Some(0.9) }),
        sample_ratio: Some(-0.5),
        gain: Some(Gain {
            trials: 10,
            rewards: 2,
            uniform: 0.1,
            total: 1.0,
            interval: [-0.5, third],
            effective_trials: 8.5,
        }),
        holdout: Some(RateDifference { difference: 0.1, interval: [0.0, 0.2] }),
        propensities: vec![0, 10],
    }
}

fn versions(entries: &[VersionEntry]) -> Vec<u64> {
    entries.iter().map(|e| e.version).collect()
}

/// What is kept comes back as it was; again, it stays as it was first.
pub async fn kept_once(place: impl Place) {
    let stores = begin(&place).await;
    let bare = VersionEntry {
        value_remaining: None,
        sample_ratio: None,
        gain: None,
        holdout: None,
        propensities: Vec::new(),
        ..entry(2, 2)
    };
    stores.history.keep("e", &[entry(1, 1), bare.clone()]).await.unwrap();
    stores.history.keep("e", &[VersionEntry { revision: 9, ..entry(2, 5) }, entry(3, 3)]).await.unwrap();
    stores.history.keep("f", &[entry(2, 7)]).await.unwrap();
    let strange = stores.history.keep("none", &[entry(1, 1)]).await;
    assert!(matches!(strange, Err(StoreError::Missing(_))), "{strange:?}");
    drop(stores);
    let history = place.open().await.history;
    assert_eq!(
        history.entries("e", Timestamp::MIN, 9).await.unwrap().entries,
        [entry(1, 1), bare.clone(), entry(3, 3)]
    );
    assert_eq!(history.version("e", 2).await.unwrap(), Some(bare));
    assert_eq!(history.version("e", 4).await.unwrap(), None);
    assert_eq!(history.version("none", 1).await.unwrap(), None);
    assert_eq!(history.entries("none", Timestamp::MIN, 9).await.unwrap().entries, []);
}

/// However many there are, a reader gets as many as it asks for, the first and the newest among them, from its own range.
pub async fn thinned_evenly(place: impl Place) {
    let stores = begin(&place).await;
    let all: Vec<VersionEntry> = (1..=1300).map(|v| entry(v, i64::try_from(v).unwrap())).collect();
    stores.history.keep("e", &all).await.unwrap();
    stores.history.keep("f", &[entry(1, 1)]).await.unwrap();
    let few = stores.history.entries("e", Timestamp::MIN, 11).await.unwrap().entries;
    assert_eq!(versions(&few), [1, 131, 261, 391, 521, 651, 781, 911, 1041, 1171, 1300]);
    assert_eq!(
        versions(&stores.history.entries("e", moment(1298 * HOUR), 11).await.unwrap().entries),
        [1298, 1299, 1300]
    );
    assert_eq!(stores.history.entries("e", Timestamp::MIN, 5000).await.unwrap().entries.len(), 1300);
    assert_eq!(stores.history.entries("e", moment(1301 * HOUR), 9).await.unwrap().entries, []);
}

/// What cannot be read is left out and counted, and what can takes its place: of a later release, as if damaged.
pub async fn unreadable_versions_are_left_out(place: impl Place) {
    let stores = begin(&place).await;
    let strange = |version: u64| VersionEntry { format: HISTORY_FORMAT + 1, ..entry(version, 9) };
    stores.history.keep("e", &[strange(1), entry(2, 10), entry(3, 11), strange(4)]).await.unwrap();
    stores.history.keep("f", &[strange(1)]).await.unwrap();
    for most in [2, 9] {
        let found = stores.history.entries("e", Timestamp::MIN, most).await.unwrap();
        assert_eq!((versions(&found.entries), found.unreadable), (vec![2, 3], 2), "{most}");
    }
    let found = stores.history.entries("f", Timestamp::MIN, 9).await.unwrap();
    assert_eq!((found.entries.len(), found.unreadable), (0, 1));
    assert_eq!(stores.history.version("e", 4).await.unwrap(), None);
    let newest = stores.history.newest(&["e", "f"].map(String::from), 2).await.unwrap();
    assert_eq!(newest.iter().map(|(_, e)| e.version).collect::<Vec<_>>(), [3]);
}

/// The newest of several experiments at once.
pub async fn newest_of_several(place: impl Place) {
    let stores = begin(&place).await;
    stores.history.keep("e", &(1..=5).map(|v| entry(v, 1)).collect::<Vec<_>>()).await.unwrap();
    stores.history.keep("f", &[entry(1, 3)]).await.unwrap();
    let ids = ["f", "none", "e"].map(String::from);
    let newest = stores.history.newest(&ids, 2).await.unwrap();
    let found: Vec<(&str, u64)> = newest.iter().map(|(id, e)| (&**id, e.version)).collect();
    assert_eq!(found, [("e", 4), ("e", 5), ("f", 1)]);
    assert_eq!(stores.history.newest(&[], 2).await.unwrap(), []);
}

/// Gaps are found from the newest down.
pub async fn what_is_missing_is_found(place: impl Place) {
    let stores = begin(&place).await;
    let missing = async |latest| stores.history.highest_missing("e", latest).await.unwrap();
    assert_eq!((missing(0).await, missing(3).await), (None, Some(3)));
    for (kept, expected) in [(6, Some(5)), (3, Some(5)), (5, Some(4)), (4, Some(2)), (1, Some(2)), (2, None)] {
        stores.history.keep("e", &[entry(kept, 1)]).await.unwrap();
        assert_eq!(missing(6).await, expected, "after {kept}");
    }
    assert_eq!(missing(7).await, Some(7));
}

/// Versions go with their day, all but the newest, and with their experiment.
pub async fn forgotten_with_their_day(place: impl Place) {
    let stores = begin(&place).await;
    stores.history.keep("e", &[entry(1, 0), entry(2, 24), entry(3, 48)]).await.unwrap();
    stores.history.keep("f", &[entry(1, -24), entry(2, 0)]).await.unwrap();
    let kept = async |id: &str| versions(&stores.history.entries(id, Timestamp::MIN, 9).await.unwrap().entries);
    stores.outcomes.forget(date(2026, 11, 22)).await.unwrap();
    assert_eq!((kept("e").await, kept("f").await), (vec![2, 3], vec![2]));
    stores.outcomes.forget(date(2027, 11, 22)).await.unwrap();
    assert_eq!((kept("e").await, kept("f").await), (vec![3], vec![2]));
    stores.experiments.delete("e", &change("me", "", 0)).await.unwrap();
    stores.experiments.create(&experiment("e", ""), &change("me", "", 0)).await.unwrap();
    assert_eq!((kept("e").await, kept("f").await), (vec![], vec![2]));
}
