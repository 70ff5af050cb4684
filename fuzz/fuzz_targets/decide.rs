//! A decide request from outside, through to the deal.
#![no_main]

use bandit::{DecideRequest, Decider, Experiment, Status};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static DECIDER: LazyLock<Decider> = LazyLock::new(|| {
    let json = r#"{"id":"e","arms":[{"id":"a"},{"id":"b"}],"segment_by":["device","x"],"holdout":0.1,"traffic":0.9,"reward":{"event":"buy"}}"#;
    let experiment: Experiment = serde_json::from_str(json).expect("a definition");
    Decider::new(experiment, Status::Running, None, 1, None).expect("a valid definition")
});

fuzz_target!(|data: &[u8]| {
    let Ok(request) = serde_json::from_slice::<DecideRequest>(data) else { return };
    if request.check().is_ok() {
        let now = jiff::Timestamp::UNIX_EPOCH;
        let deal = DECIDER.deal(&request, now);
        assert_eq!(deal.assignment, DECIDER.deal(&request, now).assignment);
        assert!(deal.assignment.propensity > 0.0 && deal.assignment.propensity <= 1.0);
    }
});
