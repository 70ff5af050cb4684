//! Counting guardrail events.

use bandit::{Guardrail, GuardrailFinding, guardrail};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{ExperimentRecord, Result, Stores};

/// Longest time after a decision that a guardrail event counts, in hours: what is counted anew each run is bounded.
const LONGEST: u32 = 48;

/// One guardrail with its counts since the experiment was last changed: who changes it after a breach, or goes on, has
/// taken note of the past.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Watched {
    pub(super) event: String,
    pub(super) max_rate: f64,
    pub(super) freeze: bool,
    /// From when on, in milliseconds.
    since: i64,
    /// Trials before this hour will get no more events.
    until: i64,
    /// Trials and events of each arm before that hour.
    settled: Vec<(u64, u64)>,
    /// And in all.
    counts: Vec<(u64, u64)>,
}

impl Watched {
    fn new(g: &Guardrail, since: Timestamp) -> Self {
        let (since, until) = (since.as_millisecond(), i64::MIN);
        let (event, max_rate, freeze) = (g.event.clone(), g.max_rate, g.freeze);
        Self { event, max_rate, freeze, since, until, settled: Vec::new(), counts: Vec::new() }
    }

    pub(super) fn judge(&self) -> Vec<GuardrailFinding> {
        guardrail(&self.counts, self.max_rate)
    }
}

/// Brings the counts up to date. `now` is the present hour.
pub(super) async fn count(
    stores: &Stores,
    record: &ExperimentRecord,
    watched: &mut Vec<Watched>,
    now: i64,
) -> Result<()> {
    let e = &record.definition;
    let since = record.updated_at;
    let same = |w: &Watched, g: &Guardrail| {
        (&*w.event, w.max_rate, w.freeze, w.since) == (&*g.event, g.max_rate, g.freeze, since.as_millisecond())
    };
    let of = |g: &Guardrail| watched.iter().find(|w| same(w, g)).cloned().unwrap_or_else(|| Watched::new(g, since));
    let mut next: Vec<Watched> = e.guardrails.iter().map(of).collect();
    for w in &mut next {
        let window = e.reward.window_hours.min(LONGEST);
        let from = Timestamp::from_millisecond(w.since.max(w.until.saturating_mul(3_600_000))).unwrap_or(since);
        let rows = stores.findings.struck(&e.id, &w.event, from, window).await?;
        let closed = now - i64::from(window) - 1;
        for list in [&mut w.settled, &mut w.counts] {
            list.resize(e.arms.len(), (0, 0));
        }
        let (old, open): (Vec<_>, Vec<_>) =
            rows.into_iter().filter(|r| r.arm < e.arms.len()).partition(|r| r.hour < closed);
        for row in old {
            w.settled[row.arm].0 += row.trials;
            w.settled[row.arm].1 += row.events;
        }
        w.until = w.until.max(closed);
        w.counts.clone_from(&w.settled);
        for row in open {
            w.counts[row.arm].0 += row.trials;
            w.counts[row.arm].1 += row.events;
        }
    }
    *watched = next;
    Ok(())
}
