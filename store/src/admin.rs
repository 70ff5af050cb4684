//! What an operator does once, before anything runs: making what a backend needs, and finding out what it lacks.

use crate::Result;
use crate::locations::{Locations, StateAt};

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

/// Looks at everything that the state's backend needs, without changing any of it.
///
/// # Errors
/// [`crate::StoreError::Setting`] when the setting cannot be understood; whatever else is wrong is a finding.
pub async fn check_state(locations: &Locations) -> Result<Vec<Finding>> {
    match StateAt::parse(&locations.state)? {
        StateAt::Dir(dir) => {
            let detail = "a directory of this machine: it is made when it is first used".into();
            Ok(vec![Finding { part: dir.display().to_string(), ok: true, detail }])
        }
        StateAt::Bigtable(instance) => cloud::check_state(&instance, locations).await,
    }
}

#[cfg(feature = "cloud")]
mod cloud {
    pub(super) use crate::bigtable::admin::{check_state, create_tables};
}

/// Their place in a build that has none of them.
#[cfg(not(feature = "cloud"))]
#[expect(clippy::unused_async, reason = "as where they are")]
mod cloud {
    use super::{Finding, Locations, Result};
    use crate::locations::InProject;

    pub(super) async fn create_tables(_: &InProject, locations: &Locations) -> Result<Vec<String>> {
        Err(crate::open::lacking("state", &locations.state, "Bigtable"))
    }

    pub(super) async fn check_state(_: &InProject, locations: &Locations) -> Result<Vec<Finding>> {
        Err(crate::open::lacking("state", &locations.state, "Bigtable"))
    }
}
