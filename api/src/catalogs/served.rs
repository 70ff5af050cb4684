//! What lists were like, counted by catalog and hour, and written down every few seconds.
//!
//! A request adds to numbers in memory, a microsecond or two; the distance within a list, which takes longer, is measured
//! of some lists alone where vectors are long.

use bandit::hour_of;
use jiff::Timestamp;
use rand::TryRng;
use rand::rngs::SysRng;
use recommend::Candidates;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use store::{ListHour, ListHours, Result};

/// How often what was counted is written down.
const PACE: Duration = Duration::from_secs(3);
/// Numbers of a vector above which not every list is measured.
const NUMBERS: usize = 256;
/// Hours that stay in memory, the one under way included: a late request still adds to its own.
const HOURS: i64 = 2;
/// Hours of catalogs that wait at most, while the database is away; the oldest are let go of.
const MOST: usize = 1_000;

/// Counts of this process.
#[derive(Debug)]
pub(crate) struct Served {
    /// What this process is called among those that count: no two are called the same.
    name: String,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    /// By hour and catalog; whether it was added to since it was written down.
    hours: BTreeMap<(i64, String), (ListHour, bool)>,
    lists: usize,
}

impl Served {
    pub(crate) fn new() -> Self {
        let mut number = [0; 8];
        // Without random numbers no key could be made either: two such processes would share their counts.
        let _ = SysRng.try_fill_bytes(&mut number);
        Self { name: format!("{:016x}", u64::from_le_bytes(number)), counted: Mutex::default() }
    }

    /// Counts a list that a visitor is shown.
    pub(crate) fn count(
        &self,
        catalog: &str,
        candidates: &Candidates,
        from_history: bool,
        ids: &[&str],
        now: Timestamp,
    ) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.lists = counted.lists.wrapping_add(1);
        let measures = counted.lists.is_multiple_of(candidates.definition().indexed_dimension().div_ceil(NUMBERS));
        drop(counted);
        let measured = candidates.measure(ids.iter().copied(), measures, now);
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let hour = hour_of(now);
        let fresh = || (ListHour::empty(catalog, hour, candidates.len()), true);
        let (sums, unsaid) = counted.hours.entry((hour, catalog.to_owned())).or_insert_with(fresh);
        *unsaid = true;
        sums.lists += 1;
        sums.from_history += u64::from(from_history);
        sums.items += ids.len() as u64;
        if let Some(distance) = measured.distance {
            sums.measured += 1;
            sums.distance += distance;
        }
        sums.dated += measured.dated;
        sums.fresh += measured.new;
        sums.age_seconds += measured.age_seconds;
        ids.iter().for_each(|id| sums.shown.add(id));
    }

    /// Writes down what is new; what cannot be written stays for the next time.
    pub(crate) async fn flush(&self, store: &dyn ListHours) -> Result<()> {
        let unsaid: Vec<ListHour> = {
            let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
            let said = counted.hours.values_mut().filter(|(_, unsaid)| *unsaid);
            said.map(|(hour, unsaid)| {
                *unsaid = false;
                hour.clone()
            })
            .collect()
        };
        if unsaid.is_empty() {
            return Ok(());
        }
        let kept = store.keep_list_hours(&self.name, &unsaid).await;
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_err() {
            for hour in &unsaid {
                if let Some((_, unsaid)) = counted.hours.get_mut(&(hour.hour, hour.catalog.clone())) {
                    *unsaid = true;
                }
            }
        }
        let last = counted.hours.last_key_value().map_or(0, |((hour, _), _)| *hour);
        counted.hours.retain(|(hour, _), (_, unsaid)| *unsaid || *hour > last - HOURS);
        while counted.hours.len() > MOST {
            counted.hours.pop_first();
        }
        kept
    }

    /// Writes down what is new, again and again, until the future is dropped.
    pub(crate) async fn keep(&self, store: &dyn ListHours) {
        let mut ticks = tokio::time::interval(PACE);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut well = true;
        loop {
            ticks.tick().await;
            let kept = self.flush(store).await;
            match &kept {
                Err(e) if well => tracing::warn!("lists are counted, and cannot be written down for now: {e}"),
                Ok(()) if !well => tracing::info!("counts of lists are written down again"),
                _ => {}
            }
            well = kept.is_ok();
        }
    }
}
