//! Evidence of contextual policies, gathered into cells.

use super::features::{Columns, Encoder, Row, most_columns};
use crate::experiment::Experiment;
use crate::learn::hour_of;
use crate::policy::PolicySpec;
use crate::segment::Context;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// What became of the decisions of one hour and arm whose declared features had the same values.
#[derive(Debug, Clone, PartialEq)]
pub struct ContextOutcome {
    /// Hour of decision, counted from 1970-01-01T00:00Z.
    pub hour: i64,
    /// Values of the declared features, as logged.
    pub features: Context,
    /// Index of the arm in the definition.
    pub arm: usize,
    /// Exposed assignments.
    pub trials: u64,
    /// Those with a reward in their window.
    pub rewards: u64,
}

/// Values of features that are kept in memory while a model is made.
const MOST_VALUES: usize = 4_000_000;

/// Most outcomes that a model is made from, the newest: each is a distinct context in an hour and arm, and takes memory.
/// Categories never come near; numbers that are all different do after so many decisions.
#[must_use]
pub fn most_context_outcomes(experiment: &Experiment) -> usize {
    (MOST_VALUES / (experiment.features.len() + 4)).min(400_000)
}

/// Weighted trials and rewards of one row of columns and one arm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Count {
    /// Place in [`Cells::rows`].
    pub(crate) row: usize,
    pub(crate) trials: f64,
    /// At most `trials`.
    pub(crate) rewards: f64,
}

/// Evidence in a fixed order, whatever order it came in: all that the models see of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cells {
    /// Distinct rows.
    pub(crate) rows: Vec<Row>,
    /// For each arm, what is known of it.
    pub(crate) arms: Vec<Vec<Count>>,
}

impl Cells {
    /// Weighs outcomes by age and gathers them. `arrived` gives the share of its rewards that an hour of decision has
    /// had time to bring: a trial without a reward counts by it.
    pub(crate) fn gather(
        experiment: &Experiment,
        outcomes: &[ContextOutcome],
        as_of: Timestamp,
        arrived: &dyn Fn(i64) -> f64,
    ) -> (Encoder, Self) {
        let arms = experiment.arms.len();
        let contexts = by_context(experiment, outcomes, hour_of(as_of), arrived);
        let seen: Vec<(&Context, f64)> =
            contexts.iter().map(|(context, counts)| (*context, counts.values().map(|c| c.0).sum())).collect();
        let encoder = Encoder::learn(&experiment.features, &seen, most_columns(arms));
        let cells = Self::encode(&encoder.compile(), &contexts, arms);
        (encoder, cells)
    }

    fn encode(columns: &Columns, contexts: &[(&Context, Counts)], arms: usize) -> Self {
        // Contexts that become the same row are one. Bits order as well as numbers do.
        let mut merged: BTreeMap<Vec<(u32, u64)>, (Row, Counts)> = BTreeMap::new();
        for (context, counts) in contexts {
            let row = columns.encode(context);
            let key = row.iter().map(|(j, x)| (*j, x.to_bits())).collect();
            let (_, sums) = merged.entry(key).or_insert_with(|| (row, Counts::new()));
            for (&arm, &(trials, rewards)) in counts {
                let sum = sums.entry(arm).or_default();
                sum.0 += trials;
                sum.1 += rewards;
            }
        }
        let mut cells = Self { rows: Vec::with_capacity(merged.len()), arms: vec![Vec::new(); arms] };
        for (row, counts) in merged.into_values() {
            for (arm, (trials, rewards)) in counts {
                cells.arms[arm].push(Count { row: cells.rows.len(), trials, rewards: rewards.min(trials) });
            }
            cells.rows.push(row);
        }
        cells
    }

    /// Sums over everything: trials and rewards.
    pub(crate) fn totals(&self) -> (f64, f64) {
        self.arms.iter().flatten().fold((0.0, 0.0), |sum, c| (sum.0 + c.trials, sum.1 + c.rewards))
    }
}

/// Arm → weighted trials and rewards.
type Counts = BTreeMap<usize, (f64, f64)>;

/// Distinct contexts in the order of their text, each with its weighted counts. Counts of one hour are added as
/// integers, hours in order: the sums do not depend on how the outcomes were split or ordered.
fn by_context<'a>(
    experiment: &Experiment,
    outcomes: &'a [ContextOutcome],
    now: i64,
    arrived: &dyn Fn(i64) -> f64,
) -> Vec<(&'a Context, Counts)> {
    let mut order: Vec<(String, usize, i64, &ContextOutcome)> = outcomes
        .iter()
        .filter(|o| o.arm < experiment.arms.len() && o.trials > 0)
        .map(|o| (serde_json::to_string(&o.features).unwrap_or_default(), o.arm, o.hour, o))
        .collect();
    order.sort_unstable_by(|a, b| (&a.0, a.1, a.2).cmp(&(&b.0, b.1, b.2)));
    let mut contexts = Vec::new();
    for same in order.chunk_by(|a, b| a.0 == b.0) {
        let mut counts = Counts::new();
        for hour in same.chunk_by(|a, b| (a.1, a.2) == (b.1, b.2)) {
            let (_, arm, at, _) = hour[0];
            let weight = weight(&experiment.policy, now - at - 1);
            let trials = hour.iter().fold(0u64, |sum, o| sum.saturating_add(o.3.trials));
            let rewards = hour.iter().fold(0u64, |sum, o| sum.saturating_add(o.3.rewards)).min(trials);
            if weight > 0.0 {
                let failures = exact(trials - rewards) * arrived(at).clamp(0.0, 1.0);
                let sum = counts.entry(arm).or_default();
                sum.0 += weight * (exact(rewards) + failures);
                sum.1 += weight * exact(rewards);
            }
        }
        if !counts.is_empty() {
            contexts.push((&same[0].3.features, counts));
        }
    }
    contexts
}

/// Weight of outcomes whose hour ended `age` hours ago: 2^(−age / half-life), nil outside the window.
#[expect(clippy::cast_precision_loss, reason = "ages in hours are small")]
fn weight(policy: &PolicySpec, age: i64) -> f64 {
    let age = age.max(0);
    if policy.window_hours.is_some_and(|w| age >= i64::from(w)) {
        return 0.0;
    }
    policy.half_life_hours.map_or(1.0, |h| (-(age as f64) / h).exp2())
}

#[expect(clippy::cast_precision_loss, reason = "beyond 2^53 the last digit does not matter")]
fn exact(n: u64) -> f64 {
    n as f64
}
