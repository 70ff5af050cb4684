//! What was computed from posteriors, remembered: quadrature over fifty arms takes as long as everything else of a page.

use crate::{PosteriorSets, Result};
use bandit::{Beta, Evidence, Judgement, PosteriorSet, judge};
use quick_cache::sync::Cache;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Comparisons remembered: of a few hundred experiments, or of one with its segments and past.
const COMPARISONS: usize = 2_000;
/// Sums over pooled segments remembered.
const SUMS: usize = 500;
/// Posterior sets remembered: one of fifty arms in two hundred segments takes a quarter of a megabyte, and longer to read than a
/// page may take.
const SETS: usize = 64;

/// Comparisons and sums by what they are functions of, so that what is remembered is never out of date.
pub struct Memory {
    judged: Cache<Compared, Arc<Vec<Judgement>>>,
    overall: Cache<(String, u64, u64, u64), Arc<Vec<Beta>>>,
    /// By experiment and version: nobody changes a set that was published.
    sets: Cache<(String, u64), Arc<PosteriorSet>>,
}

/// What a comparison depends on: parameters by their bits, arms that are dealt, the control.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Compared {
    betas: Vec<[u64; 2]>,
    enabled: Vec<bool>,
    control: usize,
}

impl Default for Memory {
    fn default() -> Self {
        Self { judged: Cache::new(COMPARISONS), overall: Cache::new(SUMS), sets: Cache::new(SETS) }
    }
}

impl Memory {
    /// [`bandit::judge`].
    #[must_use]
    pub fn judge(&self, betas: &[Beta], enabled: &[bool], control: usize) -> Arc<Vec<Judgement>> {
        let bits = betas.iter().map(|b| [b.alpha.to_bits(), b.beta.to_bits()]).collect();
        let key = Compared { betas: bits, enabled: enabled.to_vec(), control };
        if let Some(known) = self.judged.get(&key) {
            return known;
        }
        let fresh = Arc::new(judge(betas, enabled, control));
        self.judged.insert(key, fresh.clone());
        fresh
    }

    /// The newest posterior set of an experiment; none before the first.
    pub(crate) async fn newest_set(&self, sets: &dyn PosteriorSets, id: &str) -> Result<Option<Arc<PosteriorSet>>> {
        let key = (id.to_owned(), sets.latest_version(id).await?);
        if let Some(known) = self.sets.get(&key) {
            return Ok(Some(known));
        }
        let newest = sets.latest(id).await?.map(Arc::new);
        if let Some(set) = &newest {
            self.sets.insert((key.0, set.version), set.clone());
        }
        Ok(newest)
    }

    pub(crate) fn sums(&self, key: &(String, u64, u64, u64)) -> Option<Arc<Vec<Beta>>> {
        self.overall.get(key)
    }

    pub(crate) fn keep_sums(&self, key: (String, u64, u64, u64), sums: Arc<Vec<Beta>>) {
        self.overall.insert(key, sums);
    }
}

/// A number that differs, but for chance, where counts or delays do: decisions and rewards are only ever added, or let go of
/// by the day.
pub(crate) fn fingerprint(evidence: &Evidence) -> u64 {
    let mut hash = DefaultHasher::new();
    for o in &evidence.outcomes {
        (o.hour, &o.segment, o.arm, o.holdout, o.trials, o.rewards).hash(&mut hash);
    }
    for d in &evidence.delays {
        (d.hour, d.bucket, d.rewards).hash(&mut hash);
    }
    (evidence.latest, evidence.ended).hash(&mut hash);
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_what_was_computed() {
        let memory = Memory::default();
        let betas = [Beta { alpha: 3.0, beta: 40.0 }, Beta { alpha: 9.0, beta: 60.0 }, Beta { alpha: 2.0, beta: 2.0 }];
        for (enabled, control) in [([true; 3], 0), ([true; 3], 1), ([true, true, false], 0)] {
            let fresh = memory.judge(&betas, &enabled, control);
            let again = memory.judge(&betas, &enabled, control);
            assert!(Arc::ptr_eq(&fresh, &again), "computed once");
            assert_eq!(*again, judge(&betas, &enabled, control));
        }
        let mut other = betas;
        other[0].alpha = 3.0 + 1e-15;
        assert!(!Arc::ptr_eq(&memory.judge(&betas, &[true; 3], 0), &memory.judge(&other, &[true; 3], 0)));
    }
}
