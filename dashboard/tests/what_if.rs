//! What if and the planner: their numbers are those of the statistics, their questions are bounded.
#![allow(clippy::unwrap_used)]

mod house;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use bandit::evaluate::{ArmRates, Estimator, ModelSettings, Target, Tuning};
use bandit::simulate::{Delay, Drift, Environment, Phase, Rates};
use bandit::{OnChange, PolicyKind, PolicySpec};
use house::House;
use jiff::Timestamp;
use serde_json::Value;
use store::{Span, logged_trials};

const WHAT_IF: &str = "/dashboard/experiments/product-page/what-if";
/// Small enough to be simulated at once.
const SMALL: &str = "arms=3&base=10&lift=100&per_day=96&delay_hours=1&policy=thompson&days=10";

async fn get(router: &Router, uri: &str) -> (StatusCode, String) {
    let reply = house::send(router.clone(), Request::get(uri).body(Body::empty()).unwrap()).await;
    (reply.status, reply.body)
}

async fn table(router: &Router, uri: &str, name: &str) -> Vec<Value> {
    let sign = if uri.contains('?') { '&' } else { '?' };
    let (status, body) = get(router, &format!("{uri}{sign}table={name}&as=json")).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn estimates_equal_the_statistics_on_the_same_trials() {
    let house = House::open().await;
    let record = house.shop().await;
    let router = house.router();
    let log = logged_trials(&*house.stores.outcomes, &record, Span::ALL, house.now).await.unwrap();
    let trials = &log.trials;
    assert!(trials.len() > 1_000 && trials.open > 100, "{} {}", trials.len(), trials.open);
    let rates = ArmRates::fit(&trials.arm, &trials.rewards, trials.arms.len(), ModelSettings::default());
    let uri = format!("{WHAT_IF}?policy=fixed%3Acontrol%3D0.25%2Cb%3D0.75&policy=epsilon_greedy");
    for estimator in [Estimator::Dr, Estimator::Snips] {
        let rows = table(&router, &format!("{uri}&estimator={estimator}"), "estimates").await;
        let given: Vec<&str> = rows.iter().map(|r| r["policy"].as_str().unwrap()).collect();
        assert_eq!(given[..2], ["uniform", "recommended"]);
        assert!(given[2].starts_with('{'), "its own policy: {given:?}");
        assert_eq!(
            given[3..],
            ["arm:control", "arm:b", "arm:bold-price", "fixed:control=0.25,b=0.75", "epsilon_greedy"]
        );
        for row in &rows {
            let choices = Target::parse(row["policy"].as_str().unwrap()).unwrap().choices(trials).unwrap();
            let evaluation = trials.evaluate(&choices, &rates, Tuning::default(), None).unwrap();
            let estimate = evaluation.estimate(estimator).unwrap();
            assert_eq!(row["estimate"].as_f64().unwrap(), estimate.value, "{row}");
            assert_eq!(
                [row["interval_low"].as_f64().unwrap(), row["interval_high"].as_f64().unwrap()],
                estimate.normal,
                "{row}"
            );
            assert_eq!(row["effective_sample_size"].as_f64().unwrap(), evaluation.support.effective_rows);
            assert_eq!(row["share_matched"].as_f64().unwrap(), 1.0 - evaluation.support.zero_share);
            assert_eq!(row["trustworthy"], evaluation.trustworthy(), "{row}");
            assert_eq!(row["logged_rate"].as_f64().unwrap(), trials.mean_reward());
        }
    }
}

#[tokio::test]
async fn the_page_and_the_plot_show_them_and_mark_what_is_no_answer() {
    let house = House::open().await;
    house.shop().await;
    let router = house.router();
    let rows = table(&router, WHAT_IF, "estimates").await;
    let (status, page) = get(&router, WHAT_IF).await;
    assert_eq!(status, StatusCode::OK);
    assert!(!page.contains("aria-busy") && !page.contains("data-refresh-seconds=\"1\""), "kept since the table");
    let of =
        |given: &str| page.split("<tr>").find(|r| r.contains(&format!("<code class=\"id\">{given}</code>"))).unwrap();
    for row in &rows {
        let Some(given) = row["policy"].as_str().filter(|p| p.starts_with("arm:")) else { continue };
        let shown = of(given);
        assert!(shown.contains(&format!("<data value=\"{}\">", row["estimate"])), "{shown}");
        assert_eq!(shown.contains(">Yes</strong>"), row["trustworthy"] == true, "{shown}");
        assert_eq!(shown.contains(">No</strong>"), row["trustworthy"] == false, "{shown}");
    }
    assert!(rows.iter().any(|r| r["policy"] == "arm:bold-price" && r["trustworthy"] == false));
    let (_, json) = get(&router, "/dashboard/experiments/product-page/plots/what-if").await;
    let figure: Value = serde_json::from_str(&json).unwrap();
    let traces = figure["data"].as_array().unwrap();
    assert_eq!(traces[0]["x"][0], rows[0]["logged_rate"]);
    let drawn: usize = traces[1..].iter().map(|t| t["x"].as_array().unwrap().len()).sum();
    assert_eq!(drawn, rows.len(), "{json}");
    for trace in &traces[1..] {
        for (x, up) in trace["x"].as_array().unwrap().iter().zip(trace["error_x"]["array"].as_array().unwrap()) {
            let row = rows.iter().find(|r| r["estimate"] == *x).unwrap();
            let high = row["interval_high"].as_f64().unwrap();
            assert!((x.as_f64().unwrap() + up.as_f64().unwrap() - high).abs() < 1e-12);
            assert_eq!(trace["name"] == "Trustworthy", row["trustworthy"] == true);
        }
    }
}

#[tokio::test]
async fn a_fair_log_is_trusted() {
    let house = House::open().await;
    let arms = serde_json::json!([{"id": "a"}, {"id": "b"}]);
    let record = house.begin(serde_json::json!({"id": "fair", "arms": arms, "reward": {"event": "x"}})).await;
    house.try_out(&record.definition, "", 0, 700, 35).await;
    house.try_out(&record.definition, "", 1, 700, 140).await;
    let router = house.router();
    let uri = "/dashboard/experiments/fair/what-if";
    let rows = table(&router, uri, "estimates").await;
    let of = |given: &str| rows.iter().find(|r| r["policy"] == given).unwrap();
    assert!(["uniform", "arm:a", "arm:b"].iter().all(|given| of(given)["trustworthy"] == true), "{rows:?}");
    assert!(of("arm:b")["interval_low"].as_f64() > of("arm:b")["logged_rate"].as_f64());
    let (_, page) = get(&router, uri).await;
    assert!(page.contains("its whole interval lies above the") && page.contains(">Yes</strong>"), "{page}");
}

/// All trials are of one hour, before which nothing was learnt: what learns deals by the experiment's own beliefs.
#[tokio::test]
async fn policies_begin_with_the_experiments_priors() {
    let house = House::open().await;
    let prior = |alpha: u32, beta: u32| serde_json::json!({"alpha": alpha, "beta": beta});
    let arms = serde_json::json!([{"id": "a", "prior": prior(1, 500)}, {"id": "b", "prior": prior(500, 1)}]);
    let segments = serde_json::json!(["device"]);
    let document = serde_json::json!({"id": "fair", "arms": arms, "segment_by": segments, "reward": {"event": "x"}});
    let record = house.begin(document).await;
    house.try_out(&record.definition, "device=x", 0, 700, 35).await;
    house.try_out(&record.definition, "device=x", 1, 700, 140).await;
    let rows = table(&house.router(), "/dashboard/experiments/fair/what-if", "estimates").await;
    let estimate = |given: &str| rows.iter().find(|r| r["policy"] == given).unwrap()["estimate"].as_f64().unwrap();
    let (b, recommended) = (estimate("arm:b"), estimate("recommended"));
    assert!((recommended - b).abs() < (estimate("uniform") - b).abs() / 10.0, "{rows:?}");
}

#[tokio::test]
async fn ranges_and_policies_that_cannot_be_are_told() {
    let house = House::open().await;
    house.shop().await;
    let router = house.router();
    for range in ["from=yesterday", "from=2026-11-20&to=2026-11-19"] {
        let (status, page) = get(&router, &format!("{WHAT_IF}?{range}")).await;
        assert!(
            status == StatusCode::OK && page.contains("id=\"range-error\"") && page.contains("aria-invalid"),
            "{range}"
        );
        let (status, _) = get(&router, &format!("{WHAT_IF}?{range}&table=estimates")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }
    // The trials that are old enough were dealt on the 19th.
    let before = table(&router, &format!("{WHAT_IF}?to=2026-11-18"), "estimates").await;
    assert!(before.iter().all(|r| r["estimate"].is_null() && r["trials"] == 0), "{before:?}");
    assert!(before.iter().all(|r| r["logged_rate"].is_null()), "no trials earn no rate: {before:?}");
    let (_, page) = get(&router, &format!("{WHAT_IF}?to=2026-11-18")).await;
    assert!(page.contains("From <data value=\"0\">0</data> trials") && !page.contains("0.00%"));
    let on = table(&router, &format!("{WHAT_IF}?from=2026-11-19&to=2026-11-19"), "estimates").await;
    assert!(on[0]["trials"].as_u64().unwrap() > 1_000);
    for (given, told) in [
        ("arm:zzz", "There is no arm"),
        ("fixed:a=2", "Write shares from 0 to 1"),
        ("fixed:b=0.5", "Shares add up to"),
        ("@/etc/passwd", "This is no policy"),
        ("file:/etc/passwd", "This is no policy"),
        ("column:x", "This is no policy"),
        ("{\"kind\":\"thompsen\"}", "This is not a policy"),
        ("logistic_thompson", "This experiment could not have such a policy"),
        ("<img src=x onerror=alert(1)>", "This is no policy"),
    ] {
        let query = form_urlencoded(given);
        table(&router, &format!("{WHAT_IF}?policy={query}"), "estimates").await;
        let (_, page) = get(&router, &format!("{WHAT_IF}?policy={query}")).await;
        assert!(page.contains(told) && !page.contains("<img src=x") && !page.contains("root:"), "{given}: {told}");
    }
    let many: String = (0..9).map(|n| format!("&policy=fixed:b={n}")).collect();
    assert_eq!(table(&router, &format!("{WHAT_IF}?x=1{many}"), "estimates").await.len(), 6 + 5);
    let (status, _) = get(&router, "/dashboard/experiments/nothing/what-if").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

fn form_urlencoded(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02x}")).collect()
}

#[tokio::test]
async fn long_logs_are_read_from_their_newest_hours() {
    let house = House::open().await;
    let record = house.shop().await;
    let span = |most| Span { most: Some(most), ..Span::ALL };
    let outcomes = &*house.stores.outcomes;
    let whole = logged_trials(outcomes, &record, Span::ALL, house.now).await.unwrap();
    let all = logged_trials(outcomes, &record, span(whole.asked), house.now).await.unwrap();
    assert_eq!((all.cut, all.trials.len(), all.asked), (None, whole.trials.len(), whole.asked));
    // The young ones, whose windows are open, take no room: all old ones are of one hour, which is read whole.
    for (most, cut) in [(whole.asked - 1, None), (1, Some("2026-11-19T10:00:00Z".parse::<Timestamp>().unwrap()))] {
        let read = logged_trials(outcomes, &record, span(most), house.now).await.unwrap();
        let expected = (whole.trials.len(), whole.trials.open, whole.asked, cut);
        assert_eq!((read.trials.len(), read.trials.open, read.asked, read.cut), expected, "{most}");
    }
}

#[tokio::test]
async fn a_plan_equals_a_direct_simulation_and_is_the_same_each_time() {
    let house = House::open().await;
    let uri = format!("/dashboard/planner?{SMALL}");
    let rows = table(&house.router(), &uri, "plan").await;
    let days = table(&house.router(), &uri, "days").await;
    assert_eq!(rows, table(&house.router(), &uri, "plan").await);
    let environment = Environment {
        name: String::new(),
        about: String::new(),
        days: 10,
        trials_per_hour: 4,
        update_hours: 4,
        window_hours: 24,
        arms: 3,
        segments: Vec::new(),
        features: Vec::new(),
        phases: vec![Phase { from_day: 0.0, drift: Drift::Abrupt, rates: Rates::Arms(vec![0.1, 0.1, 0.2]) }],
        delay: Delay { median_minutes: 60.0, sigma: 0.8 },
    };
    let test = PolicySpec { kind: PolicyKind::Fixed, ..PolicySpec::default() };
    let runs = rows[0]["runs"].as_u64().unwrap();
    assert!((8..=100).contains(&runs));
    let chosen = PolicySpec { on_change: OnChange::Keep, ..PolicySpec::default() };
    let found = environment.outlook(&[test, chosen], runs).unwrap();
    for (row, outlook) in rows.iter().zip(&found) {
        assert_eq!(row["p_right_arm"].as_f64(), Some(outlook.right().0));
        assert_eq!(row["regret"].as_f64(), Some(outlook.regret().mean));
        assert_eq!(row["days_to_decision_median"].as_u64(), outlook.day(0.5).map(u64::from));
        assert_eq!(row["regret_difference"].as_f64(), outlook.difference.map(|d| d.mean));
    }
    assert_eq!((days.len(), days[9]["regret_chosen"].as_f64()), (10, Some(found[1].regret_by(10).mean)));
    let router = house.router();
    table(&router, &uri, "plan").await;
    let (_, page) = get(&router, &uri).await;
    assert!(page.contains(&format!("<data value=\"{}\">", found[1].regret().mean)), "{page}");
    assert!(page.contains("href=\"/dashboard/new?arms=3&#38;policy=thompson\""));
    for (plot, last) in [("regret", found[1].regret().mean), ("decided", found[1].decided_by(10))] {
        let (_, json) = get(&router, &format!("/dashboard/planner/plots/{plot}?{SMALL}")).await;
        let figure: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(figure["data"][1]["y"][10].as_f64(), Some(last), "{plot}");
    }
}

#[tokio::test]
async fn a_plan_that_takes_long_is_awaited_by_the_page_and_costs_seconds_at_most() {
    let house = House::open().await;
    let router = house.router();
    let (status, page) = get(&router, "/dashboard/planner").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("aria-busy") && page.contains("data-refresh-seconds=\"1\""), "{page}");
    let (status, _) = get(&router, "/dashboard/planner/plots/regret").await;
    assert_eq!(status, StatusCode::OK, "it waits");
    let (_, page) = get(&router, "/dashboard/planner").await;
    assert!(!page.contains("aria-busy") && !page.contains("data-refresh-seconds") && page.contains("What to expect"));
}

#[tokio::test]
async fn what_cannot_be_planned_is_told_at_its_field() {
    let house = House::open().await;
    let router = house.router();
    for (name, value) in [
        ("arms", "1"),
        ("arms", "21"),
        ("arms", "two"),
        ("base", "0"),
        ("base", "NaN"),
        ("lift", "1e9"),
        ("lift", "950"),
        ("per_day", "23"),
        ("per_day", "1000000"),
        ("per_day", "-5"),
        ("delay_hours", "169"),
        ("days", "91"),
        ("days", "6"),
        ("days", "90&arms=20&per_day=24"),
        ("policy", "nonsense"),
        ("policy", "@/etc/passwd"),
        ("policy", "linear_thompson"),
        ("policy", "%7B%22kind%22:%22thompson%22,%22floor%22:0.9%7D"),
        ("policy", "%3Cscript%3E"),
    ] {
        let uri = format!("/dashboard/planner?base=10&{name}={value}");
        let uri = if name == "base" { format!("/dashboard/planner?base={value}") } else { uri };
        let (status, page) = get(&router, &uri).await;
        assert_eq!(status, StatusCode::OK);
        assert!(page.contains(&format!("id=\"{name}-error\"")), "{uri}");
        assert_eq!(page.matches("aria-invalid=\"true\"").count(), 1, "{uri}");
        assert!(!page.contains("aria-busy") && !page.contains("<script>"), "{uri}");
        let (status, _) = get(&router, &format!("{uri}&table=plan")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }
}
