//! Stored bytes: events, assignments, items, definitions, changes, what is popular, lists.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| store::conformance::parsers::stored(data));
