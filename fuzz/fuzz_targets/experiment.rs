//! A definition from outside: refused, or it can be compiled and recomputed.
#![no_main]

use bandit::{Decider, Evidence, Experiment, Explorer, Status, recompute, validate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(experiment) = serde_json::from_slice::<Experiment>(data) else { return };
    if validate(&experiment).is_err() {
        return;
    }
    let set = recompute(&experiment, 1, 1, &Evidence::default(), jiff::Timestamp::UNIX_EPOCH);
    if experiment.candidates.is_some() {
        Explorer::new(experiment, Status::Running, 1, Some(&set)).expect("a valid definition orders lists");
        return;
    }
    for list in set.segments.values() {
        let total: f64 = list.iter().map(|p| p.propensity).sum();
        assert!((total - 1.0).abs() < 1e-9, "{total}");
    }
    Decider::new(experiment, Status::Running, None, 1, Some(&set)).expect("a valid definition decides");
});
