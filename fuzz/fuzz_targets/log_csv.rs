//! A historic log as CSV.
#![no_main]

use croupier::import::Format;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use tempfile::NamedTempFile;

static FILE: LazyLock<NamedTempFile> = LazyLock::new(|| NamedTempFile::new().expect("a file"));

fuzz_target!(|data: &[u8]| {
    std::fs::write(FILE.path(), data).expect("room");
    croupier::fuzzing::log(FILE.path(), Format::Csv);
});
