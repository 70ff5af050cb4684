//! The one place where a URL becomes a backend.

use crate::embedded::Embedded;
use crate::locations::{DatabaseAt, EventsAt, InProject, Locations, StateAt, same};
use crate::sql::Database;
use crate::{
    Assignments, Backup, Catalogs, Decisions, EventLog, Experiments, Findings, History, ItemViews, Keys, Leases,
    ListHours, Lists, Memory, Outcomes, People, PosteriorSets, Replicas, Result, Runs, StoreError, Users, VectorWork,
    Views,
};
use std::sync::Arc;

/// Everything that is kept.
#[derive(Clone)]
pub struct Stores {
    /// Who was dealt what.
    pub assignments: Arc<dyn Assignments>,
    /// Published posteriors.
    pub posteriors: Arc<dyn PosteriorSets>,
    /// What can be recommended.
    pub catalogs: Arc<dyn Catalogs>,
    /// What visitors looked at last.
    pub views: Arc<dyn Views>,
    /// Lists made for them ahead.
    pub lists: Arc<dyn Lists>,
    /// What happened.
    pub events: Arc<dyn EventLog>,
    /// What is tested.
    pub experiments: Arc<dyn Experiments>,
    /// What became of decisions.
    pub outcomes: Arc<dyn Outcomes>,
    /// The same decisions, one by one.
    pub decisions: Arc<dyn Decisions>,
    /// What is known of one user.
    pub users: Arc<dyn Users>,
    /// How often items were looked at.
    pub item_views: Arc<dyn ItemViews>,
    /// Which lists were served, hour by hour.
    pub list_hours: Arc<dyn ListHours>,
    /// Which items wait for vectors.
    pub vector_work: Arc<dyn VectorWork>,
    /// What checks read and found.
    pub findings: Arc<dyn Findings>,
    /// What each published version said of the whole experiment.
    pub history: Arc<dyn History>,
    /// Update runs.
    pub runs: Arc<dyn Runs>,
    /// API keys.
    pub keys: Arc<dyn Keys>,
    /// Who may sign in.
    pub people: Arc<dyn People>,
    /// Who may do what one process at a time may do.
    pub leases: Arc<dyn Leases>,
    /// The processes at work.
    pub replicas: Arc<dyn Replicas>,
    /// Makes backups, where all is on this machine's disk.
    pub backup: Option<Arc<Backup>>,
    /// Of this process alone: what results were computed from.
    pub memory: Arc<Memory>,
}

/// Opens every store.
///
/// # Errors
/// When a location cannot be used, with the setting's name and what it may be.
pub async fn open(locations: &Locations) -> Result<Stores> {
    let (state, events) = (StateAt::parse(&locations.state)?, EventsAt::parse(&locations.events)?);
    let database_at = DatabaseAt::parse(&locations.database)?;
    let durability = locations.durability;
    let embedded = match &state {
        StateAt::Dir(dir) => Some((dir, Embedded::open("state", dir, durability)?)),
        StateAt::Bigtable(_) => None,
    };
    let log: Arc<dyn EventLog> = match (&events, &embedded) {
        (EventsAt::Dir(dir), Some((state_dir, state))) if same(state_dir, dir) => state.clone(),
        (EventsAt::Dir(dir), _) => Embedded::open("events", dir, durability)?,
        (EventsAt::PubSub(topic), _) => cloud::events(topic, locations).await?,
    };
    let here = embedded.as_ref().map(|(dir, state)| (dir.as_path(), state.clone()));
    let here = here.filter(|(dir, _)| matches!(&events, EventsAt::Dir(events) if same(dir, events)));
    let state = match (&state, embedded) {
        (StateAt::Bigtable(instance), _) => cloud::state(instance, locations).await?,
        (_, Some((_, state))) => State::of(state),
        (StateAt::Dir(_), None) => return Err(StoreError::Embedded("the state was not opened".into())),
    };
    let database = database(&database_at, locations).await?;
    let backup = match (here, &database_at) {
        (Some((dir, state)), DatabaseAt::Sqlite(file)) => {
            Some(Arc::new(Backup::new(state, dir, database.clone(), file)))
        }
        _ => None,
    };
    Ok(Stores {
        assignments: state.assignments,
        posteriors: state.posteriors,
        catalogs: state.catalogs,
        views: state.views,
        lists: state.lists,
        events: log,
        experiments: database.clone(),
        outcomes: database.clone(),
        decisions: database.clone(),
        users: database.clone(),
        item_views: database.clone(),
        list_hours: database.clone(),
        vector_work: database.clone(),
        findings: database.clone(),
        history: database.clone(),
        runs: database.clone(),
        keys: database.clone(),
        people: database.clone(),
        leases: database.clone(),
        replicas: database,
        backup,
        memory: Arc::default(),
    })
}

/// What the state's backend keeps.
struct State {
    assignments: Arc<dyn Assignments>,
    posteriors: Arc<dyn PosteriorSets>,
    catalogs: Arc<dyn Catalogs>,
    views: Arc<dyn Views>,
    lists: Arc<dyn Lists>,
}

impl State {
    fn of<T: Assignments + PosteriorSets + Catalogs + Views + Lists + 'static>(state: Arc<T>) -> Self {
        let (assignments, posteriors, catalogs) = (state.clone(), state.clone(), state.clone());
        Self { assignments, posteriors, catalogs, views: state.clone(), lists: state }
    }
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
    /// Who may sign in.
    pub people: Arc<dyn People>,
}

/// Opens the database alone.
///
/// # Errors
/// When the location cannot be used.
pub async fn open_database(locations: &Locations) -> Result<DatabaseStores> {
    let database = database(&DatabaseAt::parse(&locations.database)?, locations).await?;
    Ok(DatabaseStores {
        experiments: database.clone(),
        outcomes: database.clone(),
        keys: database.clone(),
        people: database,
    })
}

/// The same of one that is there: whoever only looks makes none, in the wrong directory say.
///
/// # Errors
/// When the location cannot be used, or is a file that does not exist.
pub async fn open_existing_database(locations: &Locations) -> Result<DatabaseStores> {
    if let DatabaseAt::Sqlite(file) = DatabaseAt::parse(&locations.database)?
        && !file.exists()
    {
        let reason = "there is no such file: is this the directory of the data?".into();
        return Err(StoreError::Setting { setting: "database", value: locations.database.clone(), reason });
    }
    open_database(locations).await
}

async fn database(at: &DatabaseAt, locations: &Locations) -> Result<Arc<Database>> {
    Ok(Arc::new(match at {
        DatabaseAt::Sqlite(file) => Database::sqlite(file, locations.durability).await?,
        DatabaseAt::Postgres(url) => Database::postgres(url).await?,
    }))
}

/// The services of Google Cloud.
#[cfg(feature = "cloud")]
mod cloud {
    use super::{Arc, EventLog, InProject, Locations, Result, State};
    use crate::bigtable::Bigtable;
    use crate::pubsub::PubSub;

    pub(super) async fn state(instance: &InProject, locations: &Locations) -> Result<State> {
        Ok(State::of(Arc::new(Bigtable::open(instance, locations).await?)))
    }

    pub(super) async fn events(topic: &InProject, locations: &Locations) -> Result<Arc<dyn EventLog>> {
        Ok(Arc::new(PubSub::open(topic, locations).await?))
    }
}

/// Their place in a build that has none of them.
#[cfg(not(feature = "cloud"))]
#[expect(clippy::unused_async, reason = "as where they are")]
mod cloud {
    use super::{Arc, EventLog, InProject, Locations, Result, State, lacking};

    pub(super) async fn state(_: &InProject, locations: &Locations) -> Result<State> {
        Err(lacking("state", &locations.state, "Bigtable"))
    }

    pub(super) async fn events(_: &InProject, locations: &Locations) -> Result<Arc<dyn EventLog>> {
        Err(lacking("events", &locations.events, "Pub/Sub"))
    }
}

/// Why a build without cloud backends cannot use one.
#[cfg(not(feature = "cloud"))]
pub(crate) fn lacking(setting: &'static str, url: &str, service: &str) -> StoreError {
    let reason = format!("this build has no {service} client: take a released one, or build with '--features cloud'");
    StoreError::Setting { setting, value: crate::locations::public(url), reason }
}
