//! The one place where a URL becomes a backend.

use crate::embedded::Embedded;
use crate::sql::Sqlite;
use crate::{Assignments, EventLog, Experiments, Keys, Outcomes, PosteriorSets, Result, Runs, StoreError};
use std::path::{Path, PathBuf};
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
    let (state_dir, events_dir) = (file_dir("state", &locations.state)?, file_dir("events", &locations.events)?);
    let database_file = sqlite_file(&locations.database)?;
    let state = Embedded::open("state", &state_dir, locations.durability)?;
    let one = state_dir == events_dir || same(&state_dir, &events_dir);
    let log = if one { state.clone() } else { Embedded::open("events", &events_dir, locations.durability)? };
    let database = Arc::new(Sqlite::open(&database_file, locations.durability).await?);
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
    let database = Arc::new(Sqlite::open(&sqlite_file(&locations.database)?, locations.durability).await?);
    Ok(DatabaseStores { experiments: database.clone(), outcomes: database.clone(), keys: database })
}

/// The file of `sqlite:FILE` or, as others write it, `sqlite://FILE`.
fn sqlite_file(url: &str) -> Result<PathBuf> {
    match path_of("sqlite:", url) {
        // Each connection would have a memory of its own.
        Some(path) if !path.starts_with(':') => Ok(path.into()),
        _ => Err(unusable("database", url, "'sqlite:FILE', as sqlite:./data/croupier.db")),
    }
}

/// The directory of `file:DIR` or `file://DIR`.
fn file_dir(setting: &'static str, url: &str) -> Result<PathBuf> {
    let path = path_of("file:", url).map(PathBuf::from);
    path.ok_or_else(|| unusable(setting, url, "'file:DIR', as file:./data"))
}

fn path_of<'a>(scheme: &str, url: &'a str) -> Option<&'a str> {
    let path = url.strip_prefix(scheme)?;
    Some(path.strip_prefix("//").unwrap_or(path)).filter(|path| !path.is_empty())
}

fn unusable(setting: &'static str, value: &str, may_be: &str) -> StoreError {
    let (scheme, rest) = value.split_once(':').unwrap_or((value, ""));
    let reason = match scheme {
        "bigtable" | "pubsub" | "postgres" | "postgresql" => {
            format!("this build has no '{scheme}' backend; here it may be {may_be}")
        }
        _ => format!("it may be {may_be}"),
    };
    // A URL may hold a password: before the host, or among its parameters.
    let secret = rest.contains(['@', ':', '?']);
    let value = if secret { format!("{scheme}://…") } else { value.escape_debug().to_string() };
    StoreError::Setting { setting, value, reason }
}

/// Whether two paths are one directory; the first exists.
fn same(a: &Path, b: &Path) -> bool {
    matches!((std::fs::canonicalize(a), std::fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}
