//! What every handler has at hand.

use crate::door::{Door, Entrance};
use crate::estimates::Estimates;
use crate::failure::Failure;
use crate::lang::Notice;
use crate::plan::Plan;
use crate::work::{Works, turn};
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use bandit::Clock;
use jiff::Timestamp;
use std::sync::Arc;
use store::{ExperimentRecord, Shelf, Stores};

/// State of the router.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) stores: Stores,
    pub(crate) entrance: Arc<Entrance>,
    clock: Arc<dyn Clock>,
    pub(crate) notice: Option<Notice>,
    pub(crate) estimates: Arc<Works<Estimates>>,
    pub(crate) plans: Arc<Works<Plan>>,
    /// The catalogs that this process knows.
    pub(crate) shelf: Arc<Shelf>,
}

impl App {
    pub(crate) fn new(
        stores: Stores,
        shelf: Arc<Shelf>,
        clock: Arc<dyn Clock>,
        notice: Option<Notice>,
        door: Door,
    ) -> Self {
        let turn = turn();
        let (estimates, plans) = (Arc::new(Works::new(turn.clone())), Arc::new(Works::new(turn)));
        let entrance = Arc::new(Entrance::new(door));
        Self { stores, entrance, clock, notice, estimates, plans, shelf }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// The experiment that the path names.
pub(crate) struct Found(pub(crate) ExperimentRecord);

impl FromRequestParts<App> for Found {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        // A path that is no UTF-8 names nothing.
        let params = RawPathParams::from_request_parts(parts, app).await.map_err(|_| Failure::page())?;
        let (_, id) = params.iter().find(|(name, _)| *name == "id").ok_or_else(Failure::page)?;
        let record = app.stores.experiments.get(id).await?;
        record.map(Self).ok_or_else(|| Failure::experiment(id))
    }
}
