//! A policy as people write it for an evaluation.
#![no_main]

use bandit::evaluate::Target;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Target::parse(text) {
        Ok(Target::Fixed(shares)) => {
            let total: f64 = shares.iter().map(|(_, share)| share).sum();
            assert!((total - 1.0).abs() < 2e-6 && shares.iter().all(|(arm, _)| !arm.is_empty()), "{total}");
        }
        Ok(target) => assert_eq!(Target::parse(text), Ok(target)),
        Err(why) => assert!(!why.to_string().is_empty()),
    }
});
