//! The life of an experiment: what may be created, changed, started, paused, stopped and deleted. Whoever changes one,
//! over HTTP or on a page, does it here, and is told the same.

use crate::{Change, ExperimentRecord, Experiments, StoreError};
use bandit::document::{self, Unreadable};
use bandit::{Experiment, FieldError, Status, validate, validate_change};
use serde_json::{Map, Value};

/// What a record has beside the definition; a definition that is read, edited and sent back may hold them.
const READ_ONLY: [&str; 7] = ["status", "winner", "created_at", "updated_at", "started_at", "stopped_at", "frozen_at"];

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Fields are wrong: all of them.
    #[error("{} fields are wrong", .0.len())]
    Fields(Vec<FieldError>),
    /// The document cannot be read.
    #[error("the document cannot be read")]
    Unreadable(Unreadable),
    /// The experiment is not in a state for it, or was changed meanwhile.
    #[error("{0}")]
    Conflict(String),
    /// There is no experiment of this id.
    #[error("there is no experiment '{0}'")]
    Missing(String),
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(e: StoreError) -> Self {
        match e {
            StoreError::Conflict(why) => Self::Conflict(why),
            other => Self::Store(other),
        }
    }
}

impl From<Unreadable> for Refusal {
    fn from(e: Unreadable) -> Self {
        match e {
            Unreadable::Field(error) => Self::Fields(vec![error]),
            whole @ Unreadable::Whole(_) => Self::Unreadable(whole),
        }
    }
}

impl From<Vec<FieldError>> for Refusal {
    fn from(errors: Vec<FieldError>) -> Self {
        Self::Fields(errors)
    }
}

fn wrong(field: &str, why: impl Into<String>) -> Refusal {
    Refusal::Fields(vec![FieldError { field: field.into(), why: why.into() }])
}

/// Reads and checks a definition.
///
/// # Errors
/// Every mistake, or the one that keeps it from being read.
pub fn definition(json: &[u8]) -> Result<Experiment, Refusal> {
    let definition: Experiment = document::read(json)?;
    validate(&definition)?;
    Ok(definition)
}

/// Creates a draft.
///
/// # Errors
/// When the definition is wrong or its id taken.
pub async fn create(experiments: &dyn Experiments, json: &[u8], change: &Change) -> Result<ExperimentRecord, Refusal> {
    Ok(experiments.create(&definition(json)?, change).await?)
}

/// Replaces the definition of `id`; with a `revision` in the document, only if nobody changed it since.
///
/// # Errors
/// When the document is wrong, changes what a started experiment may not, or comes late.
pub async fn replace(
    experiments: &dyn Experiments,
    id: &str,
    document: Map<String, Value>,
    change: &Change,
) -> Result<ExperimentRecord, Refusal> {
    let (definition, expected) = read(id, document)?;
    let now = judge(experiments, &definition).await?;
    Ok(experiments.replace(&definition, expected.unwrap_or(now.revision), now.status, change).await?)
}

/// What [`replace`] would say to a document, without doing it.
///
/// # Errors
/// As [`replace`], of everything but the revision.
pub async fn check(
    experiments: &dyn Experiments,
    id: &str,
    document: Map<String, Value>,
) -> Result<Experiment, Refusal> {
    let (definition, _) = read(id, document)?;
    judge(experiments, &definition).await?;
    Ok(definition)
}

fn read(id: &str, mut document: Map<String, Value>) -> Result<(Experiment, Option<u64>), Refusal> {
    for field in READ_ONLY {
        document.remove(field);
    }
    let expected = match document.remove("revision") {
        None => None,
        Some(r) => Some(r.as_u64().ok_or_else(|| wrong("revision", "must be a whole number"))?),
    };
    document.entry("id").or_insert_with(|| id.into());
    let definition: Experiment = document::read(Value::Object(document).to_string().as_bytes())?;
    if definition.id != id {
        return Err(wrong("id", format!("must be '{id}', as in the path")));
    }
    validate(&definition)?;
    Ok((definition, expected))
}

/// The record that a definition is to replace, if it may.
async fn judge(experiments: &dyn Experiments, definition: &Experiment) -> Result<ExperimentRecord, Refusal> {
    let now = existing(experiments, &definition.id).await?;
    match now.status {
        Status::Draft => {}
        Status::Running | Status::Paused => validate_change(&now.definition, definition)?,
        Status::Stopped => {
            let why = format!("experiment '{}' is stopped: it stays as it ended", definition.id);
            return Err(Refusal::Conflict(why));
        }
    }
    Ok(now)
}

/// Moves an experiment to another status, with a winner if it is stopped with one.
///
/// # Errors
/// When its status does not allow it, or the winner is no enabled arm.
pub async fn transition(
    experiments: &dyn Experiments,
    id: &str,
    to: Status,
    winner: Option<&str>,
    change: &Change,
) -> Result<ExperimentRecord, Refusal> {
    let now = existing(experiments, id).await?;
    if let (Some(_), Some(candidates)) = (winner, &now.definition.candidates) {
        let why = format!(
            "must be left out: '{id}' orders the lists of '{}', and none of its items wins",
            candidates.catalog
        );
        return Err(wrong("winner", why));
    }
    if let Some(winner) = winner {
        let arm = now.definition.arms.iter().find(|a| a.id == winner);
        let why = match arm {
            None => Some(format!("'{}' is no arm of '{id}'", winner.escape_debug())),
            Some(arm) if !arm.enabled => Some(format!("'{winner}' is disabled: enable it first")),
            Some(_) => None,
        };
        if let Some(why) = why {
            return Err(wrong("winner", why));
        }
    }
    if !now.status.may_become(to) {
        let why = format!("experiment '{id}' is {}: it cannot become {to}", now.status);
        return Err(Refusal::Conflict(why));
    }
    Ok(experiments.set_status(id, now.status, to, winner, change).await?)
}

/// Removes an experiment that is not running.
///
/// # Errors
/// When it is running or paused, or there is none.
pub async fn delete(experiments: &dyn Experiments, id: &str, change: &Change) -> Result<(), Refusal> {
    existing(experiments, id).await?;
    Ok(experiments.delete(id, change).await?)
}

async fn existing(experiments: &dyn Experiments, id: &str) -> Result<ExperimentRecord, Refusal> {
    experiments.get(id).await?.ok_or_else(|| Refusal::Missing(id.into()))
}
