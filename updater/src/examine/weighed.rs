//! Weighing trials by their propensities, for what the policy has gained.

use super::MOST_HOURS;
use bandit::evaluate::{Gain, PROPENSITY_EDGES, WeightSums, gain_over_uniform};
use serde::{Deserialize, Serialize};
use store::{ExperimentRecord, Result, Stores, WeighedRow};

/// Longest time after a decision that a reward counts here, in hours: what is counted anew each hour is bounded. Later
/// ones are missing from both sides.
const LONGEST: i64 = 48;

/// Sums over all trials since the experiment started.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Weighed {
    /// Hours before it are in `settled`: their windows have closed.
    until: Option<i64>,
    settled: Sums,
    /// And in all.
    all: Sums,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Sums {
    arms: Vec<WeightSums>,
    bins: Vec<u64>,
}

impl Sums {
    fn add(&mut self, row: &WeighedRow, arms: usize) {
        self.arms.resize(arms.max(self.arms.len()), WeightSums::default());
        self.bins.resize(PROPENSITY_EDGES.len() + 1, 0);
        if let (Some(sums), Some(bin)) = (self.arms.get_mut(row.arm), self.bins.get_mut(row.bin)) {
            sums.add(&row.sums);
            *bin += row.sums.trials;
        }
    }
}

impl Weighed {
    /// Reads the hours whose windows were open and those that have passed since, to `now`; after a long absence a part of
    /// them.
    pub(super) async fn read(
        &mut self,
        stores: &Stores,
        record: &ExperimentRecord,
        started: i64,
        now: i64,
    ) -> Result<()> {
        let (e, arms) = (&record.definition, record.definition.arms.len());
        let window = i64::from(e.reward.window_hours).min(LONGEST);
        let from = self.until.unwrap_or(started);
        let to = now.min(from + window + 1 + MOST_HOURS);
        let closed = from.max(to - window - 1);
        let rows = stores.findings.weighed(&e.id, from..to).await?;
        rows.iter().filter(|row| row.hour < closed).for_each(|row| self.settled.add(row, arms));
        self.all = self.settled.clone();
        rows.iter().filter(|row| row.hour >= closed).for_each(|row| self.all.add(row, arms));
        self.until = Some(closed);
        Ok(())
    }

    pub(super) fn gain(&self, enabled: &[bool]) -> Option<Gain> {
        gain_over_uniform(&self.all.arms, enabled)
    }

    /// Trials by propensity.
    pub(super) fn propensities(&self) -> Vec<u64> {
        self.all.bins.clone()
    }
}
