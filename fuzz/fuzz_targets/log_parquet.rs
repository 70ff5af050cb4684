//! A historic log as Parquet.
#![no_main]

use croupier::import::Format;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use tempfile::NamedTempFile;

static FILE: LazyLock<NamedTempFile> = LazyLock::new(|| NamedTempFile::new().expect("a file"));

fuzz_target!(
    // The decoder panics at some damaged files, which is caught: only a panic that is not ends the fuzzer.
    init: drop(std::panic::take_hook()),
    |data: &[u8]| {
        std::fs::write(FILE.path(), data).expect("room");
        croupier::fuzzing::log(FILE.path(), Format::Parquet);
    }
);
