//! What an operator does once, before anything runs: making what a backend needs, and finding out what it lacks.

use crate::Result;
use crate::locations::{EventsAt, Locations, StateAt};
use std::fmt;
use std::path::Path;

/// What was found out about one part of a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub part: String,
    /// Whether it is as it must be.
    pub ok: bool,
    /// What it is; if it is not as it must be, what to do.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<4} {}: {}", if self.ok { "ok" } else { "BAD" }, self.part, self.detail)
    }
}

/// Makes what the state's backend needs and does not have; what is there already stays. Returns a line for each part,
/// made or found.
///
/// # Errors
/// [`crate::StoreError::Setting`] when the setting or what it names cannot be used, [`crate::StoreError::Remote`] when
/// the service fails.
pub async fn create_tables(locations: &Locations) -> Result<Vec<String>> {
    match StateAt::parse(&locations.state)? {
        StateAt::Dir(dir) => Ok(vec![format!("state is the directory {}: there is nothing to make", dir.display())]),
        StateAt::Bigtable(instance) => cloud::create_tables(&instance, locations).await,
    }
}

/// Makes the topics and subscriptions that the event log needs and does not have. Returns a line for each, made or found.
///
/// # Errors
/// As [`create_tables`].
pub async fn create_topics(locations: &Locations) -> Result<Vec<String>> {
    match EventsAt::parse(&locations.events)? {
        EventsAt::Dir(dir) => {
            Ok(vec![format!("events are in the directory {}: there is nothing to make", dir.display())])
        }
        EventsAt::PubSub(_) => cloud::create_topics(locations).await,
    }
}

/// Looks at everything that the settings name, without changing any of it but the database, whose tables are made.
pub async fn check(locations: &Locations) -> Vec<Finding> {
    let (state, events) = (check_state(locations).await, check_events(locations).await);
    let database = crate::open_database(locations).await.map(|_| {
        let detail = "it can be used, and its tables are those of this release".into();
        vec![Finding { part: crate::locations::public(&locations.database), ok: true, detail }]
    });
    let parts = [("state", state), ("events", events), ("database", database)];
    parts.into_iter().flat_map(|(setting, found)| named(setting, found)).collect()
}

/// Findings under the name of their setting; an error is one.
fn named(setting: &str, found: Result<Vec<Finding>>) -> Vec<Finding> {
    let found = found.unwrap_or_else(|e| vec![Finding { part: String::new(), ok: false, detail: e.to_string() }]);
    found.into_iter().map(|f| Finding { part: format!("{setting} {}", f.part).trim_end().into(), ..f }).collect()
}

pub(crate) async fn check_state(locations: &Locations) -> Result<Vec<Finding>> {
    match StateAt::parse(&locations.state)? {
        StateAt::Dir(dir) => Ok(vec![directory(&dir)]),
        StateAt::Bigtable(instance) => cloud::check_state(&instance, locations).await,
    }
}

async fn check_events(locations: &Locations) -> Result<Vec<Finding>> {
    match EventsAt::parse(&locations.events)? {
        EventsAt::Dir(dir) => Ok(vec![directory(&dir)]),
        EventsAt::PubSub(_) => {
            let lines = cloud::check_topics(locations).await?;
            Ok(lines.into_iter().map(|detail| Finding { part: String::new(), ok: true, detail }).collect())
        }
    }
}

fn directory(dir: &Path) -> Finding {
    let detail = "a directory of this machine: it is made when it is first used".into();
    Finding { part: dir.display().to_string(), ok: true, detail }
}

#[cfg(feature = "cloud")]
mod cloud {
    pub(super) use crate::bigtable::admin::{check_state, create_tables};
    pub(super) use crate::pubsub::{check_topics, create_topics};
}

/// Their place in a build that has none of them.
#[cfg(not(feature = "cloud"))]
#[expect(clippy::unused_async, reason = "as where they are")]
mod cloud {
    use super::{Finding, Locations, Result};
    use crate::locations::InProject;
    use crate::open::lacking;

    pub(super) async fn create_tables(_: &InProject, locations: &Locations) -> Result<Vec<String>> {
        Err(lacking("state", &locations.state, "Bigtable"))
    }

    pub(super) async fn check_state(_: &InProject, locations: &Locations) -> Result<Vec<Finding>> {
        Err(lacking("state", &locations.state, "Bigtable"))
    }

    pub(super) async fn create_topics(locations: &Locations) -> Result<Vec<String>> {
        Err(lacking("events", &locations.events, "Pub/Sub"))
    }

    pub(super) async fn check_topics(locations: &Locations) -> Result<Vec<String>> {
        Err(lacking("events", &locations.events, "Pub/Sub"))
    }
}
