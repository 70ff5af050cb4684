//! What to expect of an experiment before it starts.

use super::html;
use crate::app::App;
use crate::export::{Sheet, Wanted};
use crate::failure::Failure;
use crate::format::Num;
use crate::frame::Frame;
use crate::lang::{Lang, Phrase};
use crate::plan::{Asked, Plan, Typed};
use crate::work::{Found, PAGE, PART, computed};
use askama::Template;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use bandit::simulate::{Outlook, Paired};
use bandit::{INTERVAL_LEVEL, PolicySpec};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Half the width of a normal interval of 95 %, in standard errors.
const NORMAL_95: f64 = 1.959_963_984_540_054;

#[derive(Template)]
#[template(path = "planner.html")]
struct Planner {
    frame: Frame,
    fields: Vec<Field>,
    /// Whether something is being simulated or was.
    asked: bool,
    shown: Option<Shown>,
}

/// One field of the form.
struct Field {
    name: &'static str,
    label: &'static str,
    help: &'static str,
    value: String,
    numeric: bool,
    error: Option<Phrase>,
}

/// A simulation as it is shown.
struct Shown {
    verdict: Phrase,
    about: Phrase,
    policy: String,
    rows: [Side; 2],
    /// Regret of the policy less that of the test.
    difference: Num,
    difference_interval: Option<[Num; 2]>,
    create: String,
    version: String,
}

struct Side {
    name: &'static str,
    days: [Option<Num>; 3],
    right: Num,
    right_interval: [Num; 2],
    decided: Num,
    regret: Num,
    regret_interval: Option<[Num; 2]>,
}

/// `GET /dashboard/planner`
pub(crate) async fn planner(
    State(app): State<App>,
    frame: Frame,
    wanted: Wanted,
    uri: Uri,
) -> Result<Response, Failure> {
    let (typed, read) = Asked::read(&uri, frame.lang);
    let patience = if wanted.table().is_some() { PART } else { PAGE };
    let asked = read.is_some();
    let found = match read {
        Some(read) => Some(planned(&app, read, patience).await?),
        None => None,
    };
    if wanted.table().is_some() {
        let plan = found.ok_or_else(Failure::form)?.needed()?;
        return wanted.file("plan", vec![summary(&plan), by_day(&plan)])?.ok_or_else(Failure::page);
    }
    let plan = found.and_then(Found::done);
    let page = Planner {
        fields: fields(frame.lang, typed),
        asked,
        shown: plan.as_deref().map(|plan| shown(frame.lang, plan)),
        frame: frame.soon(asked && plan.is_none()),
    };
    Ok(html(&page)?.into_response())
}

/// The simulation that an address asks for.
pub(crate) async fn for_plot(app: &App, uri: &Uri) -> Result<Arc<Plan>, Failure> {
    let (_, read) = Asked::read(uri, Lang::English);
    planned(app, read.ok_or_else(Failure::form)?, PART).await?.needed()
}

/// Equal questions have equal answers: seeds are fixed.
async fn planned(app: &App, (asked, spec): (Asked, PolicySpec), patience: Duration) -> Result<Found<Plan>, Failure> {
    let key = format!("{asked:?}");
    let work = async move { computed(move || Plan::simulated(asked, spec)).await?.ok_or_else(Failure::form) };
    app.plans.get(&key, patience, work).await
}

fn fields(lang: Lang, typed: Typed) -> Vec<Field> {
    let Typed { values, mut errors } = typed;
    let said = |name: &str| match name {
        "arms" => (lang.t("Arms"), lang.t("2 to 20, the control among them")),
        "base" => (lang.t("Rate of the control, %"), lang.t("rewards per hundred trials today")),
        "lift" => (
            lang.t("Lift of the better arm, %"),
            lang.t("relative to the control; the other arms are like the control"),
        ),
        "per_day" => (lang.t("Trials per day"), lang.t("visitors who would see the experiment")),
        "delay_hours" => (lang.t("Reward delay, hours"), lang.t("half of the rewards have come by then")),
        "policy" => (lang.t("Policy"), lang.t("recommended, a kind such as thompson, or JSON")),
        _ => (lang.t("Days"), lang.t("7 to 90; the rule does not decide in the first week")),
    };
    let field = |(name, value): (&'static str, String)| {
        let (label, help) = said(name);
        let place = errors.iter().position(|(of, _)| *of == name);
        let error = place.map(|place| errors.swap_remove(place).1);
        Field { name, label, help, value, numeric: name != "policy", error }
    };
    values.into_iter().map(field).collect()
}

fn interval(of: Paired) -> Option<[f64; 2]> {
    of.se.map(|se| [of.mean - NORMAL_95 * se, of.mean + NORMAL_95 * se])
}

fn shown(lang: Lang, plan: &Plan) -> Shown {
    let asked = &plan.asked;
    let difference = plan.chosen.difference.unwrap_or(Paired { mean: 0.0, se: None });
    let (runs, trials) = (Num::count(plan.chosen.runs.len() as u64), Num::count(plan.environment.trials()));
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("arms", &asked.arms.to_string()).append_pair("policy", &asked.policy);
    Shown {
        verdict: verdict(lang, plan, difference),
        about: lang.say(
            "From {runs} simulated experiments of {trials} trials each, the same visitors for both.",
            &[("runs", (&runs).into()), ("trials", (&trials).into())],
        ),
        policy: asked.policy.clone(),
        rows: [side(lang.t("Fixed A/B test"), &plan.test), side(lang.t("Your policy"), &plan.chosen)],
        difference: Num::amount(difference.mean),
        difference_interval: interval(difference).map(|ends| ends.map(Num::amount)),
        create: format!("/dashboard/new?{}", query.finish()),
        version: format!("{asked:?}"),
    }
}

fn side(name: &'static str, outlook: &Outlook) -> Side {
    let (right, within) = outlook.right();
    let regret = outlook.regret();
    Side {
        name,
        days: [0.1, 0.5, 0.9].map(|q| outlook.day(q).map(|day| Num::count(day.into()))),
        right: Num::share(right),
        right_interval: Num::range(within),
        decided: Num::share(outlook.decided_by(u32::MAX)),
        regret: Num::amount(regret.mean),
        regret_interval: interval(regret).map(|ends| ends.map(Num::amount)),
    }
}

fn verdict(lang: Lang, plan: &Plan, difference: Paired) -> Phrase {
    let days = Num::count(plan.asked.days.into());
    let (right, _) = plan.chosen.right();
    let right = Num::share(right);
    let (amount, apart) = (Num::amount(difference.mean.abs()), interval(difference));
    let things = [("days", (&days).into()), ("right", (&right).into()), ("amount", (&amount).into())];
    match apart {
        Some([_, high]) if high < 0.0 => lang.say("Your policy ends with the right arm with probability {right} within {days} days, and loses about {amount} rewards fewer than a fixed A/B test.", &things),
        Some([low, _]) if low > 0.0 => lang.say("Your policy ends with the right arm with probability {right} within {days} days, and loses about {amount} rewards more than a fixed A/B test.", &things),
        _ => lang.say("Your policy ends with the right arm with probability {right} within {days} days; what it loses cannot be told from what a fixed A/B test loses.", &things),
    }
}

fn summary(plan: &Plan) -> Sheet {
    let row = |(name, outlook): (&str, &Outlook)| -> Vec<Value> {
        let ((right, [right_low, right_high]), regret) = (outlook.right(), outlook.regret());
        let [p10, median, p90] = [0.1, 0.5, 0.9].map(|q| outlook.day(q));
        let apart = outlook.difference;
        vec![
            json!(name),
            json!(serde_json::to_string(&outlook.policy).ok()),
            json!(outlook.runs.len()),
            json!(p10),
            json!(median),
            json!(p90),
            json!(right),
            json!(right_low),
            json!(right_high),
            json!(regret.mean),
            json!(regret.se),
            json!(apart.map(|d| d.mean)),
            json!(apart.and_then(|d| d.se)),
            json!(INTERVAL_LEVEL),
        ]
    };
    Sheet {
        name: "plan",
        columns: &[
            "name",
            "policy",
            "runs",
            "days_to_decision_10_percent",
            "days_to_decision_median",
            "days_to_decision_90_percent",
            "p_right_arm",
            "p_right_arm_low",
            "p_right_arm_high",
            "regret",
            "regret_se",
            "regret_difference",
            "regret_difference_se",
            "interval_level",
        ],
        rows: [("fixed", &plan.test), ("chosen", &plan.chosen)].map(row).into(),
    }
}

fn by_day(plan: &Plan) -> Sheet {
    let row = |day: u32| {
        let mut row = vec![json!(day)];
        for outlook in [&plan.test, &plan.chosen] {
            row.extend([json!(outlook.regret_by(day).mean), json!(outlook.decided_by(day))]);
        }
        row
    };
    Sheet {
        name: "days",
        columns: &["day", "regret_fixed", "p_decided_fixed", "regret_chosen", "p_decided_chosen"],
        rows: (1..=plan.asked.days).map(row).collect(),
    }
}
