//! What our code adds to Bigtable's own calls: both against one emulator, by turns.
//!
//! ```text
//! cargo run --release -p store --features cloud,conformance --example bigtable
//! ```
#![expect(clippy::unwrap_used, reason = "a measurement fails by panicking")]

use api::bigtable_client::BigtableClient;
use api::mutation::{Mutation, SetCell};
use api::row_filter::Filter;
use bandit::{Assignment, AssignmentKey, Source, Sticky, StickyBy};
use googleapis_tonic_google_bigtable_v2::google::bigtable::v2 as api;
use jiff::Timestamp;
use jiff::civil::date;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::conformance::services::{Kind, Service};
use store::{Assignments, Locations};
use tonic::transport::{Channel, Endpoint};

/// Calls of each kind, after as many again that are not counted.
const CALLS: usize = 4_000;
const TABLE: &str = "projects/bench/instances/i/tables/croupier-assignments";

/// The stub with what any client must send, and nothing else.
struct Bare(Vec<BigtableClient<Channel>>);

impl Bare {
    fn request<M>(message: M) -> tonic::Request<M> {
        let mut request = tonic::Request::new(message);
        let routing = format!("table_name={}&app_profile_id=", TABLE.replace('/', "%2F"));
        request.metadata_mut().insert("x-goog-request-params", routing.parse().unwrap());
        request
    }

    async fn read(&self, n: usize, key: &AssignmentKey) -> bool {
        let message = api::ReadRowsRequest {
            table_name: TABLE.into(),
            rows: Some(api::RowSet { row_keys: vec![key.id.0.into()], row_ranges: Vec::new() }),
            rows_limit: 1,
            ..Default::default()
        };
        let mut client = self.0[n % self.0.len()].clone();
        let mut answers = client.read_rows(Self::request(message)).await.unwrap().into_inner();
        let mut found = false;
        while let Some(answer) = answers.message().await.unwrap() {
            found |= !answer.chunks.is_empty();
        }
        found
    }

    async fn put(&self, n: usize, new: &Assignment) {
        assert!(!self.read(n, &new.key).await);
        let cell = SetCell {
            family_name: "day".into(),
            column_qualifier: b"a".into(),
            timestamp_micros: -1,
            value: vec![b'x'; 60],
        };
        let message = api::CheckAndMutateRowRequest {
            table_name: TABLE.into(),
            row_key: new.key.id.0.into(),
            predicate_filter: Some(api::RowFilter { filter: Some(Filter::FamilyNameRegexFilter("day".into())) }),
            false_mutations: vec![api::Mutation { mutation: Some(Mutation::SetCell(cell)) }],
            ..Default::default()
        };
        let mut client = self.0[n % self.0.len()].clone();
        assert!(!client.check_and_mutate_row(Self::request(message)).await.unwrap().into_inner().predicate_matched);
    }
}

fn assignment(user: &str) -> Assignment {
    let sticky = Sticky { by: vec![StickyBy::User, StickyBy::Day], time_zone: "UTC".into() };
    Assignment {
        key: AssignmentKey::new("e", &sticky, user, None, date(2026, 11, 21)),
        arm: "arm".into(),
        segment: "device=mobile".into(),
        propensity: 0.371,
        posterior_version: 7,
        revision: 3,
        source: Source::Policy,
        at: Timestamp::UNIX_EPOCH,
    }
}

/// Microseconds below which half and 99 % of the calls stayed.
fn percentiles(mut times: Vec<Duration>) -> (u128, u128) {
    times.sort_unstable();
    (times[times.len() / 2].as_micros(), times[times.len() * 99 / 100].as_micros())
}

#[tokio::main]
async fn main() {
    let Some(service) = Service::start(Kind::Bigtable) else { return };
    let dir = tempfile::tempdir().unwrap();
    let locations = Locations {
        state: "bigtable://bench/i".into(),
        bigtable_emulator: Some(service.address().to_string()),
        ..Locations::in_dir(dir.path())
    };
    store::admin::create_tables(&locations).await.unwrap();
    let ours = store::open(&locations).await.unwrap().assignments;
    let endpoint = Endpoint::from_shared(format!("http://{}", service.address())).unwrap().tcp_nodelay(true);
    let bare = Arc::new(Bare((0..4).map(|_| BigtableClient::new(endpoint.connect_lazy())).collect()));
    println!("microseconds          | bare p50 |  p99 | ours p50 |  p99 | p50 × | p99 ×");
    for at_once in [1, 32] {
        for what in ["get, a hit", "put, a first"] {
            let mut tasks = Vec::new();
            for task in 0..at_once {
                let (ours, bare) = (ours.clone(), bare.clone());
                tasks.push(tokio::spawn(measure(ours, bare, what, format!("{at_once}-{task}"), CALLS / at_once)));
            }
            let (mut theirs, mut mine) = (Vec::new(), Vec::new());
            for task in tasks {
                let (t, m) = task.await.unwrap();
                theirs.extend(t);
                mine.extend(m);
            }
            let ((t50, t99), (m50, m99)) = (percentiles(theirs), percentiles(mine));
            #[expect(clippy::cast_precision_loss, reason = "microseconds")]
            let ratio = |m: u128, t: u128| m as f64 / t as f64;
            println!(
                "{what:<12} {at_once:>3} at once | {t50:>7} | {t99:>4} | {m50:>8} | {m99:>4} | {:>5.2} | {:>5.2}",
                ratio(m50, t50),
                ratio(m99, t99)
            );
        }
    }
}

/// Durations of the bare calls and of ours, taken by turns.
async fn measure(
    ours: Arc<dyn Assignments>,
    bare: Arc<Bare>,
    what: &'static str,
    task: String,
    calls: usize,
) -> (Vec<Duration>, Vec<Duration>) {
    let known = assignment(&format!("known-{what}-{task}"));
    ours.put_if_absent(&known).await.unwrap();
    let (mut theirs, mut mine) = (Vec::new(), Vec::new());
    for n in 0..2 * calls {
        let one = assignment(&format!("{what}-{task}-{n}-bare"));
        let two = assignment(&format!("{what}-{task}-{n}-ours"));
        let begun = Instant::now();
        match what {
            "get, a hit" => assert!(bare.read(n, &known.key).await),
            _ => bare.put(n, &one).await,
        }
        let between = Instant::now();
        match what {
            "get, a hit" => assert!(ours.get(&known.key).await.unwrap().is_some()),
            _ => assert!(ours.put_if_absent(&two).await.unwrap().won),
        }
        if n >= calls {
            theirs.push(between - begun);
            mine.push(between.elapsed());
        }
    }
    (theirs, mine)
}
