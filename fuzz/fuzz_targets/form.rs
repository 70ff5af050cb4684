//! The form of a definition, as a browser sends it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| dashboard::fuzzing::form(data));
