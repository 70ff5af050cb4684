//! What Croupier keeps: one trait per thing kept, backends chosen by URL.
//!
//! State (assignments, posterior sets) and the event log are embedded in a data directory; experiments,
//! outcomes, update runs, audit and keys are in SQL.

pub mod admin;
mod assignments;
mod backup;
#[cfg(feature = "cloud")]
mod bigtable;
mod catalogs;
mod check;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod decisions;
mod embedded;
mod error;
mod events;
mod experiments;
mod findings;
mod format;
mod format_catalogs;
mod format_lists;
mod format_views;
mod history;
mod item_views;
mod keys;
mod leases;
mod list_hours;
mod lists;
mod locations;
pub mod manage;
mod memory;
mod open;
mod outcomes;
mod people;
mod posteriors;
mod priority;
#[cfg(feature = "cloud")]
mod pubsub;
mod replicas;
mod results;
mod runs;
mod search;
mod shelf;
mod sql;
#[cfg(test)]
mod tests;
mod trials;
mod users;
mod vector_work;
mod views;

pub use assignments::{Assignments, Durable, Put};
pub use backup::{About, Backup, Counts, Standing, Turn, read_about, restore, standing};
pub use catalogs::{
    Catalog, CatalogChange, Catalogs, Changed, Kept, MAX_CATALOGS, Popular, Removed, Unreadable, id_of,
};
pub use check::check_files;
pub use decisions::{
    ClaimStanding, ClaimingEvent, Cursor, DecisionFilter, DecisionStory, Decisions, FoundDecisions, LoggedDecision,
};
pub use error::{Result, StoreError};
pub use events::{Delivery, EventLog, Poison, Receipt};
pub use experiments::{AuditEntry, Change, ExperimentRecord, Experiments, Note};
pub use findings::{DealtRow, Findings, StruckRow, WeighedRow};
pub use history::{HISTORY_FORMAT, History, VersionArm, VersionEntry, Versions};
pub use item_views::ItemViews;
pub use keys::{Key, Keys, NewKey, Scope};
pub use leases::Leases;
pub use list_hours::{CatalogMap, ListHour, ListHours};
pub use lists::{Lists, NewList, StoredList, Visit, Visitor, Visitors, stamp};
pub use locations::{Durability, Locations, public};
pub use memory::Memory;
pub use open::{DatabaseStores, Stores, open, open_database, open_existing_database};
pub use outcomes::{DeadLetter, Import, ImportOutcome, Ingest, Ingested, Outcomes, Trial};
pub use people::{NewSession, People, Person, PersonChange, Role, Session};
pub use posteriors::PosteriorSets;
pub use priority::{yield_to_all, yield_to_requests};
pub use replicas::{Replica, ReplicaReport, Replicas, Tally};
pub use results::{
    ARMS_SHOWN, Delay, Detail, Examined, Group, Health, Holdout, OneForAll, Results, SegmentCounts, SegmentResult,
    Segments, Updates, results, results_and_segments, segment_counts, updates, with_foremost_arms,
};
pub use runs::{RUNS_KEPT, Run, RunKind, RunReport, RunStatus, RunStep, Runs, Trigger};
pub use search::{DayTraffic, Found, Listed, Order, Search};
pub use shelf::Shelf;
pub use trials::{Logged, Span, logged_trials};
pub use users::{Erased, Erasures, KeptEvent, Users};
pub use vector_work::{SetAside, VectorStanding, VectorWork, Waiting, Walk};
pub use views::{Seen, VIEWS_KEPT, View, Views, ages};

/// Tells the recorder what each metric of the stores means.
pub fn describe_metrics() {
    #[cfg(feature = "cloud")]
    pubsub::describe_metrics();
}

/// Chooses the cryptography of every TLS client of this process, those outside of this crate included: with the clients of
/// the cloud comes more than one to choose from. Again, it does nothing.
pub fn choose_cryptography() {
    #[cfg(feature = "cloud")]
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another thread may have been faster, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}
