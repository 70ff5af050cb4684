//! The one place where a URL becomes a backend.

use crate::embedded::Embedded;
use crate::sql::Sqlite;
use crate::{Assignments, EventLog, Experiments, Keys, Outcomes, PosteriorSets, Result, Runs, StoreError};
use std::path::PathBuf;
use std::sync::Arc;

/// Where things are kept.
#[derive(Debug, Clone)]
pub struct Locations {
    /// Assignments and posteriors: `file:DIR`.
    pub state: String,
    /// Decisions and events: `file:DIR`.
    pub events: String,
    /// Experiments, outcomes, runs, audit and keys: `sqlite:FILE`.
    pub database: String,
    /// What an acknowledgement means.
    pub durability: Durability,
}

/// What an acknowledged write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// A power cut: the disk is synchronised first.
    #[default]
    Sync,
    /// The end of the process, but not of the machine.
    Os,
}

/// Everything that is kept.
#[derive(Clone)]
pub struct Stores {
    /// Who was dealt what.
    pub assignments: Arc<dyn Assignments>,
    /// Published posteriors.
    pub posteriors: Arc<dyn PosteriorSets>,
    /// What happened.
    pub events: Arc<dyn EventLog>,
    /// What is tested.
    pub experiments: Arc<dyn Experiments>,
    /// What became of decisions.
    pub outcomes: Arc<dyn Outcomes>,
    /// Update runs.
    pub runs: Arc<dyn Runs>,
    /// API keys.
    pub keys: Arc<dyn Keys>,
}

/// Opens every store.
///
/// # Errors
/// When a location cannot be used, with the setting's name and what it may be.
pub async fn open(locations: &Locations) -> Result<Stores> {
    let state_dir = file_dir("state", &locations.state)?;
    let events_dir = file_dir("events", &locations.events)?;
    let state = Embedded::open(&state_dir, locations.durability)?;
    let log = if same(&state_dir, &events_dir) { state.clone() } else { Embedded::open(&events_dir, locations.durability)? };
    let database = open_sqlite(&locations.database, locations.durability).await?;
    Ok(Stores {
        assignments: state.clone(),
        posteriors: state,
        events: log,
        experiments: database.clone(),
        outcomes: database.clone(),
        runs: database.clone(),
        keys: database,
    })
}

/// What needs the database alone: it can be used beside a running server.
#[derive(Clone)]
pub struct DatabaseStores {
    /// What is tested.
    pub experiments: Arc<dyn Experiments>,
    /// What became of decisions.
    pub outcomes: Arc<dyn Outcomes>,
    /// API keys.
    pub keys: Arc<dyn Keys>,
}

/// Opens the database alone.
///
/// # Errors
/// When the location cannot be used.
pub async fn open_database(locations: &Locations) -> Result<DatabaseStores> {
    let database = open_sqlite(&locations.database, locations.durability).await?;
    Ok(DatabaseStores { experiments: database.clone(), outcomes: database.clone(), keys: database })
}

async fn open_sqlite(url: &str, durability: Durability) -> Result<Arc<Sqlite>> {
    match url.strip_prefix("sqlite:") {
        Some(path) if !path.is_empty() => Ok(Arc::new(Sqlite::open(&PathBuf::from(path), durability).await?)),
        _ => Err(unusable("database", url, "'sqlite:FILE', as sqlite:./data/croupier.db")),
    }
}

fn file_dir(setting: &'static str, url: &str) -> Result<PathBuf> {
    match url.strip_prefix("file:") {
        Some(path) if !path.is_empty() => Ok(PathBuf::from(path)),
        _ => Err(unusable(setting, url, "'file:DIR', as file:./data")),
    }
}

fn unusable(setting: &'static str, value: &str, may_be: &str) -> StoreError {
    let scheme = value.split(':').next().unwrap_or_default();
    let reason = match scheme {
        "bigtable" | "pubsub" | "postgres" | "postgresql" => {
            format!("this build has no '{scheme}' backend; here it may be {may_be}")
        }
        _ => format!("it may be {may_be}"),
    };
    // A URL may hold a password.
    let value = value.rsplit_once('@').map_or(value, |(_, host)| host);
    StoreError::Setting { setting, value: value.into(), reason }
}

/// Whether two paths are one directory, made or not.
fn same(a: &PathBuf, b: &PathBuf) -> bool {
    a == b || matches!((std::fs::canonicalize(a), std::fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}
