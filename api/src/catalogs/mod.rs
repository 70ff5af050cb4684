//! Catalogs: define, fill, and ask for lists.

pub(crate) mod definitions;
mod explored;
pub(crate) mod items;
pub(crate) mod lists;
mod served;
mod speed;
pub(crate) mod texts;

use crate::app::App;
use crate::problem::{Problem, Result};
use axum::http::StatusCode;
use recommend::Candidates;
pub(crate) use served::Served;
pub(crate) use speed::Speed;
use std::sync::Arc;

/// The live items of a catalog that this replica knows.
fn candidates(app: &App, catalog: &str) -> Result<Arc<Candidates>> {
    if let Some(candidates) = app.shelf.get(catalog) {
        return Ok(candidates);
    }
    if app.shelf.is_loaded() {
        let detail = format!("there is no catalog '{}'", catalog.escape_debug());
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    }
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "catalogs are still being read: try again in a second"))
}

/// Takes in a change that this process made, so that whoever made it sees it at once.
async fn take_in(app: &App) {
    if let Err(e) = app.shelf.catch_up(&*app.stores.catalogs, &*app.clock).await {
        tracing::warn!("a change of a catalog is made, and not seen here yet: {e}");
    }
}
