//! What each version said, written down when it is published; what was missed is made up for.

use crate::Updater;
use bandit::{Evidence, PosteriorSet};
use jiff::Timestamp;
use store::{Examined, ExperimentRecord, Result, StoreError, VersionEntry};

/// Versions of one experiment, and of all, that a run makes up for: its own work must not wait for an old past.
const MOST_OF_ONE: usize = 48;
pub(crate) const MOST_MADE_UP: usize = 240;

impl Updater {
    /// Keeps what `new` says, if something was published, and some of what is missing, newest first.
    pub(crate) async fn keep(
        &self,
        record: ExperimentRecord,
        new: Option<(PosteriorSet, Evidence)>,
        room: &mut usize,
    ) -> Result<()> {
        let (id, now) = (record.definition.id.clone(), self.work.clock.now());
        if let Some((set, evidence)) = new {
            let definition = record.definition.clone();
            let made = tokio::task::spawn_blocking(move || VersionEntry::new(&definition, &set, &evidence, now));
            let mut entry = made.await.map_err(|e| StoreError::Damaged(format!("history of '{id}': {e}")))?;
            self.quote(&id, &mut entry).await?;
            self.work.stores.history.keep(&id, &[entry]).await?;
        }
        self.make_up(&record, now, room).await
    }

    /// Adds what the checks of this run found.
    async fn quote(&self, id: &str, entry: &mut VersionEntry) -> Result<()> {
        let Some(text) = self.work.stores.findings.findings(id).await? else { return Ok(()) };
        let damaged = |e: serde_json::Error| StoreError::Damaged(format!("findings of '{id}': {e}"));
        let found: Examined = serde_json::from_str(&text).map_err(damaged)?;
        let line = found.lines.iter().find(|line| line.check == "sample_ratio");
        entry.sample_ratio = line.and_then(|line| line.numbers.get("evidence")).and_then(serde_json::Value::as_f64);
        entry.gain = found.gain;
        entry.propensities = found.propensities;
        Ok(())
    }

    async fn make_up(&self, record: &ExperimentRecord, now: Timestamp, room: &mut usize) -> Result<()> {
        let id = &record.definition.id;
        let latest = self.work.stores.posteriors.latest_version(id).await?;
        let mut evidence = None;
        for _ in 0..MOST_OF_ONE.min(*room) {
            let Some(version) = self.work.stores.history.highest_missing(id, latest).await? else { break };
            // What is forgotten stays so.
            let kept = |set: &PosteriorSet| self.config.retention_days == 0 || set.as_of >= self.oldest(now);
            let Some(set) = self.work.stores.posteriors.at(id, version).await?.filter(kept) else { break };
            let known = match evidence.take() {
                Some(known) => known,
                None => Evidence { ended: record.stopped_at, ..self.work.stores.outcomes.evidence(id).await? },
            };
            let definition = record.definition.clone();
            let made = tokio::task::spawn_blocking(move || (VersionEntry::made_up(&definition, &set, &known), known));
            let (entry, known) = made.await.map_err(|e| StoreError::Damaged(format!("history of '{id}': {e}")))?;
            evidence = Some(known);
            let Some(entry) = entry else { break };
            *room -= 1;
            self.work.stores.history.keep(id, &[entry]).await?;
        }
        Ok(())
    }

    /// Midnight before which everything is forgotten.
    fn oldest(&self, now: Timestamp) -> Timestamp {
        let days = jiff::Span::new().days(self.config.retention_days);
        let day = now.to_zoned(jiff::tz::TimeZone::UTC).date().saturating_sub(days);
        day.to_zoned(jiff::tz::TimeZone::UTC).map_or(Timestamp::MIN, |midnight| midnight.timestamp())
    }
}
