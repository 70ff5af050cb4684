//! The peer of a first decision: one small append made durable, with nothing around it.

use crate::Outcome;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// Times of appends of 64 bytes, each followed by `fdatasync`, for `duration`; in milliseconds.
pub(crate) fn appends(directory: &Path, duration: Duration) -> Outcome<Vec<f64>> {
    let path = directory.join("fdatasync");
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    let begun = Instant::now();
    let mut times = Vec::new();
    while begun.elapsed() < duration {
        let one = Instant::now();
        file.write_all(&[7; 64])?;
        file.sync_data()?;
        times.push(one.elapsed().as_secs_f64() * 1e3);
    }
    drop(file);
    std::fs::remove_file(path)?;
    Ok(times)
}

/// The value that 99 % stay within.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "small")]
pub(crate) fn p99(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    let rank = (times.len() as f64 * 0.99).ceil() as usize;
    times.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}
