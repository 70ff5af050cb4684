//! Texts in place of vectors: which model makes vectors of them, how far it is, and what is tried again.

use super::candidates;
use crate::app::App;
use crate::body::json;
use crate::problem::{Problem, Result, method_not_allowed};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{Method, StatusCode, Uri};
use embed::{EmbedError, Embedder, Find};
use jiff::Timestamp;
use recommend::{CatalogDefinition, MAX_TEXT, Serving};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

/// How long a search waits for the vector of its text.
const PATIENCE: Duration = Duration::from_secs(10);
/// Items that were set aside of which it is told why.
const MOST_ASIDE: usize = 100;

/// Which items have vectors of their texts.
#[derive(Serialize, ToSchema)]
pub(crate) struct Vectors {
    /// The model that lists go by now.
    serving: Option<Serving>,
    /// Whether they are to go by another, once all items have its vectors.
    changing: bool,
    /// Live items that lists have.
    embedded: usize,
    /// Items that wait for a vector.
    waiting: u64,
    /// Items that have none and are not tried again by themselves.
    set_aside: u64,
    /// The latest of these, at most 100.
    aside: Vec<Aside>,
    /// Texts that got vectors each second, when some last did.
    per_second: f64,
    /// When that was.
    #[schema(value_type = Option<String>, format = DateTime)]
    at: Option<Timestamp>,
    /// What keeps the catalog from its model, if anything.
    trouble: Option<String>,
}

/// An item that is not tried again by itself.
#[derive(Serialize, ToSchema)]
pub(crate) struct Aside {
    id: String,
    why: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// What to try again.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object", default)]
pub(crate) struct Retry {
    /// One item; all when absent.
    id: Option<String>,
}

/// What is tried again.
#[derive(Serialize, ToSchema)]
pub(crate) struct Retried {
    /// Items that were set aside and wait again.
    retried: u64,
}

/// How far the vectors of a catalog's texts are.
#[utoipa::path(get, path = "/v1/catalogs/{catalog}/vectors", operation_id = "vectors", tag = "recommendations",
    params(("catalog" = String, Path)),
    responses((status = 200, body = Vectors), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn standing(State(app): State<Arc<App>>, Path(catalog): Path<String>) -> Result<Json<Vectors>> {
    let candidates = candidates(&app, &catalog)?;
    let standing = app.stores.vector_work.standing(&catalog, MOST_ASIDE).await?;
    let serving = candidates.definition().serving.clone();
    let wanted = candidates.definition();
    let goes_by = |s: &Serving| s.embedder == wanted.embedder && s.dimension == wanted.dimension;
    let changing = serving.as_ref().is_some_and(|serving| !goes_by(serving));
    let aside =
        standing.aside.into_iter().map(|aside| Aside { id: aside.item, why: aside.why, at: aside.at }).collect();
    Ok(Json(Vectors {
        serving,
        changing,
        embedded: candidates.len(),
        waiting: standing.waiting,
        set_aside: standing.set_aside,
        aside,
        per_second: standing.rate,
        at: standing.at,
        trouble: standing.trouble,
    }))
}

/// Try items again whose texts got no vectors: one, or all that were set aside.
#[utoipa::path(post, path = "/v1/catalogs/{catalog}/items/retry", operation_id = "retry_items", tag = "recommendations",
    params(("catalog" = String, Path)), request_body = Option<Retry>,
    responses((status = 200, body = Retried), (status = 400, body = Problem), (status = 404, body = Problem),
    (status = 503, body = Problem)))]
pub(crate) async fn retry(
    State(app): State<Arc<App>>,
    method: Method,
    uri: Uri,
    Path((catalog, action)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Retried>> {
    // Its path is also that of an item which is called so.
    if action != "retry" {
        return Err(method_not_allowed(method, uri).await);
    }
    let Retry { id } = if body.is_empty() { Retry::default() } else { json(&body)? };
    candidates(&app, &catalog)?;
    let retried = app.stores.vector_work.retry(&catalog, id.as_deref(), app.clock.now()).await?;
    match id {
        Some(id) if retried == 0 => {
            let detail = format!("item '{}' is not among those that were set aside", id.escape_debug());
            Err(Problem::new(StatusCode::NOT_FOUND, detail))
        }
        _ => Ok(Json(Retried { retried })),
    }
}

/// Completes a definition by what its model is, and refuses one whose model is not there.
pub(super) async fn complete(app: &App, definition: &mut CatalogDefinition) -> Result<()> {
    if definition.serving.take().is_some() {
        return Err(Problem::field(
            "serving",
            "is set by the server, once all items have vectors of the embedder's model",
        ));
    }
    let Some((kind, name)) = definition.embedder.model() else { return Ok(()) };
    let dimension = Some(definition.dimension).filter(|dimension| *dimension > 0);
    // Only a service does not say how long its vectors are.
    let told = dimension.filter(|_| kind == "endpoint");
    let model = models(app)?.find(kind, name, told).await.map_err(|why| Problem::field("embedder.model", why))?;
    if dimension.is_some_and(|dimension| dimension != model.dimension()) {
        let why = format!("must be {} with this model, or be left out", model.dimension());
        return Err(Problem::field("dimension", why));
    }
    definition.dimension = model.dimension();
    let (version, dimension) = (model.version().to_owned(), model.dimension());
    definition.serving = Some(Serving { embedder: definition.embedder.clone(), version, dimension });
    Ok(())
}

fn models(app: &App) -> Result<&dyn Find> {
    let none = || Problem::field("embedder.kind", "must be none: this server was given no models");
    app.config.models.as_deref().ok_or_else(none)
}

/// What the model that lists go by makes of a text.
pub(super) async fn vector_of(app: &App, definition: &CatalogDefinition, text: &str) -> Result<Vec<f32>> {
    let Some(serving) = &definition.serving else {
        return Err(Problem::field("text", "the catalog has no embedder: send a vector"));
    };
    if text.trim().is_empty() || text.len() > MAX_TEXT {
        return Err(Problem::field("text", format!("must be some words, {MAX_TEXT} bytes at most")));
    }
    let model = serving_model(app, serving).await?;
    match tokio::time::timeout(PATIENCE, model.embed(&[text])).await {
        Ok(Ok(mut vectors)) => Ok(vectors.pop().unwrap_or_default()),
        Ok(Err(EmbedError::Refused { why })) => Err(Problem::field("text", format!("the model refuses it: {why}"))),
        Ok(Err(EmbedError::Later { why, .. })) => Err(away(&why)),
        Err(_) => Err(away("it does not answer in time")),
    }
}

async fn serving_model(app: &App, serving: &Serving) -> Result<Arc<dyn Embedder>> {
    let (kind, name) = serving.embedder.model().unwrap_or_default();
    let found = models(app)?.find(kind, name, Some(serving.dimension)).await;
    match found {
        Ok(model) if model.version() == serving.version => Ok(model),
        Ok(_) => Err(away("another model is in its place")),
        Err(why) => Err(away(&why)),
    }
}

fn away(why: &str) -> Problem {
    tracing::warn!("a search by text has no vector: {why}");
    let detail = "the model that makes vectors of texts is not at hand: try again in a moment, or send a vector";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
}
