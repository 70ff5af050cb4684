//! The pipeline page, when all is well and when a store is away.
#![allow(clippy::unwrap_used)]

mod house;

use async_trait::async_trait;
use axum::http::StatusCode;
use house::House;
use jiff::SignedDuration;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use store::{
    Ingest, Leases, Replica, ReplicaReport, Replicas, Result, Run, RunKind, RunReport, RunStep, Runs, StoreError,
    Tally, Trigger,
};

const PAGE: &str = "/dashboard/pipeline";
const HOUR: Duration = Duration::from_secs(3_600);

/// A database that is gone: some calls fail, others never end.
struct Away;

fn gone<T>() -> Result<T> {
    Err(StoreError::Damaged("password=secret".into()))
}

#[async_trait]
impl Replicas for Away {
    async fn beat(&self, _: &str, _: &ReplicaReport, _: Duration) -> Result<()> {
        gone()
    }

    async fn replicas(&self, _: usize) -> Result<Vec<Replica>> {
        std::future::pending().await
    }
}

#[async_trait]
impl Leases for Away {
    async fn hold(&self, _: &str, _: &str, _: Duration) -> Result<bool> {
        gone()
    }

    async fn holder(&self, _: &str) -> Result<Option<String>> {
        gone()
    }

    async fn release(&self, _: &str, _: &str) -> Result<()> {
        gone()
    }
}

#[async_trait]
impl Runs for Away {
    async fn request_run(&self, _: jiff::Timestamp) -> Result<i64> {
        gone()
    }

    async fn take_requested(&self, _: jiff::Timestamp) -> Result<Option<i64>> {
        gone()
    }

    async fn start_run(&self, _: RunKind, _: Option<&str>, _: Trigger, _: jiff::Timestamp) -> Result<i64> {
        gone()
    }

    async fn note_run(&self, _: i64, _: &str, _: &RunReport) -> Result<()> {
        gone()
    }

    async fn finish_run(&self, _: i64, _: jiff::Timestamp, _: &RunReport) -> Result<()> {
        gone()
    }

    async fn abandon_runs(&self, _: jiff::Timestamp) -> Result<u64> {
        gone()
    }

    async fn run(&self, _: i64) -> Result<Option<Run>> {
        gone()
    }

    async fn latest_runs(&self, _: Option<RunKind>, _: Option<i64>, _: usize) -> Result<Vec<Run>> {
        std::future::pending().await
    }
}

async fn run(house: &House, hours: i64, report: RunReport) -> i64 {
    let at = house.now - SignedDuration::from_hours(hours);
    let run = house.stores.runs.start_run(RunKind::Posteriors, None, Trigger::Schedule, at).await.unwrap();
    house.stores.runs.finish_run(run, at, &report).await.unwrap();
    run
}

async fn table(house: &House, name: &str) -> Vec<Value> {
    let reply = house.get(&format!("{PAGE}?table={name}&as=json")).await;
    assert_eq!(reply.status, StatusCode::OK);
    serde_json::from_str(&reply.body).unwrap()
}

#[tokio::test]
async fn all_is_well_where_an_updater_works() {
    let house = House::open().await;
    house.shop().await;
    let idle = house.get(PAGE).await;
    assert!(idle.body.contains("No updater is at work") && idle.body.contains("No process reports"));
    let stores = &house.stores;
    stores.leases.hold("updater", "one<b>", HOUR).await.unwrap();
    let said = ReplicaReport {
        roles: vec!["api".into(), "updater".into()],
        fresh_at: Some(house.now),
        versions: [("product-page".into(), 2), ("gone".into(), 9)].into(),
        total: Tally { decides: 1_234_567, ..Tally::default() },
        last_minute: Tally { decides: 77, ..Tally::default() },
        spooled: Some(0),
        ..ReplicaReport::default()
    };
    stores.replicas.beat("one<b>", &said, HOUR).await.unwrap();
    let steps = vec![RunStep { name: "consume".into(), duration_ms: 4_321, detail: "<i>5</i> events".into() }];
    run(&house, 0, RunReport { events_read: 55, retries: 3, steps, ..RunReport::default() }).await;
    let page = house.get(PAGE).await.body;
    assert!(page.contains("All is well.") && page.contains("data-refresh-seconds"), "{page}");
    for part in
        ["<bdi>one&#60;b&#62;</bdi>", "1,234,567", ">77<", "4,321", "&#60;i&#62;5&#60;/i&#62; events", ">updates<"]
    {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(!page.contains("<i>5"));
    let replicas = table(&house, "replicas").await;
    assert_eq!((replicas.len(), &replicas[0]["experiments_behind"]), (1, &Value::from(1)), "version 3 is published");
    let runs = table(&house, "runs").await;
    assert_eq!((&runs[0]["retries"], &runs[0]["steps"]), (&Value::from(3), &Value::from("consume 4321 ms")));
}

#[tokio::test]
async fn what_is_wrong_is_said_first_with_what_to_do() {
    let house = House::open().await;
    let stores = &house.stores;
    stores.leases.hold("updater", "x", HOUR).await.unwrap();
    let failed = run(&house, 1, RunReport { error: Some("disk <full>".into()), ..RunReport::default() }).await;
    let said = ReplicaReport {
        last_minute: Tally { fallbacks: 12, refused: 1, ..Tally::default() },
        trouble: Some("the log is <away>".into()),
        ..ReplicaReport::default()
    };
    stores.replicas.beat("ill", &said, HOUR).await.unwrap();
    let page = house.get(PAGE).await.body;
    let first = page.split("id=\"troubles\"").nth(1).unwrap().split("</section>").next().unwrap();
    for part in
        [&format!(">{failed}</data> failed"), "12</data> times", "refuses requests", "the log is &#60;away&#62;"]
    {
        assert!(first.contains(part), "{part} in {first}");
    }
    assert!(page.contains("disk &#60;full&#62;") && !page.contains("All is well"));
    run(&house, 0, RunReport::default()).await;
    assert!(!house.get(PAGE).await.body.contains("</data> failed:"), "a later run did it");
}

#[tokio::test]
async fn runs_of_one_kind_are_shown_alone() {
    let house = House::open().await;
    run(&house, 2, RunReport::default()).await;
    let runs = &house.stores.runs;
    let lists = runs.start_run(RunKind::Lists, Some("sh<op"), Trigger::Schedule, house.now).await.unwrap();
    runs.finish_run(lists, house.now, &RunReport::default()).await.unwrap();
    assert!(house.get(PAGE).await.body.contains("lists <bdi>sh&#60;op</bdi>"));
    let count = async |query: &str| table(&house, &format!("runs{query}")).await.len();
    assert_eq!((count("").await, count("&kind=lists").await, count("&kind=maps").await), (2, 1, 0));
    assert_eq!(count("&kind=%3Cb%3E").await, 2, "no such kind is none");
}

#[tokio::test]
async fn the_silent_are_gone() {
    let house = House::open().await;
    let replicas = &house.stores.replicas;
    replicas.beat("short", &ReplicaReport::default(), Duration::ZERO).await.unwrap();
    replicas.beat("long", &ReplicaReport::default(), HOUR).await.unwrap();
    let names: Vec<Value> = table(&house, "replicas").await.into_iter().map(|r| r["name"].clone()).collect();
    assert_eq!(names, ["long"]);
}

#[tokio::test]
async fn the_page_comes_though_stores_are_away() {
    let mut house = House::open().await;
    let away = Arc::new(Away);
    house.stores.replicas = away.clone();
    house.stores.leases = away.clone();
    house.stores.runs = away.clone();
    let began = std::time::Instant::now();
    let reply = house.get(PAGE).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    for part in
        ["The processes cannot be read", "The runs cannot be read", "cannot be read now", "Nothing was set aside"]
    {
        assert!(reply.body.contains(part), "{part}");
    }
    assert!(!reply.body.contains("secret"));
    assert_eq!(table(&house, "stores").await.len(), 3);
    assert_eq!(table(&house, "runs").await, Vec::<Value>::new());
}

#[tokio::test]
async fn runs_and_dead_letters_have_pages_and_are_text() {
    let house = House::open().await;
    for hour in 0..52 {
        run(&house, 60 - hour, RunReport { events_read: 1_000 + hour.unsigned_abs(), ..RunReport::default() }).await;
    }
    let hostile = "<script>alert(1)</script>\u{202e}".to_owned();
    let letters = (0..21).map(|n| (format!("{hostile}{n}"), hostile.repeat(40 + n))).collect();
    house.stores.outcomes.ingest(&Ingest { at: house.now, set_aside: letters, ..Ingest::default() }).await.unwrap();
    let page = house.get(PAGE).await.body;
    assert!(!page.contains("<script>alert") && page.contains("<bdi>&#60;script&#62;alert(1)"));
    assert!(page.contains("… cut") && page.len() < 300_000, "{}", page.len());
    assert!(page.contains("1,051") && page.contains("1,002") && !page.contains("1,001"));
    let link = |name: &str| {
        let (_, rest) = page.split_once(&format!("href=\"{PAGE}?{name}=")).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let older = house.get(&format!("{PAGE}?before={}&letters={}", link("before"), link("letters"))).await.body;
    assert!(older.contains("1,001") && !older.contains("1,002") && older.contains(">Newest</a>"));
    assert!(older.contains(&format!("{}0</bdi>", "\u{202e}")) && !older.contains("\u{202e}1</bdi>"));
    let all = table(&house, "dead_letters").await;
    assert_eq!((all.len(), all[0]["body"].as_str().unwrap().len()), (20, hostile.len() * 60));
}
