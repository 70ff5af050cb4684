//! Against Google's emulator: the suites that any backend must pass, and what only Bigtable can get wrong.

mod admin;
mod assignments;
mod catalogs;
mod faults;
mod posteriors;

use super::Bigtable;
use crate::conformance::Place;
use crate::conformance::services::{Kind, Service};
use crate::locations::InProject;
use crate::{Locations, StoreError, Stores};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use tempfile::TempDir;

/// An instance of its own in the emulator that all tests share.
struct Emulator {
    locations: Locations,
    _dir: TempDir,
}

impl Default for Emulator {
    fn default() -> Self {
        Self::at(Service::shared(Kind::Bigtable).unwrap().address())
    }
}

impl Emulator {
    fn at(address: SocketAddr) -> Self {
        static INSTANCES: AtomicU32 = AtomicU32::new(0);
        let dir = tempfile::tempdir().unwrap();
        let locations = Locations {
            state: format!("bigtable://test/i{}", INSTANCES.fetch_add(1, Relaxed)),
            bigtable_emulator: Some(address.to_string()),
            ..Locations::in_dir(dir.path())
        };
        Self { locations, _dir: dir }
    }

    /// One with tables; none if it is not installed.
    async fn with_tables() -> Option<Self> {
        Self::available().then_some(())?;
        let emulator = Self::default();
        crate::admin::create_tables(&emulator.locations).await.unwrap();
        Some(emulator)
    }

    /// The same instance as seen through `address`.
    fn through(&self, address: SocketAddr) -> Locations {
        Locations { bigtable_emulator: Some(address.to_string()), ..self.locations.clone() }
    }
}

fn instance(locations: &Locations) -> InProject {
    let (project, name) = locations.state.strip_prefix("bigtable://").unwrap().split_once('/').unwrap();
    InProject { project: project.into(), name: name.into() }
}

async fn open(locations: &Locations) -> Bigtable {
    Bigtable::open(&instance(locations), locations).await.unwrap()
}

/// One line that blames the service.
fn remote(e: &StoreError) -> String {
    let line = e.to_string();
    assert!(matches!(e, StoreError::Remote { .. }) && line.starts_with("Bigtable: "), "{e:?}");
    assert!(!line.contains('\n'), "{line}");
    line
}

impl Place for Emulator {
    const EXPIRES_AT_ONCE: bool = false;
    const OPENS_TWICE: bool = true;

    fn available() -> bool {
        Service::shared(Kind::Bigtable).is_some()
    }

    async fn open(&self) -> Stores {
        crate::admin::create_tables(&self.locations).await.unwrap();
        crate::open(&self.locations).await.unwrap()
    }
}

mod suites {
    use super::Emulator;
    crate::conformance!(assignments: Emulator);
    crate::conformance!(posterior_sets: Emulator);
    crate::conformance!(catalogs: Emulator);
    crate::conformance!(expired_items: Emulator);
    crate::conformance!(views: Emulator);
    crate::conformance!(lists: Emulator);
}
