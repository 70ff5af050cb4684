//! One catalog: what it is, its items, how its lists were.

mod items;
pub(crate) mod vectors;

use super::catalogs::{megabytes, metric};
use super::html;
use crate::app::App;
use crate::catalogs::{InCatalog, RANGES, hours, range, together};
use crate::export::{Sheet, Wanted};
use crate::failure::Failure;
use crate::format::Num;
use crate::frame::Frame;
use crate::lang::Phrase;
use crate::moment::Moment;
use crate::wording;
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use items::{Asked, Items};
use jiff::Timestamp;
use serde_json::json;
use store::{CatalogMap, ListHour};

/// Items from which on the page does not keep itself current.
const LARGE: usize = 100_000;
/// Items that cannot be read, in the table.
const UNREADABLE: usize = 20;

#[derive(Template)]
#[template(path = "catalog.html")]
struct Catalog {
    frame: Frame,
    id: String,
    path: String,
    live: Num,
    memory: Num,
    dimension: Num,
    metric: &'static str,
    history_length: Num,
    profile: String,
    half_life: Num,
    diversity: Num,
    max_per_tag: Num,
    /// Why some items are in no list: how many cannot be read, and the first of them.
    unreadable: Option<(Num, Vec<(String, String)>)>,
    vectors: Option<vectors::Vectors>,
    asked: Asked,
    items: Items,
    hours: i64,
    all: Option<Numbers>,
    rows: Vec<HourRow>,
    /// Changes with what the plots show.
    version: String,
    map: Option<Phrase>,
    map_version: String,
}

/// What lists were like.
struct Numbers {
    lists: Num,
    history: Num,
    coverage: Num,
    distance: Num,
    fresh: Num,
    age: Num,
}

struct HourRow {
    at: String,
    numbers: Numbers,
}

impl Numbers {
    fn of(hour: &ListHour, live: usize) -> Self {
        let number = |n: Option<f64>| n.map_or_else(Num::none, Num::number);
        Self {
            lists: Num::count(hour.lists),
            history: Num::maybe_rate(hour.history_share()),
            coverage: Num::maybe_rate(Some(hour).filter(|h| h.lists > 0).and_then(|h| h.coverage(live))),
            distance: number(hour.mean_distance()),
            fresh: Num::maybe_rate(hour.fresh_share()),
            age: number(hour.mean_age_hours()),
        }
    }
}

impl Catalog {
    /// Hours that the page may show, as the query and as people say it, and whether it does.
    fn ranges(&self) -> Vec<(String, Phrase, bool)> {
        RANGES
            .iter()
            .map(|n| (n.to_string(), wording::span(self.frame.lang, n * 3_600_000), *n == self.hours))
            .collect()
    }
}

/// The beginning of an hour counted from 1970.
pub(crate) fn began(hour: i64) -> Timestamp {
    hour.checked_mul(3_600).and_then(|s| Timestamp::from_second(s).ok()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// How much of the variance a map shows, and of when it is.
pub(crate) fn about_map(frame: &Frame, map: &CatalogMap, now: Timestamp) -> Phrase {
    let [x, y] = map.projection.explained;
    let (both, x, y) = (Num::share(x + y), Num::share(x), Num::share(y));
    let (sample, at) = (Num::count(map.projection.sample as u64), Moment::ago(frame.lang, map.at, now));
    frame.say(
        "The two axes show {both} of the variance of the vectors ({x} and {y}), worked out {moment} from {n} of them.",
        &[
            ("both", (&both).into()),
            ("x", (&x).into()),
            ("y", (&y).into()),
            ("n", (&sample).into()),
            ("moment", (&at).into()),
        ],
    )
}

/// `GET /dashboard/catalogs/{catalog}?q=&tag=&near=&after=&hours=`
pub(crate) async fn catalog(
    State(app): State<App>,
    frame: Frame,
    catalog: InCatalog,
    wanted: Wanted,
) -> Result<Response, Failure> {
    let now = app.now();
    let asked = Asked::of(&frame);
    let found = items::find(&catalog, &asked, now).await?;
    let back = range(&frame);
    let hours = hours(&app, &catalog.id, back).await?;
    let (live, definition) = (catalog.candidates.len(), catalog.candidates.definition());
    if let Some(file) = wanted.file("catalog", vec![items::sheet(&found), sheet(&hours, live)])? {
        return Ok(file);
    }
    let map = app.stores.list_hours.map(&catalog.id).await?;
    let all = together(&hours);
    let page = Catalog {
        unreadable: Some(catalog.candidates.unreadable(UNREADABLE))
            .filter(|(count, _)| *count > 0)
            .map(|(count, some)| (Num::count(count as u64), some)),
        vectors: vectors::find(&app, &frame, &catalog).await?,
        path: catalog.path(),
        live: Num::count(live as u64),
        memory: megabytes(catalog.candidates.bytes()),
        dimension: Num::count(definition.indexed_dimension() as u64),
        metric: metric(definition.metric),
        history_length: Num::count(definition.history_length as u64),
        profile: serde_json::to_string(&definition.profile).unwrap_or_default(),
        half_life: Num::number(definition.popular_half_life_hours),
        diversity: Num::number(definition.diversity),
        max_per_tag: definition.max_per_tag.map_or_else(Num::none, |n| Num::count(n as u64)),
        items: Items::shown(&catalog, &frame, found, now),
        rows: hours
            .iter()
            .rev()
            .filter(|h| h.lists > 0)
            .take(24)
            .map(|h| HourRow {
                at: began(h.hour).strftime("%Y-%m-%d %H:%M").to_string(),
                numbers: Numbers::of(h, live),
            })
            .collect(),
        version: format!("{}-{}", all.as_ref().map_or(0, |h| h.lists), live),
        all: all.map(|h| Numbers::of(&h, live)),
        map_version: map.as_ref().map_or_else(|| "0".into(), |m| m.at.to_string()),
        map: map.map(|m| about_map(&frame, &m, now)),
        hours: back,
        asked,
        id: catalog.id,
        // Each look goes through all of the items.
        frame: frame.live(live < LARGE),
    };
    Ok(html(&page)?.into_response())
}

fn sheet(hours: &[ListHour], live: usize) -> Sheet {
    let row = |h: &ListHour| {
        vec![
            json!(began(h.hour)),
            json!(h.lists),
            json!(h.history_share()),
            json!(Some(h).filter(|h| h.lists > 0).map(|h| h.shown.estimate())),
            json!(Some(h).filter(|h| h.lists > 0).and_then(|h| h.coverage(live))),
            json!(h.mean_distance()),
            json!(h.fresh_share()),
            json!(h.mean_age_hours()),
        ]
    };
    Sheet {
        name: "hours",
        columns: &[
            "hour",
            "lists",
            "history_share",
            "distinct_items",
            "coverage",
            "intra_list_distance",
            "fresh_share",
            "mean_age_hours",
        ],
        rows: hours.iter().map(row).collect(),
    }
}
