//! Stored bytes of a posterior set.
#![no_main]

use bandit::PosteriorSet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(set) = PosteriorSet::decode(data) {
        let bytes = set.encode().expect("what was read can be written");
        assert_eq!(PosteriorSet::decode(&bytes).expect("and read again"), set);
    }
});
