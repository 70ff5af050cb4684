//! Deciding in process: the router is called as a connection calls it, without the connection.

use crate::curve::{Curve, median};
use crate::{Extent, Outcome};
use api::{Access, App, Config};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use bandit::{ArmPosterior, Clock, PosteriorSet, Status};
use jiff::Timestamp;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Change, Durability, Locations, Stores, manage};
use tempfile::TempDir;
use tower::ServiceExt;

const ROUNDS: usize = 7;
const REPEATS: usize = 2_000;
/// New users, so many at a time: their writes share synchronisations.
const FIRSTS: usize = 2_048;
const AT_ONCE: usize = 64;

pub(crate) struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::constant(1_800_000_000, 0)
    }
}

/// A server without a connection: so many experiments, of which the first has so many arms and segments.
struct House {
    size: f64,
    segments: usize,
    app: Arc<App>,
    router: Router,
    stores: Stores,
    asked: usize,
    version: u64,
    arms: usize,
    _dir: TempDir,
}

pub(crate) async fn app(stores: &Stores) -> Outcome<Arc<App>> {
    let config = Config {
        cached_assignments: 500_000,
        store_timeout: Duration::from_secs(60),
        catalogs_file: None,
        catalog_bytes: 1 << 30,
        traced: false,
        access: Access::loopback(),
        models: None,
    };
    Ok(App::new(stores.clone(), Arc::new(Fixed), config, PrometheusBuilder::new().build_recorder().handle()).await?)
}

pub(crate) fn scratch() -> Outcome<TempDir> {
    Ok(tempfile::Builder::new().prefix("growth-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}

pub(crate) async fn begin(stores: &Stores, id: &str, arms: usize) -> Outcome<()> {
    let arms: Vec<_> = (0..arms).map(|n| json!({"id": format!("arm-{n}")})).collect();
    let definition = json!({
        "id": id, "arms": arms, "segment_by": ["place"], "policy": {"kind": "thompson", "floor": 0.001},
        "reward": {"event": "purchase"},
    });
    let change = Change { who: "bench".into(), why: String::new(), at: Fixed.now(), request: String::new() };
    let refused = |e: manage::Refusal| format!("{id}: {e:?}");
    manage::create(&*stores.experiments, &serde_json::to_vec(&definition)?, &change).await.map_err(refused)?;
    manage::transition(&*stores.experiments, id, Status::Running, None, &change).await.map_err(refused)?;
    Ok(())
}

impl House {
    async fn open(size: usize, experiments: usize, arms: usize, segments: usize) -> Outcome<Self> {
        let dir = scratch()?;
        // What synchronising the disk takes is the disk's affair, and the same at every size.
        let locations = Locations { durability: Durability::Os, ..Locations::in_dir(dir.path()) };
        let stores = store::open(&locations).await?;
        for n in 0..experiments {
            begin(&stores, &format!("e{n}"), if n == 0 { arms } else { 5 }).await?;
        }
        let size = f64::from(u32::try_from(size)?);
        let (app, version) = (app(&stores).await?, 0);
        let router = api::router(app.clone());
        let mut house = Self { size, segments, app, router, stores, asked: 0, version, arms, _dir: dir };
        house.publish().await?;
        house.app.refresh().await?;
        Ok(house)
    }

    /// The next posteriors of the first experiment.
    async fn publish(&mut self) -> Outcome<()> {
        self.version += 1;
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let of = |n: usize, arm: usize| {
            let alpha = 50.0 + ((n * 31 + arm * 17 + self.version as usize) % 97) as f64;
            ArmPosterior { alpha, beta: 1_000.0, propensity: 1.0 / self.arms as f64 }
        };
        let segment = |n| (format!("place=p{n}"), (0..self.arms).map(|arm| of(n, arm)).collect());
        let segments: BTreeMap<String, Vec<ArmPosterior>> = (0..self.segments).map(segment).collect();
        let ids = (0..self.arms).map(|arm| format!("arm-{arm}")).collect();
        let set = PosteriorSet::new("e0", self.version, 1, Fixed.now(), ids, segments);
        Ok(self.stores.posteriors.publish(&set).await?)
    }

    fn body(&self, user: usize) -> String {
        let place = user.wrapping_mul(0x9E37_79B9) % self.segments;
        format!(r#"{{"experiment":"e0","user":"u{user}","context":{{"place":"p{place}"}}}}"#)
    }

    async fn decide(&self, user: usize) -> Outcome<()> {
        let request = Request::post("/v1/decide").body(Body::from(self.body(user)))?;
        let answer = self.router.clone().oneshot(request).await?;
        if answer.status() != 200 {
            let text = to_bytes(answer.into_body(), usize::MAX).await?;
            return Err(String::from_utf8_lossy(&text).into_owned().into());
        }
        Ok(())
    }

    /// Microseconds of a first decision, of a repeat, and milliseconds of a look for changes that finds none, and one.
    async fn round(&mut self) -> Outcome<[f64; 4]> {
        let (from, begun) = (self.asked, Instant::now());
        for first in (from..from + FIRSTS).step_by(AT_ONCE) {
            let all = (first..first + AT_ONCE).map(|user| self.decide(user));
            futures::future::try_join_all(all).await?;
        }
        let first = micros(begun, FIRSTS);
        self.asked += FIRSTS;
        let begun = Instant::now();
        for user in 0..REPEATS {
            self.decide(from + user).await?;
        }
        let repeat = micros(begun, REPEATS);
        let begun = Instant::now();
        self.app.refresh().await?;
        let look = micros(begun, 1_000);
        self.publish().await?;
        let begun = Instant::now();
        self.app.refresh().await?;
        Ok([first, repeat, look, micros(begun, 1_000)])
    }
}

/// Microseconds since then, each of `count`.
#[expect(clippy::cast_precision_loss, reason = "small")]
pub(crate) fn micros(begun: Instant, count: usize) -> f64 {
    begun.elapsed().as_secs_f64() * 1e6 / count as f64
}

/// All sizes in turns.
async fn curves(of: &'static str, mut houses: Vec<House>) -> Outcome<Vec<Curve>> {
    let mut rounds: Vec<Vec<[f64; 4]>> = vec![Vec::new(); houses.len()];
    for _ in 0..ROUNDS {
        for (house, figures) in houses.iter_mut().zip(&mut rounds) {
            figures.push(house.round().await?);
        }
    }
    let whats = [("first decision", "µs"), ("repeat", "µs"), ("look for changes", "ms"), ("take in posteriors", "ms")];
    let curve = |(i, (what, unit)): (usize, (&'static str, &'static str))| {
        let at =
            |(house, figures): (&House, &Vec<[f64; 4]>)| (house.size, median(figures.iter().map(|f| f[i]).collect()));
        Curve { what, of, unit, points: houses.iter().zip(&rounds).map(at).collect() }
    };
    Ok(whats.into_iter().enumerate().map(curve).collect())
}

pub(crate) async fn measure(extent: Extent) -> Outcome<Vec<Curve>> {
    use Extent::{Short, Usual};
    let mut all = Vec::new();
    let mut houses = Vec::new();
    for n in extent.of(&[(1, Short), (100, Short), (10_000, Usual)]) {
        houses.push(House::open(n, n, 5, 1).await?);
    }
    all.extend(curves("experiments", houses).await?);
    let mut houses = Vec::new();
    for n in extent.of(&[(2, Short), (5, Short), (10, Usual), (50, Usual), (100, Usual)]) {
        houses.push(House::open(n, 1, n, 1).await?);
    }
    all.extend(curves("arms", houses).await?);
    let mut houses = Vec::new();
    for n in extent.of(&[(1, Short), (100, Short), (10_000, Usual), (100_000, Usual)]) {
        houses.push(House::open(n, 1, 5, n).await?);
    }
    all.extend(curves("segments", houses).await?);
    Ok(all)
}
