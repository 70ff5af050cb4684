//! Guardrails: each arm's rate of the unwanted event beside its limit.

use crate::format::Num;
use bandit::Standing;
use serde::Deserialize;
use store::Health;

/// Rows shown: guardrails times arms.
const ROWS: usize = 100;

pub(super) struct Guardrail {
    pub(super) event: String,
    pub(super) arm: String,
    pub(super) trials: Num,
    pub(super) rate: Num,
    pub(super) interval: Option<[Num; 2]>,
    pub(super) limit: Num,
    pub(super) above: Num,
    pub(super) standing: Standing,
    pub(super) strip: Strip,
}

/// Places on a scale from 0 to 100.
pub(super) struct Strip {
    pub(super) low: f64,
    pub(super) rate: f64,
    pub(super) high: f64,
    pub(super) limit: f64,
}

/// As findings have it.
#[derive(Deserialize)]
struct Found {
    event: String,
    max_rate: f64,
    arm: String,
    trials: u64,
    rate: Option<f64>,
    #[serde(default)]
    interval: Option<[f64; 2]>,
    p_above: f64,
    standing: Standing,
}

pub(super) fn guardrails(health: &[Health]) -> Vec<Guardrail> {
    let line = health.iter().find(|h| h.check == "guardrails").and_then(|h| h.numbers.get("guardrails"));
    let found: Vec<Found> = line.and_then(|list| Vec::deserialize(list).ok()).unwrap_or_default();
    let end = found.iter().map(|f| f.interval.map_or(f.rate.unwrap_or(0.0), |i| i[1]).min(3.0 * f.max_rate));
    let end = end.chain(found.iter().map(|f| 1.25 * f.max_rate)).fold(f64::MIN_POSITIVE, f64::max);
    let place = |x: f64| (100.0 * x / end).clamp(0.0, 100.0);
    let row = |f: Found| {
        let rate = f.rate.unwrap_or(0.0);
        let [low, high] = f.interval.unwrap_or([rate; 2]);
        Guardrail {
            strip: Strip { low: place(low), rate: place(rate), high: place(high), limit: place(f.max_rate) },
            trials: Num::count(f.trials),
            rate: Num::maybe_rate(f.rate),
            interval: f.interval.map(Num::range),
            limit: Num::rate(f.max_rate),
            above: Num::share(f.p_above),
            standing: f.standing,
            event: f.event,
            arm: f.arm,
        }
    };
    found.into_iter().take(ROWS).map(row).collect()
}
