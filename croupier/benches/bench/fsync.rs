//! The peer of a first decision: one small append made durable, with nothing around it.

use crate::Outcome;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// Times of appends of 64 bytes, each followed by `fdatasync`, for `duration`; in milliseconds. At most one every `pace`,
/// and each from when it was due: as many wait for a stall of the disk as would have come meanwhile.
pub(crate) fn appends(file: &Path, duration: Duration, pace: Duration) -> Outcome<Vec<f64>> {
    let mut open = OpenOptions::new().create(true).append(true).open(file)?;
    let begun = Instant::now();
    let mut times = Vec::new();
    let mut due = begun;
    while due < begun + duration {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        open.write_all(&[7; 64])?;
        open.sync_data()?;
        times.push(due.elapsed().as_secs_f64() * 1e3);
        due += pace;
    }
    drop(open);
    std::fs::remove_file(file)?;
    Ok(times)
}

/// The value that 99 % stay within.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "small")]
pub(crate) fn p99(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    let rank = (times.len() as f64 * 0.99).ceil() as usize;
    times.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}
