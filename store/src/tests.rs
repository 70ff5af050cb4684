//! The backends that every build carries, through the suites that any backend must pass.

use crate::conformance::Place;
use crate::{Locations, Stores};
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
        crate::open(&Locations::in_dir(self.0.path())).await.unwrap()
    }
}

crate::conformance!(assignments: Directory);
crate::conformance!(posterior_sets: Directory);
crate::conformance!(catalogs: Directory);
crate::conformance!(expired_items: Directory);
crate::conformance!(views: Directory);
crate::conformance!(lists: Directory);
crate::conformance!(event_log: Directory);
crate::conformance!(experiments: Directory);
crate::conformance!(outcomes: Directory);
crate::conformance!(decisions: Directory);
crate::conformance!(findings: Directory);
crate::conformance!(history: Directory);
crate::conformance!(runs: Directory);
crate::conformance!(keys: Directory);
crate::conformance!(people: Directory);
crate::conformance!(users: Directory);
crate::conformance!(leases: Directory);
crate::conformance!(candidates: Directory);
crate::conformance!(replicas: Directory);
crate::conformance!(item_views: Directory);
crate::conformance!(list_hours: Directory);
crate::conformance!(vector_work: Directory);
