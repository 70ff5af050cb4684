//! What other policies would have earned on an experiment's own traffic.

use super::html;
use crate::address;
use crate::app::{App, Found};
use crate::estimates::{Asked, Estimates, Kind, MOST_ARMS, Row, Unknown};
use crate::export::{Sheet, Wanted};
use crate::failure::Failure;
use crate::format::Num;
use crate::frame::Frame;
use crate::lang::{Lang, Phrase};
use crate::moment::Moment;
use crate::said::{unknown, warning};
use crate::work::{self, PAGE, PART};
use askama::Template;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use bandit::evaluate::{Estimate, Estimator, Evaluation};
use bandit::{INTERVAL_LEVEL, hour_of};
use jiff::civil::Date;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use store::ExperimentRecord;

/// Policies that may be typed at once, and the longest of them.
const MOST_TYPED: usize = 5;
const LONGEST: usize = 2_000;

#[derive(Template)]
#[template(path = "what_if.html")]
struct WhatIf {
    frame: Frame,
    id: String,
    title: String,
    contextual: bool,
    /// More arms than are offered alone.
    left_out: Option<Num>,
    estimator: Estimator,
    from: String,
    to: String,
    /// What was typed, and a place for one more.
    typed: Vec<String>,
    /// What is wrong with the range.
    wrong: Option<Phrase>,
    estimates: Option<Shown>,
}

/// What is known, as it is shown.
struct Shown {
    verdict: Phrase,
    facts: Vec<Phrase>,
    logged: Num,
    /// Says when the plot must be drawn again.
    version: String,
    /// Whether there is anything to draw.
    drawn: bool,
    rows: Vec<ShownRow>,
}

struct ShownRow {
    name: Phrase,
    given: String,
    numbers: Option<Numbers>,
    trusted: bool,
    notes: Vec<Phrase>,
}

struct Numbers {
    value: Num,
    interval: [Num; 2],
    effective: Num,
    matched: Num,
}

/// What an address asks.
pub(crate) struct Question {
    asked: Asked,
    estimator: Estimator,
    /// From and to, as they were given.
    range: [String; 2],
    right: bool,
}

impl Question {
    fn of(uri: &Uri) -> Self {
        let pairs = address::pairs(uri);
        let value = |name: &str| pairs.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.trim());
        let range = [value("from"), value("to")];
        let [from, to] = range.map(|day| day.parse::<Date>().ok());
        let readable = range.iter().zip([from, to]).all(|(given, read)| given.is_empty() || read.is_some());
        let ordered = from.zip(to).is_none_or(|(from, to)| from <= to);
        let typed = pairs.iter().filter(|(name, _)| name == "policy").map(|(_, value)| value.trim());
        let typed = typed.filter(|given| !given.is_empty() && given.len() <= LONGEST).map(str::to_owned);
        Self {
            asked: Asked { from, to, policies: typed.take(MOST_TYPED).collect() },
            estimator: Estimator::ALL.into_iter().find(|e| e.as_str() == value("estimator")).unwrap_or(Estimator::Dr),
            range: range.map(str::to_owned),
            right: readable && ordered,
        }
    }

    /// Estimates, of now or of earlier in this hour; windows close meanwhile.
    async fn estimates(
        &self,
        app: &App,
        record: &ExperimentRecord,
        patience: Duration,
    ) -> Result<(String, work::Found<Estimates>), Failure> {
        let id = &record.definition.id;
        let version = app.stores.posteriors.latest_version(id).await?;
        let key = format!("{id} {} {version} {} {:?}", record.revision, hour_of(app.now()), self.asked);
        let work = Estimates::of(app.clone(), record.clone(), self.asked.clone());
        let found = app.estimates.get(&key, patience, work).await?;
        Ok((format!("{}/{version}/{}", record.revision, hour_of(app.now())), found))
    }
}

/// `GET /dashboard/experiments/{id}/what-if`
pub(crate) async fn what_if(
    State(app): State<App>,
    frame: Frame,
    wanted: Wanted,
    uri: Uri,
    Found(record): Found,
) -> Result<Response, Failure> {
    no_lists(&record)?;
    let question = Question::of(&uri);
    let e = &record.definition;
    let patience = if wanted.table().is_some() { PART } else { PAGE };
    let (version, found) = if question.right {
        let (version, found) = question.estimates(&app, &record, patience).await?;
        (version, Some(found))
    } else {
        (String::new(), None)
    };
    if wanted.table().is_some() {
        let estimates = found.ok_or_else(Failure::form)?.needed()?;
        let sheet = sheet(&estimates, question.estimator);
        return wanted.file(&format!("{}-what-if", e.id), vec![sheet])?.ok_or_else(Failure::page);
    }
    let (lang, asking) = (frame.lang, found.is_some());
    let estimates = found.and_then(work::Found::done);
    let mut typed = question.asked.policies.clone();
    if typed.len() < MOST_TYPED {
        typed.push(String::new());
    }
    let [from, to] = question.range.clone();
    let wrong = (!question.right).then(|| {
        lang.say("Write days as 2026-11-21, the first not after the last. Leave one empty for no bound.", &[])
    });
    let page = WhatIf {
        id: e.id.clone(),
        title: e.title().into(),
        contextual: e.policy.kind.is_contextual(),
        left_out: (e.arms.len() > MOST_ARMS).then(|| Num::count(MOST_ARMS as u64)),
        estimator: question.estimator,
        from,
        to,
        typed,
        wrong,
        frame: frame.soon(asking && estimates.is_none()),
        estimates: estimates.map(|found| shown(lang, &app, &found, question.estimator, version)),
    };
    Ok(html(&page)?.into_response())
}

/// Estimators weigh single arms: a list's probabilities are of places.
fn no_lists(record: &ExperimentRecord) -> Result<(), Failure> {
    let e = &record.definition;
    match &e.candidates {
        None => Ok(()),
        Some(_) => Err(Failure::conflict(format!(
            "experiment '{}' orders lists: policies of single arms cannot be estimated from its log",
            e.id
        ))),
    }
}

/// Estimates for the plot of the same view.
pub(crate) async fn for_plot(
    app: &App,
    record: &ExperimentRecord,
    uri: &Uri,
) -> Result<(Arc<Estimates>, Estimator), Failure> {
    no_lists(record)?;
    let question = Question::of(uri);
    if !question.right {
        return Err(Failure::form());
    }
    let (_, found) = question.estimates(app, record, PART).await?;
    Ok((found.needed()?, question.estimator))
}

/// What a policy is called.
pub(crate) fn name(lang: Lang, row: &Row) -> Phrase {
    match row.kind {
        Kind::Uniform => lang.say("Every arm alike (A/B test)", &[]),
        Kind::Recommended => lang.say("Recommended policy, learning from this log", &[]),
        Kind::Own => lang.say("This experiment’s policy, learning from this log", &[]),
        Kind::Arm(_) => {
            let arm = row.given.strip_prefix("arm:").unwrap_or_default();
            lang.say("Always {arm}", &[("arm", arm.into())])
        }
        Kind::Typed => lang.say("Yours: {policy}", &[("policy", row.given.as_str().into())]),
    }
}

/// The estimate of a row that may be read as an answer, or that may not, if there is one.
pub(crate) fn estimate(row: &Row, estimator: Estimator) -> Option<(&Evaluation, &Estimate)> {
    let evaluation = row.answer.as_ref().ok()?;
    Some((evaluation, evaluation.estimate(estimator)?))
}

fn shown(lang: Lang, app: &App, found: &Estimates, estimator: Estimator, version: String) -> Shown {
    let row = |row: &Row| {
        let known = estimate(row, estimator);
        let mut notes: Vec<Phrase> = Vec::new();
        match &row.answer {
            Err(why) => notes.push(unknown(lang, why)),
            Ok(evaluation) => notes.extend(evaluation.warnings.iter().map(|w| warning(lang, w))),
        }
        ShownRow {
            name: name(lang, row),
            given: row.given.clone(),
            trusted: known.is_some_and(|(evaluation, _)| evaluation.trustworthy()),
            notes,
            numbers: known.map(|(evaluation, estimate)| Numbers {
                value: Num::rate(estimate.value),
                interval: Num::range(estimate.normal),
                effective: Num::amount(evaluation.support.effective_rows),
                matched: Num::share(1.0 - evaluation.support.zero_share),
            }),
        }
    };
    Shown {
        verdict: verdict(lang, found, estimator),
        facts: facts(lang, app, found),
        logged: Num::maybe_rate(earned(found)),
        version,
        drawn: found.rows.iter().any(|row| estimate(row, estimator).is_some()),
        rows: found.rows.iter().map(row).collect(),
    }
}

/// What the experiment earned per trial; none without trials.
fn earned(found: &Estimates) -> Option<f64> {
    (found.trials > 0).then_some(found.logged)
}

/// The best that can be trusted, against what was.
fn verdict(lang: Lang, found: &Estimates, estimator: Estimator) -> Phrase {
    let trusted = found.rows.iter().filter_map(|row| {
        estimate(row, estimator).filter(|(evaluation, _)| evaluation.trustworthy()).map(|(_, estimate)| (row, estimate))
    });
    let Some((row, best)) = trusted.max_by(|a, b| a.1.value.total_cmp(&b.1.value)) else {
        return lang
            .say("This log says nothing yet that could be trusted about other policies. Wait for more trials.", &[]);
    };
    let (name, value, logged) = (name(lang, row), Num::rate(best.value), Num::rate(found.logged));
    let things = [("policy", (&name).into()), ("value", (&value).into()), ("logged", (&logged).into())];
    if best.normal[0] > found.logged {
        lang.say("Of what can be trusted, the best is “{policy}” with an estimated rate of {value}; its whole interval lies above the {logged} that this experiment earned.", &things)
    } else {
        lang.say("Of what can be trusted, the best is “{policy}” with an estimated rate of {value}; its interval reaches down to the {logged} that this experiment earned, so that it may be no better.", &things)
    }
}

fn facts(lang: Lang, app: &App, found: &Estimates) -> Vec<Phrase> {
    let (trials, open, asked) = (Num::count(found.trials), Num::count(found.open), Num::count(found.asked));
    let mut all = vec![lang.say("From {trials} trials.", &[("trials", (&trials).into())])];
    if found.open > 0 {
        all.push(
            lang.say("{open} more are left out, since their rewards may still come.", &[("open", (&open).into())]),
        );
    }
    if let Some(cut) = found.cut {
        let cut = Moment::full(lang, cut, app.now());
        all.push(lang.say(
            "Only the newest of {asked} trials were read, those since {cut}; choose days to look at others, or run croupier evaluate for all.",
            &[("asked", (&asked).into()), ("cut", (&cut).into())],
        ));
    }
    all
}

fn sheet(found: &Estimates, estimator: Estimator) -> Sheet {
    let row = |row: &Row| -> Vec<Value> {
        let known = estimate(row, estimator);
        let value = |of: fn(&(&Evaluation, &Estimate)) -> f64| known.as_ref().map(of);
        let why: Vec<String> = match &row.answer {
            Ok(evaluation) => evaluation.warnings.iter().map(ToString::to_string).collect(),
            Err(Unknown::Target(e)) => vec![e.to_string()],
            Err(Unknown::TooLong) => vec!["too long to compute here".into()],
            Err(Unknown::NoTrials) => vec!["no trials".into()],
        };
        vec![
            json!(row.given),
            json!(estimator.as_str()),
            json!(value(|(_, e)| e.value)),
            json!(value(|(_, e)| e.se)),
            json!(value(|(_, e)| e.normal[0])),
            json!(value(|(_, e)| e.normal[1])),
            json!(value(|(e, _)| e.support.effective_rows)),
            json!(value(|(e, _)| 1.0 - e.support.zero_share)),
            json!(known.is_some_and(|(e, _)| e.trustworthy())),
            json!(why.join("; ")),
            json!(earned(found)),
            json!(found.trials),
            json!(INTERVAL_LEVEL),
        ]
    };
    Sheet {
        name: "estimates",
        columns: &[
            "policy",
            "estimator",
            "estimate",
            "standard_error",
            "interval_low",
            "interval_high",
            "effective_sample_size",
            "share_matched",
            "trustworthy",
            "why",
            "logged_rate",
            "trials",
            "interval_level",
        ],
        rows: found.rows.iter().map(row).collect(),
    }
}
