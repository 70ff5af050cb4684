//! Real stores with a past, behind the router.

#![allow(dead_code, reason = "each test and benchmark uses a part")]

pub(crate) mod crowd;
pub(crate) mod paths;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use bandit::{AssignmentKey, Clock, DecisionRecord, Experiment, Source, Status, UserEvent, UserEventKind, recompute};
use dashboard::{Door, Identity, Notice};
use jiff::civil::date;
use jiff::{SignedDuration, Timestamp};
use std::net::SocketAddr;
use std::sync::Arc;
use store::{
    Change, Durability, ExperimentRecord, Ingest, Locations, Role, RunReport, Shelf, Stores, Trigger, VersionEntry,
};
use tower::ServiceExt;

/// A clock that stands.
pub(crate) struct At(pub(crate) Timestamp);

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// Stores in a directory of their own, at a fixed time.
pub(crate) struct House {
    pub(crate) stores: Stores,
    /// What the dashboard knows of catalogs: empty until somebody reads them.
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) now: Timestamp,
    _dir: tempfile::TempDir,
}

/// What came back.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// How the proxy names people.
const PERSON: &str = "x-person";

/// What a router answers.
pub(crate) async fn answer(router: Router, request: Request<Body>) -> Reply {
    let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap();
    Reply { status: parts.status, headers: parts.headers, body: String::from_utf8(bytes.to_vec()).unwrap() }
}

impl House {
    pub(crate) async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let locations = Locations { durability: Durability::Os, ..Locations::in_dir(dir.path()) };
        let stores = store::open(&locations).await.unwrap();
        Self { stores, shelf: Arc::default(), now: "2026-11-21T10:00:00Z".parse().unwrap(), _dir: dir }
    }

    pub(crate) fn router_by(&self, door: Door) -> Router {
        let notice = Some(Notice { english: "Simulated <visitors>", japanese: "架空の<訪問者>" });
        dashboard::router(self.stores.clone(), self.shelf.clone(), Arc::new(At(self.now)), notice, door)
    }

    /// A router behind a proxy on this machine that names people: `tester` may edit, all others may look.
    pub(crate) fn router(&self) -> Router {
        self.router_by(Door {
            loopback: true,
            proxies: vec!["127.0.0.0/8".parse().unwrap()],
            identity: Some(Identity {
                header: HeaderName::from_static(PERSON),
                editors: ["tester".to_owned()].into(),
                others: Role::Viewer,
            }),
            clock: Arc::new(At(self.now)),
        })
    }

    pub(crate) async fn get(&self, uri: &str) -> Reply {
        self.send(Request::get(uri).header("host", "shop.example:8080").body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        send(self.router(), request).await
    }

    pub(crate) fn change(&self, why: &str) -> Change {
        Change { who: "tester".into(), why: why.into(), at: self.now, request: String::new() }
    }

    /// Creates and starts an experiment, days before the trials and updates of tests.
    pub(crate) async fn begin(&self, json: serde_json::Value) -> ExperimentRecord {
        let e: Experiment = serde_json::from_value(json).unwrap();
        let all = &self.stores.experiments;
        let then = |why| Change { at: self.now - SignedDuration::from_hours(96), ..self.change(why) };
        all.create(&e, &then("because <i>I</i> can")).await.unwrap();
        all.set_status(&e.id, Status::Draft, Status::Running, None, &then("")).await.unwrap()
    }

    /// Adds trials of an arm in a segment, of which the first `rewards` are rewarded.
    pub(crate) async fn try_out(&self, e: &Experiment, segment: &str, arm: usize, trials: u32, rewards: u32) {
        let mut batch = Ingest { at: self.now, ..Ingest::default() };
        for n in 0..trials {
            let user = format!("{segment}-{arm}-{n}");
            let day = date(2026, 11, 19);
            let id = AssignmentKey::new(&e.id, &e.sticky, &user, None, day).id;
            // A few are young enough to be waiting.
            let at = self.now - SignedDuration::from_hours(if n % 7 == 0 { 2 } else { 48 });
            batch.decisions.push(DecisionRecord {
                decision_id: id,
                experiment: e.id.clone(),
                user: user.clone(),
                item: None,
                day,
                segment: segment.into(),
                features: None,
                arm: e.arms[arm].id.clone(),
                position: None,
                list: None,
                propensity: 0.5,
                posterior_version: 0,
                revision: 1,
                source: if n % 10 == 0 { Source::Holdout } else { Source::Policy },
                at,
            });
            if n < rewards {
                let reward = UserEvent {
                    id: format!("reward-{user}"),
                    kind: UserEventKind::Reward,
                    name: e.reward.event.clone(),
                    user: Some(user),
                    item: None,
                    decision_id: Some(id),
                    experiment: None,
                    value: 1.0,
                    at: at + SignedDuration::from_mins(30),
                };
                batch.events.push((reward, vec![id]));
            }
        }
        self.stores.outcomes.ingest(&batch).await.unwrap();
    }

    /// Publishes the next posterior set, `hours` ago.
    pub(crate) async fn publish(&self, record: &ExperimentRecord, hours: i64) {
        let id = &record.definition.id;
        let evidence = self.stores.outcomes.evidence(id).await.unwrap();
        let version = self.stores.posteriors.latest_version(id).await.unwrap() + 1;
        let as_of = self.now - SignedDuration::from_hours(hours);
        let set = recompute(&record.definition, record.revision, version, &evidence, as_of);
        self.stores.posteriors.publish(&set).await.unwrap();
        let entry = VersionEntry::new(&record.definition, &set, &evidence, self.now);
        self.stores.history.keep(id, &[entry]).await.unwrap();
        let run = self.stores.runs.start_run(store::RunKind::Posteriors, None, Trigger::Schedule, as_of).await.unwrap();
        self.stores.runs.finish_run(run, as_of, &RunReport { published: 1, ..RunReport::default() }).await.unwrap();
    }

    /// A running experiment with two segments and a past.
    pub(crate) async fn shop(&self) -> ExperimentRecord {
        let record = self
            .begin(serde_json::json!({
                "id": "product-page", "name": "Product page",
                "arms": [{"id": "control", "control": true}, {"id": "b"}, {"id": "bold-price"}],
                "segment_by": ["device"], "holdout": 0.1,
                "reward": {"event": "purchase", "window_hours": 24},
            }))
            .await;
        let e = &record.definition;
        for (segment, arm, trials, rewards) in
            [("device=mobile", 0, 120, 9), ("device=mobile", 1, 1300, 150), ("device=", 2, 60, 4)]
        {
            self.try_out(e, segment, arm, trials, rewards).await;
            self.publish(&record, 3 - i64::try_from(arm).unwrap()).await;
        }
        record
    }
}

/// Sends a request as `tester`, unless its header `x-person` names another; its forms carry `csrf=unguarded`.
pub(crate) async fn send(router: Router, mut request: Request<Body>) -> Reply {
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1))));
    let headers = request.headers_mut();
    headers.append("cookie", HeaderValue::from_static("croupier_form=unguarded"));
    headers.entry(PERSON).or_insert(HeaderValue::from_static("tester"));
    answer(router, request).await
}
