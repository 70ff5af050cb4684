//! A file of settings.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| croupier::fuzzing::settings(text));
