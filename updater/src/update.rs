//! A run: recompute every experiment's posteriors from its outcomes, publish what changed, write down what was done.

use crate::steps::Steps;
use crate::{Updater, boundary, history};
use bandit::{Evidence, PosteriorSet, Status, most_context_outcomes, recompute};
use jiff::Timestamp;
use store::{ExperimentRecord, Result, RunReport, StoreError};

/// Experiments read at a time.
const PAGE: usize = 200;
/// Days that assignments are kept after theirs: no clock of the world is further behind.
const DAYS_KEPT: i64 = 2;

impl Updater {
    /// Does what run number `run` is for, and closes its record whatever happens.
    pub(crate) async fn run_as(&mut self, run: i64) -> Result<RunReport> {
        let began = std::time::Instant::now();
        let mut steps = Steps::default();
        let done = self.work(&mut steps).await;
        metrics::histogram!("croupier_updater_run_seconds").record(began.elapsed().as_secs_f64());
        let mut report = std::mem::take(&mut self.since);
        report.duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let result = done.map(|(as_of, recomputed, published)| {
            report.as_of = Some(as_of);
            report.recomputed = recomputed;
            report.published = published;
            metrics::counter!("croupier_updater_published_total").increment(published);
        });
        report.steps = steps.told(|step| match step {
            "consume" => format!("{} events", report.events_read),
            "recompute" => format!("{} of {} experiments published", report.published, report.recomputed),
            _ => String::new(),
        });
        report.error = result.as_ref().err().map(ToString::to_string);
        self.work.stores.runs.finish_run(run, self.work.clock.now(), &report).await?;
        tracing::info!(
            "update {run}: {} events, {} experiments, {} published, {} ms",
            report.events_read,
            report.recomputed,
            report.published,
            report.duration_ms
        );
        result.map(|()| report)
    }

    async fn work(&mut self, steps: &mut Steps) -> Result<(Timestamp, u64, u64)> {
        steps.time("consume", self.consume()).await?;
        let today = self.work.clock.now().to_zoned(jiff::tz::TimeZone::UTC).date();
        if self.config.retention_days > 0 {
            let before = today.saturating_sub(jiff::Span::new().days(self.config.retention_days));
            steps.time("forget", self.work.stores.outcomes.forget(before)).await?;
        }
        // Ages count to the last boundary, not to this moment: a second run before the next one changes nothing.
        let as_of = boundary(self.work.clock.now(), self.config.interval);
        let (mut recomputed, mut published, mut failure, mut room) = (0, 0, None, history::MOST_MADE_UP);
        let mut after: Option<String> = None;
        loop {
            let page = self.work.stores.experiments.list(after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.definition.id.clone());
            for record in page.into_iter().filter(|r| r.status != Status::Draft) {
                recomputed += 1;
                let id = record.definition.id.clone();
                let mut new = None;
                match steps.time("recompute", self.publish(record.clone(), as_of)).await {
                    Ok(set) => new = set,
                    // The others must not wait for this one.
                    Err(e) => {
                        tracing::error!("posteriors of '{id}' cannot be updated: {e}");
                        failure.get_or_insert(e);
                    }
                }
                published += u64::from(new.is_some());
                // Of somebody who changed it meanwhile, the next run knows.
                match steps.time("examine", self.examine(&record, as_of)).await {
                    Ok(()) | Err(StoreError::Conflict(_)) => {}
                    Err(e) => {
                        tracing::error!("'{id}' cannot be examined: {e}");
                        failure.get_or_insert(e);
                    }
                }
                // After the checks, which it quotes.
                if let Err(e) = steps.time("remember", self.keep(record, new, &mut room)).await {
                    tracing::error!("the history of '{id}' cannot be kept: {e}");
                    failure.get_or_insert(e);
                }
            }
        }
        let oldest = today.saturating_sub(jiff::Span::new().days(DAYS_KEPT));
        steps.time("expire", self.work.stores.assignments.expire(oldest)).await?;
        failure.map_or(Ok((as_of, recomputed, published)), Err)
    }

    /// Recomputes one experiment; gives what was published, and what it was computed from, if there was something new.
    async fn publish(&self, record: ExperimentRecord, as_of: Timestamp) -> Result<Option<(PosteriorSet, Evidence)>> {
        let id = record.definition.id.clone();
        let latest = self.work.stores.posteriors.latest(&id).await?;
        // Evidence of an experiment that has ended does not fade; late rewards still count, and windows close.
        let mut evidence = Evidence { ended: record.stopped_at, ..self.work.stores.outcomes.evidence(&id).await? };
        if latest.is_none() && evidence.outcomes.is_empty() {
            // Nothing is known but the prior, which is version 0.
            return Ok(None);
        }
        let version = latest.as_ref().map_or(0, |s| s.version) + 1;
        // Only contextual policies have features.
        if !record.definition.features.is_empty() {
            let most = most_context_outcomes(&record.definition);
            evidence.contexts = self.work.stores.outcomes.context_outcomes(&id, most).await?;
        }
        let computed = tokio::task::spawn_blocking(move || {
            (recompute(&record.definition, record.revision, version, &evidence, as_of), evidence)
        });
        let (set, evidence): (PosteriorSet, Evidence) =
            computed.await.map_err(|e| StoreError::Damaged(format!("posteriors of '{id}': {e}")))?;
        if latest.is_some_and(|latest| set.says_the_same_as(&latest)) {
            return Ok(None);
        }
        self.work.stores.posteriors.publish(&set).await?;
        Ok(Some((set, evidence)))
    }
}
