//! Every catalog at a glance.

use super::html;
use crate::address::host;
use crate::app::App;
use crate::catalogs::{RANGES, filled, path, together};
use crate::export::{Sheet, Wanted};
use crate::failure::Failure;
use crate::format::Num;
use crate::frame::Frame;
use crate::spark::Spark;
use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use bandit::hour_of;
use recommend::{Candidates, Metric};
use serde_json::json;
use std::sync::Arc;
use store::ListHour;

#[derive(Template)]
#[template(path = "catalogs.html")]
struct Catalogs {
    frame: Frame,
    host: String,
    loaded: bool,
    rows: Vec<Row>,
    memory: Num,
}

struct Row {
    id: String,
    path: String,
    dimension: Num,
    metric: &'static str,
    items: Num,
    memory: Num,
    lists: Num,
    coverage: Num,
    spark: Spark,
    /// The line as numbers.
    hours: String,
}

/// Bytes as people read them.
pub(super) fn megabytes(bytes: usize) -> Num {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    Num::number(bytes as f64 / 1e6)
}

pub(super) fn metric(metric: Metric) -> &'static str {
    match metric {
        Metric::Cosine => "cosine",
        Metric::InnerProduct => "inner_product",
    }
}

/// `GET /dashboard/catalogs`
pub(crate) async fn catalogs(
    State(app): State<App>,
    frame: Frame,
    headers: HeaderMap,
    wanted: Wanted,
) -> Result<Response, Failure> {
    let last = hour_of(app.now());
    let back = RANGES[0];
    let known = app.stores.list_hours.list_hours(None, last - back + 1..last + 1).await?;
    let all: Vec<(String, Arc<Candidates>, Vec<ListHour>)> = app
        .shelf
        .all()
        .into_iter()
        .map(|(id, candidates)| {
            let own: Vec<ListHour> = known.iter().filter(|h| h.catalog == id).cloned().collect();
            let hours = filled(&id, &own, last, back);
            (id, candidates, hours)
        })
        .collect();
    if let Some(file) = wanted.file("catalogs", vec![sheet(&all)])? {
        return Ok(file);
    }
    let page = Catalogs {
        loaded: app.shelf.is_loaded(),
        memory: megabytes(app.shelf.bytes()),
        rows: all.iter().map(|(id, candidates, hours)| row(id, candidates, hours)).collect(),
        host: host(&headers),
        frame: frame.live(true).soon(!app.shelf.is_loaded()),
    };
    Ok(html(&page)?.into_response())
}

fn row(id: &str, candidates: &Candidates, hours: &[ListHour]) -> Row {
    let day = together(hours);
    Row {
        id: id.to_owned(),
        path: path(id),
        dimension: Num::count(candidates.definition().indexed_dimension() as u64),
        metric: metric(candidates.definition().metric),
        items: Num::count(candidates.len() as u64),
        memory: megabytes(candidates.bytes()),
        lists: Num::count(day.as_ref().map_or(0, |d| d.lists)),
        coverage: Num::maybe_rate(day.and_then(|d| d.coverage(candidates.len()))),
        hours: hours.iter().map(|h| h.lists.to_string()).collect::<Vec<_>>().join(", "),
        #[expect(clippy::cast_precision_loss, reason = "a drawing")]
        spark: Spark(hours.iter().map(|h| h.lists as f64).collect()),
    }
}

fn sheet(all: &[(String, Arc<Candidates>, Vec<ListHour>)]) -> Sheet {
    let row = |(id, candidates, hours): &(String, Arc<Candidates>, Vec<ListHour>)| {
        let (day, live) = (together(hours), candidates.len());
        vec![
            json!(id),
            json!(candidates.definition().indexed_dimension()),
            json!(metric(candidates.definition().metric)),
            json!(live),
            json!(candidates.bytes()),
            json!(day.as_ref().map_or(0, |d| d.lists)),
            json!(day.and_then(|d| d.coverage(live))),
        ]
    };
    Sheet {
        name: "catalogs",
        columns: &["id", "dimension", "metric", "items", "bytes", "lists_24_hours", "coverage_24_hours"],
        rows: all.iter().map(row).collect(),
    }
}
