//! Lines of the logs that are sent again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| loadtest::fuzzing::log(text));
