//! The backends that every build carries, through the suites that any backend must pass.

use crate::conformance::Place;
use crate::{Durability, Locations, Stores};
use std::path::Path;
use tempfile::TempDir;

/// Everything in one scratch directory, as `serve` keeps it in `./data`.
struct Directory(TempDir);

impl Default for Directory {
    fn default() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

impl Place for Directory {
    async fn open(&self) -> Stores {
        crate::open(&locations(self.0.path())).await.unwrap()
    }
}

/// State, events and database in `dir`.
pub(crate) fn locations(dir: &Path) -> Locations {
    Locations {
        state: format!("file:{}", dir.display()),
        events: format!("file:{}", dir.display()),
        database: format!("sqlite:{}", dir.join("croupier.db").display()),
        durability: Durability::Sync,
    }
}

crate::conformance!(assignments: Directory);
crate::conformance!(posterior_sets: Directory);
crate::conformance!(event_log: Directory);
crate::conformance!(experiments: Directory);
crate::conformance!(outcomes: Directory);
crate::conformance!(runs: Directory);
crate::conformance!(keys: Directory);
