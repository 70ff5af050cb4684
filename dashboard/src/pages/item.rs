//! One item of a catalog: what it is, what is related, where it is.

use super::catalog::about_map;
use super::html;
use super::visitor::length;
use crate::app::App;
use crate::catalogs::{InCatalog, cut, payload, query, score, usual};
use crate::export::{Sheet, Wanted};
use crate::failure::Failure;
use crate::format::Num;
use crate::frame::Frame;
use crate::lang::Phrase;
use crate::moment::Moment;
use crate::work::computed;
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;
use store::CatalogMap;

/// Related items, as many as the API gives where nobody says how many.
const RELATED: usize = 10;
/// Characters of a payload, and numbers of a vector, that are shown.
const PAYLOAD: usize = 4_000;
const NUMBERS: usize = 16;

#[derive(Template)]
#[template(path = "item.html")]
struct ItemPage {
    frame: Frame,
    catalog: String,
    path: String,
    id: String,
    live: Option<Live>,
    related: Vec<Row>,
    map: Option<(Phrase, String, CatalogMap)>,
}

struct Live {
    tags: Vec<(Arc<str>, String)>,
    expires: Option<String>,
    added: Option<Moment>,
    payload: Option<String>,
    vector: Option<(String, Num, bool)>,
}

struct Row {
    id: Arc<str>,
    path: String,
    score: Num,
    payload: String,
}

/// `GET /dashboard/catalogs/{catalog}/item?item=`
pub(crate) async fn item(
    State(app): State<App>,
    frame: Frame,
    catalog: InCatalog,
    wanted: Wanted,
) -> Result<Response, Failure> {
    let id = frame.parameter("item").unwrap_or_default();
    let (now, candidates, name) = (app.now(), catalog.candidates.clone(), id.clone());
    let related = computed(move || candidates.related(&name, &usual(now, RELATED))).await?;
    let related = related.ok_or_else(|| Failure::NoItem(id.clone()))?;
    if let Some(file) = wanted.file("item", vec![sheet(&related)])? {
        return Ok(file);
    }
    let map = app.stores.list_hours.map(&catalog.id).await?;
    let live = match catalog.candidates.item(&id) {
        None => None,
        Some(shown) => {
            let stored = app.stores.catalogs.items(&catalog.id, std::slice::from_ref(&id)).await?.pop().flatten();
            let vector = stored.and_then(Result::ok).map(|item| {
                let vector = item.vector_in(catalog.candidates.definition());
                let some: Vec<String> = vector.iter().take(NUMBERS).map(ToString::to_string).collect();
                (some.join(", "), Num::number(length(vector)), vector.len() > NUMBERS)
            });
            Some(Live {
                tags: shown.tags.iter().map(|tag| (tag.clone(), query("tag", tag))).collect(),
                expires: shown.expires_at.map(|at| at.strftime("%Y-%m-%d %H:%M:%S").to_string()),
                added: shown.added_at.map(|at| Moment::full(frame.lang, at, now)),
                payload: shown.payload.map(|p| cut(p.get(), PAYLOAD)),
                vector,
            })
        }
    };
    let row = |c: recommend::Candidate| Row {
        path: catalog.item_path(&c.id),
        score: Num::number(score(c.score)),
        payload: payload(c.payload.as_ref().map(|p| p.get())),
        id: c.id,
    };
    let page = ItemPage {
        path: catalog.path(),
        related: related.into_iter().map(row).collect(),
        map: map.map(|m| (about_map(&frame, &m, now), catalog.map_path("item", &id), m)),
        live,
        catalog: catalog.id,
        id,
        frame,
    };
    Ok(html(&page)?.into_response())
}

fn sheet(related: &[recommend::Candidate]) -> Sheet {
    let row = |(c, place): (&recommend::Candidate, usize)| {
        vec![json!(place), json!(c.id), json!(score(c.score)), json!(c.payload.as_ref().map(|p| p.get()))]
    };
    Sheet {
        name: "related",
        columns: &["place", "id", "score", "payload"],
        rows: related.iter().zip(1..).map(row).collect(),
    }
}
