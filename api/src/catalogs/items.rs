//! Items: put in bulk, each by itself right or wrong; read; removed.

use super::{candidates, take_in};
use crate::app::App;
use crate::audit::note;
use crate::auth::Caller;
use crate::body::{MAX_BULK, read, split};
use crate::problem::{Problem, Result};
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use bandit::check_id;
use jiff::Timestamp;
use recommend::{Candidates, Item, MAX_TAGS, MAX_TEXT, Text, check_vector};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::sync::Arc;
use store::StoreError;
use utoipa::ToSchema;

/// Most items of a body: each that is refused is told.
const MAX_ITEMS: usize = 200_000;
/// Items written at a time.
const BATCH: usize = 1_000;
/// Items of a body that the audit log names.
const NAMED: usize = 5;
/// Longest payload, in bytes.
const MAX_PAYLOAD: usize = 64 << 10;
/// What an item takes in memory beside its vector and payload, for the bound on all.
const ITEM_BYTES: usize = 512;
/// What a tag takes beside its name, if no other item has it.
const TAG_BYTES: usize = 200;

/// An item as its owner sends it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct NewItem {
    /// Its name in the catalog.
    id: String,
    /// As many numbers as the catalog has dimensions.
    vector: Option<Vec<f32>>,
    /// In place of a vector, where the catalog has an embedder: at most 32768 bytes. Lists have the item once its vector is
    /// made, usually within a second or two.
    text: Option<String>,
    /// At most 64: what lists are filtered by, and kept varied by.
    #[serde(default)]
    tags: Vec<String>,
    /// From when on no list shows it.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// What lists bring with it.
    #[schema(value_type = Option<serde_json::Value>)]
    payload: Option<Box<RawValue>>,
}

/// What became of the items.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ItemsReceipt)]
pub(crate) struct Receipt {
    /// How many are kept; they are safe, and in this replica's lists, those with a text as soon as they have a vector.
    accepted: usize,
    /// Which are not, and why.
    rejected: Vec<Rejection>,
}

/// An item that was not taken.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ItemRejection)]
pub(crate) struct Rejection {
    /// Its place among the items sent, from 0.
    index: usize,
    /// Why.
    detail: String,
}

/// An item that is there.
#[derive(Serialize, ToSchema)]
pub(crate) struct StoredItem {
    id: String,
    /// Where the catalog makes them of texts, none until it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    vector: Option<Vec<f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    tags: Vec<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    #[schema(value_type = Option<serde_json::Value>)]
    payload: Option<Box<RawValue>>,
}

impl NewItem {
    fn check(self, catalog: &Candidates, now: Timestamp) -> std::result::Result<Item, String> {
        check_id(&self.id).map_err(|e| format!("id: {e}"))?;
        let makes_vectors = catalog.definition().embedder.model().is_some();
        let (vector, text) = match (self.vector, self.text) {
            // It might be of another model, and lists never mix them.
            (Some(_), None) if makes_vectors => {
                return Err("vector: the catalog's embedder makes them, send a text".into());
            }
            (Some(vector), None) => (vector, None),
            (None, None) if makes_vectors => return Err("text: is required".into()),
            (None, None) => return Err("vector: is required".into()),
            (Some(_), Some(_)) => return Err("text: comes in place of a vector, not beside one".into()),
            (None, Some(text)) if makes_vectors => {
                if text.trim().is_empty() || text.len() > MAX_TEXT {
                    return Err(format!("text: must be some words, {MAX_TEXT} bytes at most"));
                }
                (Vec::new(), Some(Box::new(Text::new(text))))
            }
            (None, Some(_)) => return Err("text: the catalog has no embedder, send a vector".into()),
        };
        if text.is_none() {
            check_vector(catalog.definition(), &vector).map_err(|e| format!("vector: {e}"))?;
        }
        if self.tags.len() > MAX_TAGS {
            return Err(format!("tags: must be at most {MAX_TAGS}, are {}", self.tags.len()));
        }
        for tag in &self.tags {
            check_id(tag).map_err(|e| format!("tags: {e}"))?;
        }
        if self.payload.as_ref().is_some_and(|p| p.get().len() > MAX_PAYLOAD) {
            return Err(format!("payload: must be at most {MAX_PAYLOAD} bytes"));
        }
        // An explicit null is none.
        let payload = self.payload.filter(|p| p.get() != "null");
        // Whoever puts all items again each night makes none of them new.
        let added_at = catalog.added_at(&self.id).unwrap_or(Some(now));
        Ok(Item { id: self.id, vector, tags: self.tags, expires_at: self.expires_at, payload, added_at, text })
    }
}

/// Put items, each in place of that of its id: an array, or a line each. What is accepted is safe, and in this replica's
/// lists; in those of others a moment later. Send it again if no answer came.
#[utoipa::path(put, path = "/v1/catalogs/{catalog}/items", operation_id = "put_items", tag = "recommendations",
    params(("catalog" = String, Path)),
    request_body(content((Vec<NewItem> = "application/json"), (String = "application/x-ndjson"))),
    responses((status = 200, body = Receipt), (status = 400, body = Problem), (status = 404, body = Problem),
    (status = 408, body = Problem), (status = 413, body = Problem), (status = 503, body = Problem), (status = 507, body = Problem)))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(catalog): Path<String>,
    request: Request,
) -> Result<Json<Receipt>> {
    let candidates = candidates(&app, &catalog)?;
    let _turn = app.bulk.try_acquire().map_err(|_| app.shed())?;
    let body = read(request.into_body(), MAX_BULK).await?;
    let now = app.clock.now();
    // Megabytes of numbers take a while: not on a thread that answers others.
    let live = candidates.clone();
    let parsed = tokio::task::spawn_blocking(move || check(&body, &live, now)).await;
    let (items, rejected) = parsed.map_err(|e| {
        tracing::error!("reading items broke off: {e}");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the items could not be read")
    })??;
    within_bounds(&app, &candidates, &items, now)?;
    for batch in items.chunks(BATCH) {
        app.stores.catalogs.put_items(&catalog, batch).await?;
        take_in(&app).await;
    }
    if !items.is_empty() {
        // Names of some, for people; all would be megabytes.
        let some: Vec<&str> = items.iter().take(NAMED).map(|item| item.id.as_str()).collect();
        let document = serde_json::json!({"accepted": items.len(), "first": some});
        note(&app, &caller, "items.put", &catalog, document).await?;
    }
    Ok(Json(Receipt { accepted: items.len(), rejected }))
}

pub(crate) fn check(body: &[u8], catalog: &Candidates, now: Timestamp) -> Result<(Vec<Item>, Vec<Rejection>)> {
    let (mut items, mut rejected) = (Vec::new(), Vec::new());
    let mut places: HashMap<String, usize> = HashMap::new();
    for (index, parsed) in split::<NewItem>(body, "an item", MAX_ITEMS)?.into_iter().enumerate() {
        match parsed.and_then(|item| item.check(catalog, now)) {
            Ok(item) => match places.get(&item.id) {
                Some(first) => {
                    let detail = format!("id: '{}' is at place {first} already", item.id.escape_debug());
                    rejected.push(Rejection { index, detail });
                }
                None => {
                    places.insert(item.id.clone(), index);
                    items.push(item);
                }
            },
            Err(detail) => rejected.push(Rejection { index, detail }),
        }
    }
    Ok((items, rejected))
}

/// All items are in memory: what would not fit is refused before any of it is kept.
/// What takes the place of an item that is there, or has ended, needs no room.
fn within_bounds(app: &App, candidates: &Candidates, items: &[Item], now: Timestamp) -> Result<()> {
    let bytes = |item: &Item| {
        let tags: usize = item.tags.iter().map(|tag| tag.len() + TAG_BYTES).sum();
        candidates.definition().indexed_dimension() * 5
            + item.payload.as_ref().map_or(0, |p| p.get().len())
            + tags
            + ITEM_BYTES
    };
    let new = items.iter().filter(|item| !item.has_ended(now) && !candidates.has(&item.id));
    let (has, more) = (app.shelf.bytes(), new.map(bytes).sum::<usize>());
    if more == 0 || has + more <= app.config.catalog_bytes {
        return Ok(());
    }
    let detail = format!(
        "the catalogs have {has} bytes and these items would add up to {more}, beyond the {} that the setting 'catalogs_mb' \
         allows: remove items, or allow more on every replica",
        app.config.catalog_bytes
    );
    Err(Problem::new(StatusCode::INSUFFICIENT_STORAGE, detail))
}

/// One item, as it was sent.
#[utoipa::path(get, path = "/v1/catalogs/{catalog}/items/{id}", operation_id = "get_item", tag = "recommendations",
    params(("catalog" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = StoredItem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Path((catalog, id)): Path<(String, String)>,
) -> Result<Json<StoredItem>> {
    let candidates = candidates(&app, &catalog)?;
    let found = app.stores.catalogs.items(&catalog, std::slice::from_ref(&id)).await?.pop().flatten();
    let found = found.ok_or_else(|| no_item(&catalog, &id))?.map_err(StoreError::from)?;
    let vector = Some(found.vector_in(candidates.definition()).to_vec()).filter(|vector| !vector.is_empty());
    let Item { id, tags, expires_at, payload, text, .. } = found;
    Ok(Json(StoredItem { id, vector, text: text.map(|text| text.text), tags, expires_at, payload }))
}

/// Remove an item: no list of this replica shows it from now on, those of others a moment later.
#[utoipa::path(delete, path = "/v1/catalogs/{catalog}/items/{id}", operation_id = "delete_item", tag = "recommendations",
    params(("catalog" = String, Path), ("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path((catalog, id)): Path<(String, String)>,
) -> Result<StatusCode> {
    let candidates = candidates(&app, &catalog)?;
    let ids = [id];
    let stored = app.stores.catalogs.items(&catalog, &ids).await?.pop().flatten();
    let there = stored.is_some() || candidates.has(&ids[0]);
    // Also of one that is gone from the store: it may have been removed by who was cut off before that was noted.
    app.stores.catalogs.remove_items(&catalog, &ids).await?;
    take_in(&app).await;
    if !there {
        return Err(no_item(&catalog, &ids[0]));
    }
    note(&app, &caller, "items.delete", &catalog, serde_json::json!({"item": ids[0]})).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn no_item(catalog: &str, id: &str) -> Problem {
    let detail = format!("catalog '{}' has no item '{}'", catalog.escape_debug(), id.escape_debug());
    Problem::new(StatusCode::NOT_FOUND, detail)
}
