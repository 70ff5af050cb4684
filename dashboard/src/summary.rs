//! Where experiments stand, for lists: the numbers of their results, read for all of them at once where that gives the same.

use crate::app::App;
use crate::arms::leader;
use crate::failure::Failure;
use futures::future::{join_all, try_join_all};
use jiff::Timestamp;
use std::collections::BTreeMap;
use store::{DayTraffic, Detail, ExperimentRecord, Listed, Updates, VersionEntry, results};

/// Numbers of one experiment.
pub(crate) struct Summary {
    /// The winner, or the arm most likely to be the best: its index in the definition.
    pub(crate) arm: Option<usize>,
    /// Its probability to be the best; none before the first trial.
    pub(crate) p_best: Option<f64>,
    pub(crate) trials: u64,
    pub(crate) rewards: u64,
    pub(crate) updated: Option<Timestamp>,
    /// Names of the checks that are not well.
    pub(crate) worries: Vec<String>,
}

/// The summary of each experiment; none where its results cannot be read, since one damaged experiment must not hide the
/// others.
pub(crate) async fn summaries(
    app: &App,
    listed: &[Listed],
    traffic: &BTreeMap<&str, Vec<&DayTraffic>>,
    updates: Updates,
) -> Result<Vec<Option<Summary>>, Failure> {
    let ids: Vec<String> = listed.iter().map(|l| l.record.definition.id.clone()).collect();
    let entries: BTreeMap<String, VersionEntry> = app.stores.history.newest(&ids, 1).await?.into_iter().collect();
    let versions = try_join_all(ids.iter().map(|id| app.stores.posteriors.latest_version(id))).await?;
    let one = async |(l, version): (&Listed, u64)| {
        let e = &l.record.definition;
        let of_days = traffic.get(e.id.as_str()).map_or(&[][..], Vec::as_slice);
        if e.candidates.is_some() {
            return Some(counted(l, of_days, updates));
        }
        match entries.get(&e.id).filter(|entry| says_all(entry, version, &l.record)) {
            Some(entry) => Some(kept(l, entry, of_days, updates)),
            None => computed(app, &l.record).await,
        }
    };
    Ok(join_all(listed.iter().zip(versions).map(one)).await)
}

/// Whether results would say of the arms what was kept when the version was published. What pooled segments come to is
/// counted anew with each reward, and contextual ones have a check that reads the model.
fn says_all(entry: &VersionEntry, version: u64, record: &ExperimentRecord) -> bool {
    let e = &record.definition;
    let current = (entry.version, entry.revision) == (version, record.revision);
    current && !e.policy.shares_segments() && e.features.is_empty() && entry.arms.len() == e.arms.len()
}

/// What is counted by day, and the checks that are kept.
fn counted(listed: &Listed, traffic: &[&DayTraffic], updates: Updates) -> Summary {
    let failing = updates.failing && listed.record.status != bandit::Status::Draft;
    Summary {
        arm: None,
        p_best: None,
        trials: traffic.iter().map(|t| t.trials).sum(),
        rewards: traffic.iter().map(|t| t.rewards).sum(),
        updated: updates.of(&listed.record),
        worries: failing.then(|| "update".to_owned()).into_iter().chain(listed.worries.iter().cloned()).collect(),
    }
}

fn kept(listed: &Listed, entry: &VersionEntry, traffic: &[&DayTraffic], updates: Updates) -> Summary {
    let record = &listed.record;
    let counted = counted(listed, traffic, updates);
    let best = entry.arms.iter().enumerate().max_by(|a, b| a.1.p_best.total_cmp(&b.1.p_best));
    let ahead = best.map(|(i, _)| i).filter(|_| counted.trials > 0);
    let arm = record.winner.as_ref().and_then(|w| record.definition.arm_index(w)).or(ahead);
    Summary { arm, p_best: arm.filter(|_| ahead.is_some()).map(|i| entry.arms[i].p_best), ..counted }
}

async fn computed(app: &App, record: &ExperimentRecord) -> Option<Summary> {
    let r = results(&app.stores, record, app.now(), Detail::Whole).await.map_err(Failure::from).ok()?;
    let ahead = leader(&r.arms);
    let winner = r.winner.as_ref().and_then(|w| r.arms.iter().enumerate().find(|(_, a)| a.id == *w));
    let shown = winner.or(ahead);
    Some(Summary {
        arm: shown.map(|(i, _)| i),
        p_best: shown.filter(|_| ahead.is_some()).map(|(_, a)| a.p_best),
        trials: r.arms.iter().map(|a| a.trials).sum(),
        rewards: r.arms.iter().map(|a| a.rewards).sum(),
        updated: r.updated_at,
        worries: r.health.into_iter().filter(|h| !h.ok).map(|h| h.check).collect(),
    })
}
