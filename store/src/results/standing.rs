//! Whether updates go on, and what a contextual policy learns from: lines of results that no check had to find.

use super::Health;
use crate::{ExperimentRecord, Result, Run, RunKind, RunStatus, Stores};
use bandit::{Experiment, PosteriorSet, Status};
use jiff::Timestamp;

/// Runs looked at to find the last that succeeded.
pub(super) const RECENT_RUNS: usize = 50;

/// How updates go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Updates {
    /// When the last one that succeeded ended.
    pub succeeded_at: Option<Timestamp>,
    /// Whether the last one that ended failed: a worry about every experiment that has been started.
    pub failing: bool,
}

impl Updates {
    /// When the last update ended that could read something of this experiment; none if none has since it was started.
    #[must_use]
    pub fn of(self, record: &ExperimentRecord) -> Option<Timestamp> {
        self.succeeded_at.filter(|ended| record.started_at.is_some_and(|started| started <= *ended))
    }
}

/// How updates go, as results have it.
///
/// # Errors
/// When runs cannot be read.
pub async fn updates(stores: &Stores) -> Result<Updates> {
    Ok(updates_of(&stores.runs.latest_runs(Some(RunKind::Posteriors), None, RECENT_RUNS).await?))
}

pub(super) fn updates_of(runs: &[Run]) -> Updates {
    Updates {
        succeeded_at: runs.iter().find(|r| r.status == RunStatus::Done).and_then(|r| r.finished_at),
        failing: last_ended(runs).is_some_and(|r| r.report.error.is_some()),
    }
}

fn last_ended(runs: &[Run]) -> Option<&Run> {
    runs.iter().find(|r| matches!(r.status, RunStatus::Done | RunStatus::Failed))
}

/// Whether the last update worked and the log is being read.
pub(super) fn freshness(record: &ExperimentRecord, runs: &[Run], backlog: Option<u64>) -> Option<Health> {
    if record.status == Status::Draft {
        return None;
    }
    let last = last_ended(runs);
    let (ok, detail) = match last {
        None => (true, "no update has ended yet".to_owned()),
        Some(run) => match &run.report.error {
            Some(error) => (false, format!("the last update failed: {error}")),
            None => (
                true,
                backlog.map_or_else(|| "events are read".into(), |n| format!("events that wait to be read: {n}")),
            ),
        },
    };
    Some(Health { check: "update".into(), ok, detail, numbers: serde_json::Map::new() })
}

/// Says what a contextual policy learns from, and how to read its arms' rows.
pub(super) fn context(e: &Experiment, set: Option<&PosteriorSet>) -> Option<Health> {
    if e.features.is_empty() {
        return None;
    }
    let model = set.and_then(|s| s.model.as_ref());
    let columns = model.map_or(0, |m| m.features.columns() - 1);
    Some(Health {
        check: "context".into(),
        ok: model.is_none() || columns > 0,
        detail: match model {
            None => "arms are dealt evenly until the first update".into(),
            Some(_) if columns == 0 => {
                "no decision brought a declared feature: arms are dealt as without context".into()
            }
            Some(_) => format!(
                "{columns} columns are learnt from the declared features; arms' rates are over all contexts, \
                 allocation is the mean over the latest ones"
            ),
        },
        numbers: serde_json::Map::new(),
    })
}
