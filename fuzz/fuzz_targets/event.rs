//! An event from outside, through to its stored form and back.
#![no_main]

use bandit::{Event, NewEvent};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(event) = serde_json::from_slice::<NewEvent>(data) else { return };
    if let Ok(event) = event.check(jiff::Timestamp::UNIX_EPOCH, || "made".into()) {
        let record = Event::User(event);
        let stored = serde_json::to_vec(&record).expect("a checked event can be stored");
        assert_eq!(serde_json::from_slice::<Event>(&stored).expect("and read"), record);
    }
});
