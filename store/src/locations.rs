//! Where things are kept: the URLs of the settings, read.

use crate::{Result, StoreError};
use std::fmt;
use std::path::{Path, PathBuf};

/// Where things are kept.
#[derive(Clone)]
pub struct Locations {
    /// Assignments and posteriors: `file:DIR` or `bigtable://PROJECT/INSTANCE`.
    pub state: String,
    /// Decisions and events: `file:DIR` or `pubsub://PROJECT/TOPIC`.
    pub events: String,
    /// Experiments, outcomes, runs, audit and keys: `sqlite:FILE` or `postgres://…`.
    pub database: String,
    /// What an acknowledgement means on this machine's disk.
    pub durability: Durability,
    /// Directory where events wait while Pub/Sub is away.
    pub spool: PathBuf,
    /// Most bytes that wait there.
    pub spool_bytes: u64,
    /// `HOST:PORT` of an emulator in Bigtable's place.
    pub bigtable_emulator: Option<String>,
    /// `HOST:PORT` of an emulator in Pub/Sub's place.
    pub pubsub_emulator: Option<String>,
}

impl fmt::Debug for Locations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls = [&self.state, &self.events, &self.database].map(|url| public(url));
        f.debug_tuple("Locations").field(&urls).finish_non_exhaustive()
    }
}

impl Locations {
    /// Everything in one directory of this machine.
    #[must_use]
    pub fn in_dir(dir: &Path) -> Self {
        Self {
            state: format!("file:{}", dir.display()),
            events: format!("file:{}", dir.display()),
            database: format!("sqlite:{}", dir.join("croupier.db").display()),
            durability: Durability::Sync,
            spool: dir.join("spool"),
            spool_bytes: 1 << 30,
            bigtable_emulator: None,
            pubsub_emulator: None,
        }
    }
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

/// A location of state.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum StateAt {
    Dir(PathBuf),
    Bigtable(InProject),
}

/// A location of the event log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum EventsAt {
    Dir(PathBuf),
    PubSub(InProject),
}

/// A location of the database.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DatabaseAt {
    Sqlite(PathBuf),
    Postgres(String),
}

/// A thing of a Google Cloud project: a Bigtable instance or a Pub/Sub topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InProject {
    pub(crate) project: String,
    pub(crate) name: String,
}

impl StateAt {
    pub(crate) fn parse(url: &str) -> Result<Self> {
        match (path_of("file:", url), in_project("bigtable://", url)) {
            (Some(dir), _) => Ok(Self::Dir(dir.into())),
            (_, Some(instance)) => Ok(Self::Bigtable(instance)),
            _ => Err(unusable("state", url, "'file:DIR' as file:./data, or 'bigtable://PROJECT/INSTANCE'")),
        }
    }
}

impl EventsAt {
    pub(crate) fn parse(url: &str) -> Result<Self> {
        match (path_of("file:", url), in_project("pubsub://", url)) {
            (Some(dir), _) => Ok(Self::Dir(dir.into())),
            (_, Some(topic)) => Ok(Self::PubSub(topic)),
            _ => Err(unusable("events", url, "'file:DIR' as file:./data, or 'pubsub://PROJECT/TOPIC'")),
        }
    }
}

impl DatabaseAt {
    pub(crate) fn parse(url: &str) -> Result<Self> {
        match path_of("sqlite:", url) {
            // Each connection would have a memory of its own.
            Some(path) if !path.starts_with(':') => Ok(Self::Sqlite(path.into())),
            _ if url.starts_with("postgres://") || url.starts_with("postgresql://") => Ok(Self::Postgres(url.into())),
            _ => Err(unusable(
                "database",
                url,
                "'sqlite:FILE' as sqlite:./data/croupier.db, or 'postgres://USER:PASSWORD@HOST/NAME'",
            )),
        }
    }
}

/// The rest of `SCHEME:PATH` or, as others write it, `SCHEME://PATH`.
fn path_of<'a>(scheme: &str, url: &'a str) -> Option<&'a str> {
    let path = url.strip_prefix(scheme)?;
    Some(path.strip_prefix("//").unwrap_or(path)).filter(|path| !path.is_empty())
}

fn in_project(scheme: &str, url: &str) -> Option<InProject> {
    let (project, name) = url.strip_prefix(scheme)?.split_once('/')?;
    let plain = |s: &str| !s.is_empty() && s.chars().all(|c| c.is_ascii_alphanumeric() || "-_.~+%:".contains(c));
    (plain(project) && plain(name)).then(|| InProject { project: project.into(), name: name.into() })
}

/// A setting that cannot be used, without the secrets that it may hold.
pub(crate) fn unusable(setting: &'static str, url: &str, may_be: &str) -> StoreError {
    StoreError::Setting { setting, value: public(url), reason: format!("it may be {may_be}") }
}

/// A URL, or what was meant to be one, without what may be a password: before the host, or among its parameters.
#[must_use]
pub fn public(url: &str) -> String {
    let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let secretive = |part: &str| part.contains(['@', ':', '?']);
    match (secretive(scheme), secretive(rest)) {
        (false, false) => url.escape_debug().to_string(),
        (false, true) if !scheme.is_empty() => format!("{}://…", scheme.escape_debug()),
        _ => "…".into(),
    }
}

/// Whether two paths are one directory; the first exists.
pub(crate) fn same(a: &Path, b: &Path) -> bool {
    a == b || matches!((std::fs::canonicalize(a), std::fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}
