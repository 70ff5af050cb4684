//! Data of a message of Pub/Sub.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| store::conformance::parsers::message(data));
