//! Backups, and frames of them whose checksums are right.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| store::conformance::parsers::backup(data));
