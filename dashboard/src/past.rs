//! What an experiment was when a decision was made, as far as the audit log tells.

use crate::app::App;
use crate::failure::Failure;
use bandit::{Experiment, Replay, Source};
use store::{AuditEntry, DecisionStory};

/// Entries of the audit log that are read at once, and at most.
const AT_ONCE: usize = 200;
const MOST: usize = 2_000;

/// The past of a decision.
pub(crate) struct Past {
    /// The definition at its revision.
    pub(crate) definition: Option<Experiment>,
    /// What had last been done to the experiment's status.
    pub(crate) status: Option<AuditEntry>,
    /// The decision, dealt once more.
    pub(crate) replay: Result<Replay, Unknown>,
}

/// Why a decision cannot be dealt once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// The definition of its revision is not in the audit log.
    Definition,
    /// The posterior set of its version has been removed.
    Set,
    /// It was dealt as one of a list, whose pool nobody wrote down.
    List,
    /// The definition cannot be used.
    Unusable,
}

impl Past {
    pub(crate) async fn of(app: &App, story: &DecisionStory) -> Result<Self, Failure> {
        let record = &story.decision.record;
        let set = match record.posterior_version {
            0 => None,
            version => app.stores.posteriors.at(&record.experiment, version).await?,
        };
        let (definition, status) = history(app, story).await?;
        // The control of who is outside is dealt from nothing.
        let drawn = !matches!(record.source, Source::NotEnrolled | Source::Paused);
        let replay = match &definition {
            None => Err(Unknown::Definition),
            Some(e) if e.candidates.is_some() => Err(Unknown::List),
            Some(_) if drawn && record.posterior_version > 0 && set.is_none() => Err(Unknown::Set),
            Some(e) => bandit::replay(e, set.as_ref(), record).map_err(|_| Unknown::Unusable),
        };
        Ok(Self { definition, status, replay })
    }
}

async fn history(app: &App, story: &DecisionStory) -> Result<(Option<Experiment>, Option<AuditEntry>), Failure> {
    let record = &story.decision.record;
    let mut revision = story.revision;
    let mut definition = (revision == record.revision).then(|| story.definition.clone());
    let (mut status, mut before, mut read) = (None, None, 0);
    while read < MOST && (definition.is_none() || status.is_none()) {
        let entries = app.stores.experiments.audit(Some(&record.experiment), before, AT_ONCE).await?;
        let last = entries.len() < AT_ONCE;
        read += entries.len();
        before = entries.last().map(|e| e.id);
        for entry in entries {
            let action = entry.action.as_str();
            if matches!(action, "create" | "replace") {
                if definition.is_none() && revision == record.revision {
                    definition = serde_json::from_value(entry.document.clone()).ok();
                }
                revision = revision.saturating_sub(1);
            }
            let tells = matches!(action, "create" | "running" | "paused" | "stopped" | "freeze");
            if status.is_none() && tells && entry.at <= record.at {
                status = Some(entry);
            }
        }
        if last {
            break;
        }
    }
    Ok((definition, status))
}
