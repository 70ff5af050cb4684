//! Catalogs: make, read, change, remove.

use super::{candidates, take_in, texts};
use crate::app::App;
use crate::audit::note;
use crate::auth::Caller;
use crate::body::json;
use crate::problem::{Problem, Result};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use bandit::{FieldError, check_id};
use recommend::{Candidates, CatalogDefinition};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use store::Catalog;
use utoipa::ToSchema;

/// A catalog, and what is in it.
#[derive(Serialize, ToSchema)]
pub(crate) struct CatalogRecord {
    /// Its name.
    id: String,
    /// What it is.
    #[serde(flatten)]
    definition: CatalogDefinition,
    /// Live items on this replica.
    items: usize,
    /// Bytes that they take in its memory.
    bytes: usize,
    /// Items that are kept and cannot be read, as after damage, or by a release that is too old: no list has them until they
    /// are put again or removed. Absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<UnreadableItems>,
}

/// Items that cannot be read.
#[derive(Serialize, ToSchema)]
pub(crate) struct UnreadableItems {
    /// How many.
    count: usize,
    /// The first of them in order of id, at most 100.
    items: Vec<UnreadableItem>,
}

/// An item that cannot be read.
#[derive(Serialize, ToSchema)]
pub(crate) struct UnreadableItem {
    id: String,
    /// What is wrong with it.
    why: String,
}

/// Items that cannot be read of which it is told why.
const MOST_UNREADABLE: usize = 100;

/// All catalogs.
#[derive(Serialize, ToSchema)]
#[schema(as = CatalogListing)]
pub(crate) struct Listing {
    catalogs: Vec<CatalogRecord>,
}

impl CatalogRecord {
    fn of(id: String, candidates: &Candidates) -> Self {
        let definition = candidates.definition().clone();
        let (count, some) = candidates.unreadable(MOST_UNREADABLE);
        let items = some.into_iter().map(|(id, why)| UnreadableItem { id, why }).collect();
        let unreadable = (count > 0).then_some(UnreadableItems { count, items });
        Self { id, definition, items: candidates.len(), bytes: candidates.bytes(), unreadable }
    }
}

/// All catalogs, in order of id.
#[utoipa::path(get, path = "/v1/catalogs", operation_id = "list_catalogs", tag = "recommendations",
    responses((status = 200, body = Listing)))]
pub(crate) async fn list(State(app): State<Arc<App>>) -> Json<Listing> {
    let catalogs = app.shelf.all().into_iter().map(|(id, c)| CatalogRecord::of(id, &c)).collect();
    Json(Listing { catalogs })
}

/// One catalog.
#[utoipa::path(get, path = "/v1/catalogs/{catalog}", operation_id = "get_catalog", tag = "recommendations",
    params(("catalog" = String, Path)),
    responses((status = 200, body = CatalogRecord), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn get(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<CatalogRecord>> {
    let candidates = candidates(&app, &id)?;
    Ok(Json(CatalogRecord::of(id, &candidates)))
}

/// Make a catalog, or change one: dimension and metric stay while it has items, as does whether there is an embedder. If
/// there is, it may be another: lists go by the old one until all items have vectors of the new.
#[utoipa::path(put, path = "/v1/catalogs/{catalog}", operation_id = "put_catalog", tag = "recommendations",
    params(("catalog" = String, Path)), request_body = CatalogDefinition,
    responses((status = 200, body = CatalogRecord), (status = 201, body = CatalogRecord), (status = 400, body = Problem),
    (status = 409, body = Problem)))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<(StatusCode, Json<CatalogRecord>)> {
    let mut definition: CatalogDefinition = json(&body)?;
    check_id(&id).map_err(|e| Problem::field("catalog", e.to_string()))?;
    texts::complete(&app, &mut definition).await?;
    definition.check().map_err(|wrong| {
        Problem::fields(wrong.into_iter().map(|e| FieldError { field: e.field.into(), why: e.why }))
    })?;
    take_in(&app).await;
    let known = app.shelf.get(&id);
    let stored = app.stores.catalogs.catalogs().await?.into_iter().find(|c| c.id == id);
    // The same again is no change, for replicas read all items anew after one; unless it was kept and not noted.
    let same = |d: &CatalogDefinition| *d == CatalogDefinition { serving: d.serving.clone(), ..definition.clone() };
    if !known.as_ref().is_some_and(|known| same(known.definition())) || !stored.is_some_and(|c| same(&c.definition)) {
        let document = serde_json::json!(&definition);
        app.stores.catalogs.put_catalog(&Catalog { id: id.clone(), definition }).await?;
        take_in(&app).await;
        note(&app, &caller, "catalog.put", &id, document).await?;
    }
    let status = if known.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    let candidates = candidates(&app, &id)?;
    Ok((status, Json(CatalogRecord::of(id, &candidates))))
}

/// Remove a catalog with all of its items.
#[utoipa::path(delete, path = "/v1/catalogs/{catalog}", operation_id = "delete_catalog", tag = "recommendations",
    params(("catalog" = String, Path)), responses((status = 204), (status = 404, body = Problem)))]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    let removed = app.stores.catalogs.remove_catalog(&id).await?;
    take_in(&app).await;
    match removed {
        Some(_) => {
            note(&app, &caller, "catalog.delete", &id, Value::Null).await?;
            Ok(StatusCode::NO_CONTENT)
        }
        None => Err(Problem::new(StatusCode::NOT_FOUND, format!("there is no catalog '{}'", id.escape_debug()))),
    }
}
