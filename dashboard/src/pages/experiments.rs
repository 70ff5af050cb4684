//! Every experiment at a glance.

use super::html;
use crate::address::host;
use crate::app::App;
use crate::export::{Sheet, Wanted};
use crate::failure::Failure;
use crate::format::Num;
use crate::frame::Frame;
use crate::lang::Lang;
use crate::moment::Moment;
use crate::plots::Style;
use crate::spark::Spark;
use crate::summary::{Summary, summaries};
use askama::Template;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use bandit::{Status, hour_of};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use store::{DayTraffic, Listed, Order, Search};

/// Experiments of one page.
const PAGE: usize = 25;
/// Pages that can be asked for.
const PAGES: usize = 100_000;
/// Days of the small line.
const DAYS: i64 = 14;
/// Hours that traffic is counted over, the one under way included.
const RECENT_HOURS: i64 = 24;

/// What is asked for. Everything else in the query is another's.
#[derive(Deserialize, Default)]
pub(crate) struct Asked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    health: String,
    #[serde(default)]
    sort: String,
    #[serde(default)]
    page: String,
}

impl Asked {
    fn page(&self) -> usize {
        self.page.parse().unwrap_or(1).clamp(1, PAGES)
    }

    fn search(&self, now: Timestamp) -> Search {
        Search {
            text: self.q.trim().into(),
            status: Status::parse(&self.status),
            worrying: self.health == "look",
            order: match self.sort.as_str() {
                "newest" => Order::Newest,
                "traffic" => Order::Traffic,
                _ => Order::Id,
            },
            recent_since: hour_of(now) - (RECENT_HOURS - 1),
            skip: (self.page() - 1) * PAGE,
            limit: PAGE,
            failing: false,
        }
    }

    /// Whether anything is left out.
    fn filters(&self) -> bool {
        let search = self.search(Timestamp::UNIX_EPOCH);
        !search.text.is_empty() || search.status.is_some() || search.worrying
    }
}

#[derive(Template)]
#[template(path = "experiments.html")]
struct Experiments {
    frame: Frame,
    /// Where this server is reached, for the example.
    host: String,
    asked: Asked,
    total: Num,
    rows: Vec<Row>,
    /// Numbers of the pages before and after, as the query has them.
    before: Option<String>,
    after: Option<String>,
}

struct Row {
    id: String,
    title: String,
    status: Status,
    recent: Num,
    spark: Spark,
    /// The line as numbers.
    days: String,
    /// None if its results cannot be read.
    numbers: Option<Numbers>,
}

struct Numbers {
    leader: Option<Leader>,
    p_best: Num,
    trials: Num,
    rewards: Num,
    worries: Vec<String>,
    updated: Option<Moment>,
}

struct Leader {
    id: String,
    style: Style,
    wins: bool,
    /// Whether arms are dealt to visitors of their own, so that it need not be the best for all.
    differs: bool,
}

/// `GET /dashboard?q=&status=&health=look&sort=newest|traffic&page=`
pub(crate) async fn experiments(
    State(app): State<App>,
    frame: Frame,
    Query(asked): Query<Asked>,
    wanted: Wanted,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let now = app.now();
    let updates = store::updates(&app.stores).await?;
    let search = Search { failing: updates.failing, ..asked.search(now) };
    let found = app.stores.experiments.search(&search).await?;
    let listed = found.experiments;
    let ids: Vec<String> = listed.iter().map(|l| l.record.definition.id.clone()).collect();
    let traffic = app.stores.outcomes.traffic(&ids).await?;
    let mut days: BTreeMap<&str, Vec<&DayTraffic>> = BTreeMap::new();
    for day in &traffic {
        days.entry(&day.experiment).or_default().push(day);
    }
    let summaries = summaries(&app, &listed, &days, updates).await?;
    if let Some(file) = wanted.file("experiments", vec![sheet(&listed, &summaries)])? {
        return Ok(file);
    }
    let lang = frame.lang;
    let rows = listed.iter().zip(summaries).map(|(l, summary)| {
        row(lang, l, summary, days.get(l.record.definition.id.as_str()).map_or(&[], Vec::as_slice), now)
    });
    let page = asked.page();
    let more = (page * PAGE) as u64 <= found.total.saturating_sub(1);
    let live = listed.iter().any(|l| l.record.status == Status::Running);
    html(&Experiments {
        rows: rows.collect(),
        frame: frame.live(live),
        host: host(&headers),
        total: Num::count(found.total),
        // The first page needs no number.
        before: (page > 1).then(|| if page == 2 { String::new() } else { (page - 1).to_string() }),
        after: more.then(|| (page + 1).to_string()),
        asked,
    })
    .map(IntoResponse::into_response)
}

fn row(lang: Lang, listed: &Listed, summary: Option<Summary>, traffic: &[&DayTraffic], now: Timestamp) -> Row {
    let Listed { record, recent, .. } = listed;
    let e = &record.definition;
    let today = hour_of(now).div_euclid(24);
    let trials: Vec<u64> =
        (today - DAYS + 1..=today).map(|day| traffic.iter().find(|t| t.day == day).map_or(0, |t| t.trials)).collect();
    Row {
        id: e.id.clone(),
        title: e.title().into(),
        status: record.status,
        recent: Num::count(*recent),
        days: trials.iter().map(u64::to_string).collect::<Vec<_>>().join(", "),
        #[expect(clippy::cast_precision_loss, reason = "a drawing")]
        spark: Spark(trials.into_iter().map(|n| n as f64).collect()),
        numbers: summary.map(|s| Numbers {
            leader: s.arm.map(|i| Leader {
                id: e.arms[i].id.clone(),
                style: Style::of(i),
                wins: record.winner.is_some(),
                differs: record.winner.is_none() && !(e.segment_by.is_empty() && e.features.is_empty()),
            }),
            p_best: s.p_best.map_or_else(Num::none, Num::share),
            trials: Num::count(s.trials),
            rewards: Num::count(s.rewards),
            updated: s.updated.map(|at| Moment::ago(lang, at, now)),
            worries: s.worries,
        }),
    }
}

fn sheet(listed: &[Listed], summaries: &[Option<Summary>]) -> Sheet {
    let row = |(listed, summary): (&Listed, &Option<Summary>)| {
        let (record, e) = (&listed.record, &listed.record.definition);
        let mut row = vec![json!(e.id), json!(e.name), json!(record.status), json!(record.winner)];
        row.extend(match summary {
            Some(s) => vec![
                json!(s.arm.map(|i| &e.arms[i].id)),
                json!(s.p_best),
                json!(s.trials),
                json!(s.rewards),
                json!(listed.recent),
                json!(s.worries.join(" ")),
                json!(s.updated),
            ],
            None => vec![Value::Null; 7],
        });
        row
    };
    Sheet {
        name: "experiments",
        columns: &[
            "id",
            "name",
            "status",
            "winner",
            "leader",
            "p_best",
            "trials",
            "rewards",
            "trials_24_hours",
            "worries",
            "updated_at",
        ],
        rows: listed.iter().zip(summaries).map(row).collect(),
    }
}

/// A status as people call it.
fn called(frame: &Frame, status: Status) -> &'static str {
    match status {
        Status::Draft => frame.t("draft"),
        Status::Running => frame.t("running"),
        Status::Paused => frame.t("paused"),
        Status::Stopped => frame.t("stopped"),
    }
}
