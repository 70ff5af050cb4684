//! The API on real embedded stores, with a clock that the test sets.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses its part")]

use api::{Access, App, Config};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use bandit::Clock;
use jiff::Timestamp;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Durability, Locations, NewKey, Stores};
use tower::ServiceExt;

pub struct SetClock(Mutex<Timestamp>);

impl SetClock {
    pub fn set(&self, at: &str) {
        *self.0.lock().unwrap() = at.parse().unwrap();
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

pub struct Api {
    pub router: Router,
    pub app: Arc<App>,
    pub stores: Stores,
    pub clock: Arc<SetClock>,
    _dir: tempfile::TempDir,
}

pub async fn start() -> Api {
    start_with(Access::loopback()).await
}

pub async fn start_with(access: Access) -> Api {
    open(access, Duration::from_secs(10), |_| {}).await
}

/// On stores that the test has changed, waiting for them so long.
pub async fn start_on(patience: Duration, change: impl FnOnce(&mut Stores)) -> Api {
    open(Access::loopback(), patience, change).await
}

async fn open(access: Access, store_timeout: Duration, change: impl FnOnce(&mut Stores)) -> Api {
    let dir = tempfile::tempdir().unwrap();
    let mut stores =
        store::open(&Locations { durability: Durability::Os, ..Locations::in_dir(dir.path()) }).await.unwrap();
    change(&mut stores);
    let clock = Arc::new(SetClock(Mutex::new("2026-11-21T10:00:00Z".parse().unwrap())));
    let config = Config {
        cached_assignments: 10_000,
        store_timeout,
        catalogs_file: None,
        catalog_bytes: 64 << 20,
        traced: false,
        access,
        models: None,
    };
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder().handle();
    let app = App::new(stores.clone(), clock.clone(), config, recorder).await.unwrap();
    Api { router: api::router(app.clone()), app, stores, clock, _dir: dir }
}

/// Another replica on the same stores, with the same clock.
pub async fn beside(api: &Api) -> Api {
    beside_with(api, Access::loopback()).await
}

pub async fn beside_with(api: &Api, access: Access) -> Api {
    let config = Config {
        cached_assignments: 10_000,
        store_timeout: Duration::from_secs(10),
        catalogs_file: None,
        catalog_bytes: 64 << 20,
        traced: false,
        access,
        models: None,
    };
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder().handle();
    let app = App::new(api.stores.clone(), api.clock.clone(), config, recorder).await.unwrap();
    let (stores, clock) = (api.stores.clone(), api.clock.clone());
    Api { router: api::router(app.clone()), app, stores, clock, _dir: tempfile::tempdir().unwrap() }
}

pub struct Answer {
    pub status: u16,
    pub headers: axum::http::HeaderMap,
    pub body: Value,
}

impl Answer {
    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Api {
    pub async fn send(&self, request: Request<Body>) -> (StatusCode, axum::http::HeaderMap, Vec<u8>) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        (status, headers, to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec())
    }

    pub async fn call(&self, method: &str, path: &str, body: impl Into<Body>) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path).body(body.into()).unwrap();
        let (status, headers, body) = self.send(request).await;
        if status.is_client_error() || status.is_server_error() {
            assert_eq!(headers["content-type"], "application/problem+json", "{method} {path}");
        }
        (status.as_u16(), if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() })
    }

    /// A call whose failure is no problem document.
    pub async fn call_plain(&self, method: &str, path: &str) -> (u16, Value) {
        let (status, _, body) =
            self.send(Request::builder().method(method).uri(path).body(Body::empty()).unwrap()).await;
        (status.as_u16(), serde_json::from_slice(&body).unwrap())
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.call("POST", path, body.to_string()).await
    }

    /// Makes a key, which is known at once, and gives its secret and its number.
    pub async fn key(&self, new: NewKey<'_>) -> (String, i64) {
        let secret = api::new_secret().unwrap();
        let new = NewKey { hash: api::hash_secret(&secret), ..new };
        let key = self.stores.keys.create_key(&new, self.clock.now()).await.unwrap();
        self.app.refresh().await.unwrap();
        (secret, key.id)
    }

    pub fn clock_now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A call with headers: status, headers and body.
    pub async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (status, headers, body) = self.send(request.body(Body::from(body.to_owned())).unwrap()).await;
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Answer { status: status.as_u16(), headers, body }
    }

    /// Creates and starts an experiment.
    pub async fn run(&self, definition: &Value) {
        let (status, answer) = self.post("/v1/experiments", definition).await;
        assert_eq!(status, 201, "{answer}");
        let id = definition["id"].as_str().unwrap();
        assert_eq!(self.call("POST", &format!("/v1/experiments/{id}/start"), "").await.0, 200);
    }
}
