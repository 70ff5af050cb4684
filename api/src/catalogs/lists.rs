//! Lists: for a visitor, for an item's page, for a vector.

use super::explored::{Explored, Placed, explore};
use super::items::no_item;
use super::{candidates, texts};
use crate::app::App;
use crate::body::{json, query_with};
use crate::decide::respond;
use crate::problem::{Problem, Result};
use axum::http::Uri;
use axum::response::Response;
use bandit::{DecisionId, check_id};
use jiff::{SignedDuration, Timestamp};
use recommend::{Candidate, Candidates, List, Source, Wanted, check_vector};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;
use store::{Seen, StoredList, Visit, Visitor, ages, stamp};
use utoipa::{IntoParams, ToSchema};

/// Items of a list where nobody says how many.
const USUAL: usize = 10;
/// Most items of a list.
const MAX_K: usize = 100;
/// Most ids or tags that a request names.
const MAX_NAMES: usize = 1_000;

/// A list for a visitor.
#[derive(Serialize, ToSchema)]
pub(crate) struct Recommendations {
    /// Best first.
    items: Vec<Recommended>,
    /// `history`: near what the visitor looked at; `precomputed`: the same, made before the request came; `popular`: what
    /// everybody looks at.
    #[schema(value_type = String)]
    source: &'static str,
    /// Views that the list was made from.
    history: usize,
    /// The experiment that ordered the list, if one did.
    #[serde(flatten)]
    order: Option<Order>,
}

/// What ordered a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct Order {
    /// The experiment.
    experiment: String,
    /// Posterior version that dealt the list.
    posterior_version: u64,
    /// Who chose the order: `policy`, `holdout`, or `fallback` (a store did not answer in time).
    dealt_by: bandit::Source,
}

/// A list.
#[derive(Serialize, ToSchema)]
pub(crate) struct Near {
    /// Nearest first.
    items: Vec<Recommended>,
}

/// One item of a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct Recommended {
    #[schema(value_type = String)]
    id: Arc<str>,
    /// How near it is, by the catalog's metric; in a popular list, its views of late.
    score: f32,
    #[schema(value_type = Option<serde_json::Value>)]
    payload: Option<Box<RawValue>>,
    /// Names the decision to show it, if an experiment placed it: send it with rewards.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    decision_id: Option<DecisionId>,
    /// The probability with which it was dealt its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    propensity: Option<f64>,
}

/// What a list may hold.
#[derive(Default, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, expecting = "an object", default)]
pub(crate) struct Limits {
    /// Items, at most 100; 10 when absent.
    k: Option<usize>,
    /// Variety from 0 (the nearest) to 1 (those most unlike each other); as the catalog says when absent.
    diversity: Option<f64>,
    /// Items of one tag before further ones lose ground; as the catalog says when absent.
    max_per_tag: Option<usize>,
    /// Only items with this tag; again, or after a comma, for any of several.
    tag: Vec<String>,
    /// Ids that are not to be shown; again, or after a comma, for several.
    exclude: Vec<String>,
}

/// What to look for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct SearchRequest {
    /// As many numbers as the catalog has dimensions.
    vector: Option<Vec<f32>>,
    /// In place of a vector, where the catalog has an embedder.
    text: Option<String>,
    /// Items, at most 100; 10 when absent.
    k: Option<usize>,
    /// Variety from 0 to 1; none when absent.
    diversity: Option<f64>,
    /// Items of one tag before further ones lose ground.
    max_per_tag: Option<usize>,
    /// Only items with one of these tags.
    #[serde(default)]
    tags: Vec<String>,
    /// Ids that are not to be shown.
    #[serde(default)]
    exclude: Vec<String>,
}

impl Limits {
    pub(crate) fn wanted(&self, now: Timestamp) -> Result<Wanted<'_>> {
        let k = self.k.unwrap_or(USUAL);
        if !(1..=MAX_K).contains(&k) {
            return Err(Problem::field("k", format!("must be 1 to {MAX_K}")));
        }
        if self.diversity.is_some_and(|d| !(0.0..=1.0).contains(&d)) {
            return Err(Problem::field("diversity", "must be 0 to 1"));
        }
        if self.max_per_tag == Some(0) {
            return Err(Problem::field("max_per_tag", "must be 1 or more"));
        }
        for (field, names) in [("tag", &self.tag), ("exclude", &self.exclude)] {
            if names.len() > MAX_NAMES {
                return Err(Problem::field(field, format!("must be at most {MAX_NAMES}, are {}", names.len())));
            }
        }
        let Self { diversity, max_per_tag, .. } = *self;
        Ok(Wanted { k, diversity, max_per_tag, tags: &self.tag, exclude: &self.exclude, alike: false, now })
    }

    /// Reads a query; what it has beside limits is told by name.
    pub(crate) fn read(uri: &Uri) -> Result<(Self, Option<String>)> {
        let (mut limits, mut user) = (Self::default(), None);
        for (name, value) in query_with(uri, &["tag", "exclude"])? {
            match name.as_str() {
                "user" => user = Some(value),
                "k" => limits.k = Some(number(&name, &value)?),
                "diversity" => limits.diversity = Some(number(&name, &value)?),
                "max_per_tag" => limits.max_per_tag = Some(number(&name, &value)?),
                "tag" => limits.tag.extend(names(value)),
                "exclude" => limits.exclude.extend(names(value)),
                "key" => {}
                _ => {
                    let known = "is not known: user, k, diversity, tag, exclude or max_per_tag";
                    return Err(Problem::field(&name.escape_debug().to_string(), known));
                }
            }
        }
        Ok((limits, user))
    }
}

fn number<T: std::str::FromStr<Err: std::fmt::Display>>(name: &str, value: &str) -> Result<T> {
    value.parse().map_err(|e| Problem::field(name, format!("'{}' is no such number: {e}", value.escape_debug())))
}

/// A value that names several, and all of it, since names may have commas.
fn names(value: String) -> Vec<String> {
    let parts: Vec<String> = value.split(',').filter(|part| !part.is_empty()).map(ToOwned::to_owned).collect();
    if parts.len() > 1 { parts.into_iter().chain([value]).collect() } else { vec![value] }
}

fn told(items: Vec<Candidate>) -> Vec<Recommended> {
    items.into_iter().map(|c| recommended(c, None)).collect()
}

fn recommended(c: Candidate, placed: Option<Placed>) -> Recommended {
    #[expect(clippy::cast_possible_truncation, reason = "nearness is of single precision")]
    let score = c.score as f32;
    let (decision_id, propensity) = (placed.map(|p| p.decision_id), placed.map(|p| p.propensity));
    Recommended { id: c.id, score, payload: c.payload.map(|p| (*p).to_owned()), decision_id, propensity }
}

/// What fits a visitor now: near what they looked at last, none of it shown again; what is popular, for who is new.
#[utoipa::path(get, path = "/v1/catalogs/{catalog}/recommendations", operation_id = "recommend", tag = "recommendations",
    params(("catalog" = String, Path), ("user" = String, Query), Limits),
    responses((status = 200, body = Recommendations), (status = 400, body = Problem), (status = 404, body = Problem),
    (status = 503, body = Problem)))]
pub(crate) async fn recommendations(app: &App, catalog: &str, uri: &Uri) -> Result<Response> {
    let (limits, user) = Limits::read(uri)?;
    let user = user.ok_or_else(|| Problem::field("user", "is required"))?;
    check_id(&user).map_err(|e| Problem::field("user", e.to_string()))?;
    let candidates = candidates(app, catalog)?;
    let Visit { seen, list: stored } = visit(app, &user, catalog).await;
    let now = app.clock.now();
    let ages = ages(&seen, now);
    let wanted = limits.wanted(now)?;
    let explorer = app.snapshot().explorer(catalog).filter(|e| e.source(&user).is_some()).cloned();
    let k = explorer.as_ref().map_or(wanted.k, |e| wanted.k.max(e.spec().pool));
    let stored = stored.filter(|_| explorer.is_none()).filter(|stored| is_fresh(&candidates, stored, &seen, now));
    let recalled = stored.and_then(|stored| candidates.recall(&stored.made, stored.change, &ages, &wanted));
    let mut list = match recalled {
        Some(list) => list,
        None => {
            let _turn = app.list_turn().await?;
            candidates.for_visitor(&ages, &Wanted { k, ..wanted })
        }
    };
    let mut ordered = None;
    if let Some(explorer) = &explorer
        && let Some(explored) = explore(app, explorer, &candidates, &user, &list, &wanted).await?
    {
        let Explored { items, version: posterior_version, source: dealt_by } = explored;
        let order = Order { experiment: explorer.experiment().id.clone(), posterior_version, dealt_by };
        ordered = Some((items.into_iter().map(|(c, placed)| recommended(c, placed)).collect(), order));
    }
    list.items.truncate(wanted.k);
    let List { items, source, history } = list;
    let source = match source {
        Source::History => "history",
        Source::Popular => "popular",
        Source::Precomputed => "precomputed",
    };
    app.metrics.lists.increment(1);
    let (items, order) = ordered.map_or_else(|| (told(items), None), |(items, order)| (items, Some(order)));
    let ids: Vec<&str> = items.iter().map(|item| &*item.id).collect();
    app.served.count(catalog, &candidates, source != "popular", &ids, now);
    respond(&Recommendations { items, source, history, order })
}

/// What somebody looked at, and the list made of it; nothing, if the store does not answer in time: something popular is
/// better than no page.
async fn visit(app: &App, user: &str, catalog: &str) -> Visit {
    let visitor = Visitor::of(user);
    let asked = app.stores.lists.visit(&visitor, catalog);
    match tokio::time::timeout(app.config.store_timeout, asked).await {
        Ok(Ok(visit)) => return visit,
        Ok(Err(e)) => app.complain(&e),
        Err(_) => {}
    }
    app.metrics.lists_without_history.increment(1);
    Visit::default()
}

/// Whether a list is of these views, and young enough. That the catalog is still the one that it was made of, its changes
/// say: see [`Candidates::recall`].
fn is_fresh(candidates: &Candidates, stored: &StoredList, seen: &[Seen], now: Timestamp) -> bool {
    let longest = SignedDuration::from_mins(2 * i64::from(candidates.definition().refresh_minutes));
    now.duration_since(stored.made_at) < longest && stored.stamp == stamp(seen)
}

/// What is near an item, for its page; also of an item that ended lately.
#[utoipa::path(get, path = "/v1/catalogs/{catalog}/items/{id}/related", operation_id = "related", tag = "recommendations",
    params(("catalog" = String, Path), ("id" = String, Path), Limits),
    responses((status = 200, body = Near), (status = 400, body = Problem), (status = 404, body = Problem),
    (status = 503, body = Problem)))]
pub(crate) async fn related(app: &App, catalog: &str, id: &str, uri: &Uri) -> Result<Response> {
    let (limits, user) = Limits::read(uri)?;
    if user.is_some() {
        return Err(Problem::field("user", "is not known here: what is related is the same for everybody"));
    }
    let candidates = candidates(app, catalog)?;
    let turn = app.list_turn().await?;
    let items = candidates.related(id, &limits.wanted(app.clock.now())?).ok_or_else(|| no_item(catalog, id))?;
    drop(turn);
    app.metrics.lists.increment(1);
    respond(&Near { items: told(items) })
}

/// What is near a vector, or a text where the catalog has an embedder.
#[utoipa::path(post, path = "/v1/catalogs/{catalog}/search", operation_id = "search", tag = "recommendations",
    params(("catalog" = String, Path)), request_body = SearchRequest,
    responses((status = 200, body = Near), (status = 400, body = Problem), (status = 404, body = Problem),
    (status = 413, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn search(app: &App, catalog: &str, body: &[u8]) -> Result<Response> {
    let SearchRequest { vector, text, k, diversity, max_per_tag, tags, exclude } = json(body)?;
    let candidates = candidates(app, catalog)?;
    let vector = match (vector, text) {
        (Some(vector), None) => vector,
        (None, Some(text)) => texts::vector_of(app, candidates.definition(), &text).await?,
        (Some(_), Some(_)) => return Err(Problem::field("text", "comes in place of a vector, not beside one")),
        (None, None) => return Err(Problem::field("vector", "is required")),
    };
    check_vector(candidates.definition(), &vector).map_err(|e| Problem::field("vector", e.to_string()))?;
    // Who searches wants the nearest, however alike; who asks for variety, variety.
    let limits = Limits { k, diversity: Some(diversity.unwrap_or(0.0)), max_per_tag, tag: tags, exclude };
    let wanted = Wanted { alike: diversity.is_none(), ..limits.wanted(app.clock.now())? };
    let turn = app.list_turn().await?;
    let items = candidates.near(&vector, &wanted);
    drop(turn);
    app.metrics.lists.increment(1);
    respond(&Near { items: told(items) })
}
