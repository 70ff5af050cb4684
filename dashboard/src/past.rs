//! What an experiment was when a decision was made, as far as the audit log tells.

use crate::app::App;
use crate::failure::Failure;
use bandit::{Experiment, Replay, Source};
use store::{AuditEntry, DecisionStory};

/// What the audit log calls a new definition, and a new status.
const DEFINES: [&str; 2] = ["create", "replace"];
const TELLS: [&str; 5] = ["create", "running", "paused", "stopped", "freeze"];

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
    let (record, experiments) = (&story.decision.record, &app.stores.experiments);
    let status = experiments.noted(&record.experiment, &TELLS, Some(record.at), 0).await?;
    let definition = match story.revision.checked_sub(record.revision) {
        // What was loaded from elsewhere is of no revision.
        _ if record.revision == 0 => None,
        None => None,
        Some(0) => Some(story.definition.clone()),
        // Each revision is one entry. One that an earlier release wrote in another form is as good as lost.
        Some(since) => {
            let entry = experiments.noted(&record.experiment, &DEFINES, None, since).await?;
            entry.and_then(|entry| serde_json::from_value(entry.document).ok())
        }
    };
    Ok((definition, status))
}
