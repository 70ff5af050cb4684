//! What our code adds to Bigtable's own calls: both against one emulator, by turns.
//!
//! ```text
//! cargo run --release -p store --features cloud,conformance --example bigtable
//! ```
#![expect(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a measurement: it fails by panicking")]

use api::bigtable_client::BigtableClient;
use api::mutation::{Mutation, SetCell};
use api::row_filter::Filter;
use bandit::{Assignment, AssignmentKey, Source, Sticky, StickyBy};
use futures::future::join_all;
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
    println!("microseconds              | bare p50 |  p99 | ours p50 |  p99 | p50 × | p99 ×");
    for what in [What::Get, What::Put] {
        let mut most = 0.0;
        for at_once in [1, 32] {
            let begun = Instant::now();
            let tasks = (0..at_once).map(|task| {
                let (ours, bare) = (ours.clone(), bare.clone());
                tokio::spawn(measure(ours, bare, what, format!("{at_once}-{task}"), CALLS / at_once))
            });
            let (theirs, mine): (Vec<_>, Vec<_>) = join_all(tasks).await.into_iter().map(Result::unwrap).unzip();
            most = 4.0 * CALLS as f64 / begun.elapsed().as_secs_f64();
            print(what, &format!("{at_once} at once"), theirs.concat(), mine.concat());
        }
        // Where all who ask wait for a busy emulator, whatever costs time costs it as often as there are some in the queue.
        let (theirs, mine) = paced(&ours, &bare, what, most / 2.0).await;
        print(what, &format!("at {:.0}/s, half", most / 2.0), theirs, mine);
    }
}

fn print(what: What, how: &str, theirs: Vec<Duration>, mine: Vec<Duration>) {
    let ((t50, t99), (m50, m99)) = (percentiles(theirs), percentiles(mine));
    let ratio = |m: u128, t: u128| m as f64 / t as f64;
    let (p50, p99) = (ratio(m50, t50), ratio(m99, t99));
    println!("{:<8} {how:<16} | {t50:>8} | {t99:>4} | {m50:>8} | {m99:>4} | {p50:>5.2} | {p99:>5.2}", what.name());
}

#[derive(Clone, Copy)]
enum What {
    Get,
    Put,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            Self::Get => "a repeat",
            Self::Put => "a first",
        }
    }

    async fn bare(self, bare: &Bare, n: usize, known: &Assignment, new: &Assignment) -> Duration {
        let begun = Instant::now();
        match self {
            Self::Get => assert!(bare.read(n, &known.key).await),
            Self::Put => bare.put(n, new).await,
        }
        begun.elapsed()
    }

    async fn ours(self, ours: &dyn Assignments, known: &Assignment, new: &Assignment) -> Duration {
        let begun = Instant::now();
        match self {
            Self::Get => assert!(ours.get(&known.key).await.unwrap().is_some()),
            Self::Put => assert!(ours.put_if_absent(new).await.unwrap().won),
        }
        begun.elapsed()
    }
}

/// Durations of the bare calls and of ours, taken by turns, one after the other.
async fn measure(
    ours: Arc<dyn Assignments>,
    bare: Arc<Bare>,
    what: What,
    task: String,
    calls: usize,
) -> (Vec<Duration>, Vec<Duration>) {
    let known = assignment(&format!("known-{}-{task}", what.name()));
    ours.put_if_absent(&known).await.unwrap();
    let (mut theirs, mut mine) = (Vec::new(), Vec::new());
    for n in 0..2 * calls {
        let [one, two] = ["bare", "ours"].map(|who| assignment(&format!("{}-{task}-{n}-{who}", what.name())));
        let times = (what.bare(&bare, n, &known, &one).await, what.ours(&*ours, &known, &two).await);
        if n >= calls {
            theirs.push(times.0);
            mine.push(times.1);
        }
    }
    (theirs, mine)
}

/// Durations of calls that begin at a rate, bare ones and ours by turns.
async fn paced(ours: &Arc<dyn Assignments>, bare: &Arc<Bare>, what: What, rate: f64) -> (Vec<Duration>, Vec<Duration>) {
    let known = Arc::new(assignment(&format!("known-{}-paced", what.name())));
    ours.put_if_absent(&known).await.unwrap();
    let (mut tasks, begun) = (Vec::new(), Instant::now());
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    while tasks.len() < 4 * CALLS {
        ticks.tick().await;
        while (tasks.len() as f64) < begun.elapsed().as_secs_f64() * rate {
            let (n, ours, bare, known) = (tasks.len(), ours.clone(), bare.clone(), known.clone());
            tasks.push(tokio::spawn(async move {
                let new = assignment(&format!("{}-paced-{n}", what.name()));
                if n % 2 == 0 {
                    what.bare(&bare, n / 2, &known, &new).await
                } else {
                    what.ours(&*ours, &known, &new).await
                }
            }));
        }
    }
    let times: Vec<Duration> = join_all(tasks).await.into_iter().map(Result::unwrap).skip(2 * CALLS).collect();
    (times.iter().step_by(2).copied().collect(), times.iter().skip(1).step_by(2).copied().collect())
}
