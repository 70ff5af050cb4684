//! Where an experiment stands, for lists: by the same computation as its results.

use crate::app::App;
use crate::arms::leader;
use crate::failure::Failure;
use jiff::Timestamp;
use store::{Detail, ExperimentRecord, results};

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

/// The summary of each record; none where its results cannot be read, since one damaged experiment must not hide the
/// others.
pub(crate) async fn summaries(app: &App, records: &[&ExperimentRecord], now: Timestamp) -> Vec<Option<Summary>> {
    let mut all = Vec::with_capacity(records.len());
    for record in records {
        let results = results(&app.stores, record, now, Detail::Whole).await.map_err(Failure::from).ok();
        all.push(results.map(|r| {
            let ahead = leader(&r.arms);
            let winner = r.winner.as_ref().and_then(|w| r.arms.iter().enumerate().find(|(_, a)| a.id == *w));
            let shown = winner.or(ahead);
            Summary {
                arm: shown.map(|(i, _)| i),
                p_best: shown.filter(|_| ahead.is_some()).map(|(_, a)| a.p_best),
                trials: r.arms.iter().map(|a| a.trials).sum(),
                rewards: r.arms.iter().map(|a| a.rewards).sum(),
                updated: r.updated_at,
                worries: r.health.into_iter().filter(|h| !h.ok).map(|h| h.check).collect(),
            }
        }));
    }
    all
}
