//! A visitor's list explained: what they looked at, the vector of it, what is near, what diversity did, the list.

use super::catalog::about_map;
use super::html;
use crate::app::App;
use crate::catalogs::{InCatalog, cut, encoded, payload, score, usual};
use crate::export::{Sheet, Wanted};
use crate::failure::Failure;
use crate::format::Num;
use crate::frame::Frame;
use crate::lang::Phrase;
use crate::moment::Moment;
use crate::work::computed;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bandit::check_id;
use jiff::Timestamp;
use recommend::diversity::ALIKE;
use recommend::{Explanation, Near, Source, Standing};
use serde_json::json;
use std::cmp::Ordering;
use std::sync::Arc;
use store::{Seen, VIEWS_KEPT};

/// Items of a list where nobody says how many, and at most, as in the API.
const USUAL: usize = 10;
const MOST: usize = 100;
/// Nearest candidates that are explained, and shown; files have all that are explained.
const NEAREST: usize = 200;
const SHOWN: usize = 25;
/// Tags shown of an item, and characters of each.
const TAGS: usize = 3;
const TAG: usize = 24;
/// Views shown; files have all.
const VIEWS: usize = 50;

#[derive(Template)]
#[template(path = "visitor.html")]
struct Visitor {
    frame: Frame,
    catalog: String,
    path: String,
    user: String,
    k: String,
    wrong: Option<Phrase>,
    made: Option<Made>,
}

struct Made {
    /// The request of which this is the answer.
    request: String,
    history: Vec<ViewRow>,
    /// Views that are not shown.
    older: Option<Num>,
    used: Num,
    popular: bool,
    norm: Num,
    map: Option<(Phrase, String, String)>,
    pool: Num,
    near: Vec<NearRow>,
    diversity: Num,
    alike: Num,
    max_per_tag: Num,
    list: Vec<ListRow>,
}

struct ViewRow {
    item: String,
    path: String,
    at: Moment,
    weight: Num,
    standing: &'static str,
}

struct NearRow {
    id: Arc<str>,
    path: String,
    rank: Num,
    score: Num,
    relevance: Num,
    similarity: Num,
    penalty: Num,
    value: Num,
    place: Option<Num>,
    /// How many places it gained or lost against its rank.
    moved: String,
    tags: Vec<String>,
    duplicate: bool,
}

struct ListRow {
    place: Num,
    id: Arc<str>,
    path: String,
    score: Num,
    rank: Num,
    payload: String,
}

/// What is known of a visitor: what they looked at, and the list that it makes.
pub(crate) struct Known {
    pub(crate) seen: Vec<Seen>,
    pub(crate) told: Explanation,
}

/// Explains the list that a visitor is shown now.
pub(crate) async fn explained(app: &App, catalog: &InCatalog, user: &str, k: usize) -> Result<Known, Failure> {
    let seen = app.stores.views.recent(user, VIEWS_KEPT).await?;
    let (now, candidates) = (app.now(), catalog.candidates.clone());
    computed(move || {
        let ages: Vec<(&str, f64)> =
            seen.iter().map(|s| (s.item.as_str(), now.duration_since(s.at).as_secs_f64().max(0.0))).collect();
        let told = candidates.explain(&ages, &usual(now, k), NEAREST);
        Known { told, seen }
    })
    .await
}

/// How many items are asked for; none if it is no such number.
pub(crate) fn wanted_items(frame: &Frame) -> Option<usize> {
    match frame.parameter("k").filter(|k| !k.is_empty()) {
        Some(k) => k.parse().ok().filter(|k| (1..=MOST).contains(k)),
        None => Some(USUAL),
    }
}

/// `GET /dashboard/catalogs/{catalog}/visitors?user=&k=`
pub(crate) async fn visitor(
    State(app): State<App>,
    frame: Frame,
    catalog: InCatalog,
    wanted: Wanted,
) -> Result<Response, Failure> {
    let user = frame.parameter("user").unwrap_or_default();
    let k = wanted_items(&frame);
    let wrong = match k {
        None => Some(frame.say("A list has 1 to {n} items.", &[("n", (&Num::count(MOST as u64)).into())])),
        Some(_) if !user.is_empty() && check_id(&user).is_err() => {
            Some(frame.say("A visitor’s name has at most 256 bytes, and no control characters.", &[]))
        }
        Some(_) => None,
    };
    let mut made = None;
    if let (Some(k), None, false) = (k, &wrong, user.is_empty()) {
        let known = explained(&app, &catalog, &user, k).await?;
        if let Some(file) = wanted.file("visitor", sheets(&known))? {
            return Ok(file);
        }
        made = Some(show(&app, &frame, &catalog, &user, k, known).await?);
    }
    let status = if wrong.is_none() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let page = Visitor {
        path: catalog.path(),
        catalog: catalog.id,
        user,
        k: frame.parameter("k").unwrap_or_default().chars().take(8).collect(),
        wrong,
        made,
        frame,
    };
    Ok((status, html(&page)?).into_response())
}

async fn show(
    app: &App,
    frame: &Frame,
    catalog: &InCatalog,
    user: &str,
    k: usize,
    known: Known,
) -> Result<Made, Failure> {
    let (now, lang) = (app.now(), frame.lang);
    let Known { seen, told } = known;
    let view = |(seen, found): (&Seen, &recommend::Seen)| ViewRow {
        path: catalog.item_path(&seen.item),
        item: seen.item.clone(),
        at: Moment::full(lang, seen.at, now),
        weight: found.weight.map_or_else(Num::none, Num::share),
        standing: match found.standing {
            Standing::Live => lang.t("live"),
            Standing::Ended => lang.t("ended"),
            Standing::Unknown => lang.t("not of this catalog"),
        },
    };
    let map = app.stores.list_hours.map(&catalog.id).await?;
    let names = form_urlencoded::Serializer::new(String::new())
        .append_pair("user", user)
        .append_pair("k", &k.to_string())
        .finish();
    let version = format!("{}-{}", map.as_ref().map_or(now, |m| m.at), list_version(&told, &seen));
    Ok(Made {
        request: format!("/v1/catalogs/{}/recommendations?{names}", encoded(&catalog.id)),
        history: seen.iter().zip(&told.seen).take(VIEWS).map(view).collect(),
        older: (seen.len() > VIEWS).then(|| Num::count((seen.len() - VIEWS) as u64)),
        used: Num::count(told.list.history as u64),
        popular: told.list.source == Source::Popular,
        norm: told.vector.as_ref().map_or_else(Num::none, |v| Num::number(length(v))),
        map: map.map(|m| (about_map(frame, &m, now), format!("{}/plots/map?{names}", catalog.path()), version)),
        pool: Num::count(told.pool as u64),
        near: near_rows(catalog, &told),
        diversity: Num::number(told.variety.diversity),
        alike: Num::number(ALIKE),
        max_per_tag: told.variety.max_per_tag.map_or_else(Num::none, |n| Num::count(n as u64)),
        list: list_rows(catalog, &told),
    })
}

/// Differs when what the map shows of the visitor does.
fn list_version(told: &Explanation, seen: &[Seen]) -> String {
    let newest = seen.first().map_or(Timestamp::UNIX_EPOCH, |s| s.at);
    format!("{}-{}", newest.as_millisecond(), told.list.items.len())
}

pub(crate) fn length(vector: &[f32]) -> f64 {
    vector.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()
}

fn moved(rank: usize, place: usize) -> String {
    match rank.cmp(&place) {
        Ordering::Greater => format!("+{}", rank - place),
        Ordering::Less => format!("−{}", place - rank),
        Ordering::Equal => "0".into(),
    }
}

fn near_rows(catalog: &InCatalog, told: &Explanation) -> Vec<NearRow> {
    let row = |near: &Near| {
        let judged = &near.judged;
        let moved = near.place.map(|place| moved(near.rank, place));
        NearRow {
            path: catalog.item_path(&near.id),
            id: near.id.clone(),
            rank: Num::count(near.rank as u64),
            score: Num::number(score(near.score.into())),
            relevance: Num::number(judged.relevance),
            similarity: judged.similarity.map_or_else(Num::none, Num::number),
            penalty: Num::number(judged.penalty),
            value: Num::number(judged.value),
            place: near.place.map(|place| Num::count(place as u64)),
            moved: moved.unwrap_or_else(|| "—".into()),
            tags: near.tags.iter().take(TAGS).map(|tag| cut(tag, TAG)).collect(),
            duplicate: judged.near_duplicate,
        }
    };
    let shown = told.nearest.iter().enumerate().filter(|(n, near)| *n < SHOWN || near.place.is_some());
    shown.take(2 * SHOWN).map(|(_, near)| row(near)).collect()
}

fn list_rows(catalog: &InCatalog, told: &Explanation) -> Vec<ListRow> {
    let rank =
        |id: &str| told.nearest.iter().find(|n| *n.id == *id).map_or_else(Num::none, |n| Num::count(n.rank as u64));
    let row = |(item, place): (&recommend::Candidate, u64)| ListRow {
        place: Num::count(place),
        path: catalog.item_path(&item.id),
        rank: rank(&item.id),
        score: Num::number(score(item.score)),
        payload: payload(item.payload.as_ref().map(|p| p.get())),
        id: item.id.clone(),
    };
    told.list.items.iter().zip(1..).map(row).collect()
}

fn sheets(known: &Known) -> Vec<Sheet> {
    let Known { seen, told } = known;
    let view = |(seen, found): (&Seen, &recommend::Seen)| {
        let standing = match found.standing {
            Standing::Live => "live",
            Standing::Ended => "ended",
            Standing::Unknown => "unknown",
        };
        vec![json!(seen.item), json!(seen.at), json!(found.weight), json!(standing)]
    };
    let near = |n: &Near| {
        let j = &n.judged;
        vec![
            json!(n.rank),
            json!(n.id),
            json!(n.tags.join(" ")),
            json!(score(n.score.into())),
            json!(j.relevance),
            json!(j.similarity),
            json!(j.nearest),
            json!(j.penalty),
            json!(j.value),
            json!(j.near_duplicate),
            json!(n.place),
        ]
    };
    let item = |(item, place): (&recommend::Candidate, usize)| {
        vec![json!(place), json!(item.id), json!(score(item.score)), json!(item.payload.as_ref().map(|p| p.get()))]
    };
    vec![
        Sheet {
            name: "history",
            columns: &["item", "at", "weight", "standing"],
            rows: seen.iter().zip(&told.seen).map(view).collect(),
        },
        Sheet {
            name: "candidates",
            columns: &[
                "rank",
                "id",
                "tags",
                "score",
                "relevance",
                "mean_cosine_to_list",
                "largest_cosine_to_list",
                "penalty",
                "value",
                "near_duplicate",
                "place",
            ],
            rows: told.nearest.iter().map(near).collect(),
        },
        Sheet {
            name: "list",
            columns: &["place", "id", "score", "payload"],
            rows: told.list.items.iter().zip(1..).map(item).collect(),
        },
    ]
}
