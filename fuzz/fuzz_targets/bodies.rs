//! Bodies of several things: events, batches of decisions, searches.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| api::fuzzing::bodies(data));
