//! What an embeddings endpoint answers.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| embed::testing::answer(data));
