//! `croupier demo`: the whole platform with simulated visitors, on a clock that runs fast.

mod shop;

use crate::cli::Failure;
use crate::clock::{AcceleratedClock, SystemClock};
use crate::interruption::Interruption;
use crate::serve::{Roles, Server};
use crate::settings::{SettingArgs, Settings};
use bandit::{Clock, Experiment, Status};
use clap::Args;
use dashboard::Notice;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reqwest::Client;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use store::{Change, StoreError, Stores};
use tokio::sync::watch;

const NOTICE: Notice = Notice {
    english: "Demo: visitors are simulated and the clock runs 360 times as fast, an hour in ten seconds.",
    japanese: "デモ: 訪問者はシミュレーションで、時計は 360 倍の速さ（1 時間が 10 秒）で進みます。",
};
/// Simulated seconds in a second.
const FACTOR: i32 = 360;
/// Visitors at a time, and how long each looks at a page.
const VISITORS: u64 = 40;
const LOOK: Duration = Duration::from_millis(400);
/// Items in the simulated shop.
const ITEMS: u32 = 200;

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Stop by itself after this many seconds
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
}

/// A simulated experiment: its definition, and what visitors really like.
struct Scene {
    definition: Value,
    /// Reward rates of the arms on mobile and on desktop.
    rates: &'static [[f64; 2]],
}

fn scenes() -> [Scene; 2] {
    [
        Scene {
            definition: json!({
                "id": "product-page", "name": "Product page layout",
                "arms": [
                    {"id": "control", "control": true, "payload": {"layout": "classic"}},
                    {"id": "gallery", "payload": {"layout": "gallery"}},
                    {"id": "reviews-first", "payload": {"layout": "reviews-first"}},
                    {"id": "video", "payload": {"layout": "video"}}
                ],
                "policy": {"kind": "thompson", "floor": 0.01, "half_life_hours": 168},
                "segment_by": ["device"],
                "sticky": {"by": ["user", "item", "day"], "time_zone": "Asia/Tokyo"},
                "reward": {"event": "purchase", "window_hours": 24},
                "holdout": 0.05
            }),
            rates: &[[0.040, 0.050], [0.085, 0.055], [0.045, 0.095], [0.030, 0.040]],
        },
        Scene {
            definition: json!({
                "id": "headline", "name": "Headline of the front page",
                "arms": [
                    {"id": "plain", "control": true, "payload": {"text": "Fits like yours"}},
                    {"id": "question", "payload": {"text": "Found yours yet?"}},
                    {"id": "number", "payload": {"text": "12,000 things, one is yours"}}
                ],
                "policy": {"kind": "epsilon_greedy", "epsilon": 0.2},
                "sticky": {"by": ["user", "day"], "time_zone": "Asia/Tokyo"},
                "reward": {"event": "click", "window_hours": 6}
            }),
            rates: &[[0.10, 0.10], [0.16, 0.16], [0.12, 0.12]],
        },
    ]
}

pub(crate) async fn run(args: &DemoArgs, given: &SettingArgs) -> Result<(), Failure> {
    let interruption = Interruption::listen()?;
    // Held until the end: dropping it removes the directory.
    let scratch = tempfile::tempdir().map_err(|e| Failure::Failed(format!("no temporary directory: {e}")))?;
    let settings = Settings::load(&given.all_in_one(scratch.path()))?;
    let clock = Arc::new(AcceleratedClock::new(start(&settings).await?, FACTOR));
    let server = Server::open(&settings, clock.clone(), Roles::ALL, Some(NOTICE)).await?;
    set_up(server.stores(), &*clock, &settings.locations.state).await?;
    let address = server.addresses().into_iter().next();
    let address = address.ok_or_else(|| Failure::Failed("the demo has no port".into()))?;
    let base = format!("http://{address}");
    println!("{}\n\n  dashboard   {base}/dashboard\n  API         {base}/openapi.json\n", NOTICE.english);
    println!(
        "  curl -s {base}/v1/decide -d '{{\"experiment\":\"product-page\",\"user\":\"you\",\"item\":\"sku-1\",\"context\":{{\"device\":\"mobile\"}}}}'\n"
    );
    println!("  curl -s '{base}/v1/catalogs/{}/recommendations?user=shopper-1'\n", shop::CATALOG);
    println!("Ctrl-C ends it.");
    let (stop, stopped) = watch::channel(false);
    let mut visitors: Vec<_> = (0..VISITORS).map(|n| tokio::spawn(visit(n, base.clone(), stopped.clone()))).collect();
    let shop = base.clone();
    let in_shop = stopped.clone();
    visitors.push(tokio::spawn(async move {
        if shop::open(&Client::new(), &shop).await.is_none() {
            tracing::warn!("the demo's shop could not be filled");
            return;
        }
        let shoppers = (0..shop::SHOPPERS).map(|n| shop::shop(n, shop.clone(), in_shop.clone()));
        let shoppers = futures::future::join_all(shoppers);
        futures::future::join(shoppers, shop::trade(shop.clone(), in_shop.clone())).await;
    }));
    let seconds = args.seconds;
    tokio::spawn(async move {
        let limit = async {
            match seconds {
                Some(s) => tokio::time::sleep(Duration::from_secs(s)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! { () = interruption.wait() => {}, () = limit => {} }
        let _ = stop.send(true);
    });
    server.run(stopped).await?;
    for visitor in visitors {
        // A visitor whose connection ended with the server is done.
        let _ = visitor.await;
    }
    Ok(())
}

/// Now, or where the demo's clock was when this directory was last used, so that time does not go back.
async fn start(settings: &Settings) -> Result<jiff::Timestamp, Failure> {
    let stores = store::open(&settings.locations).await?;
    let last = stores.runs.latest_runs(None, None, 1).await?.first().and_then(|r| r.finished_at);
    Ok(last.map_or(SystemClock.now(), |t| t.max(SystemClock.now())))
}

async fn set_up(stores: &Stores, clock: &dyn Clock, data: &str) -> Result<(), Failure> {
    let own: Vec<String> = scenes().iter().filter_map(|s| s.definition["id"].as_str().map(str::to_owned)).collect();
    let all = stores.experiments.list(None, 100).await?;
    if let Some(other) = all.iter().find(|e| !own.contains(&e.definition.id)) {
        let why =
            format!("it holds experiment '{}', which is not the demo's: name another directory", other.definition.id);
        return Err(Failure::unusable("data", data, &why));
    }
    let change =
        Change { who: "demo".into(), why: "made for the demo".into(), at: clock.now(), request: String::new() };
    for scene in scenes() {
        let definition: Experiment = serde_json::from_value(scene.definition)
            .map_err(|e| Failure::Failed(format!("the demo's experiment: {e}")))?;
        match stores.experiments.create(&definition, &change).await {
            Ok(_) => {
                stores.experiments.set_status(&definition.id, Status::Draft, Status::Running, None, &change).await?;
            }
            Err(StoreError::Conflict(_)) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// One visitor after another on one device, through the HTTP API as a page would.
async fn visit(number: u64, base: String, stop: watch::Receiver<bool>) {
    let mut rng = ChaCha8Rng::seed_from_u64(number);
    let client = Client::new();
    let scenes = scenes();
    while !*stop.borrow() {
        let scene = &scenes[rng.random_range(0..scenes.len())];
        let mobile = rng.random_bool(0.6);
        let user = format!("visitor-{}", rng.random_range(0..50_000));
        let item = format!("sku-{}", rng.random_range(0..ITEMS));
        let ask = json!({
            "experiment": scene.definition["id"], "user": user, "item": item,
            "context": {"device": if mobile { "mobile" } else { "desktop" }},
        });
        let decision = send(&client, &format!("{base}/v1/decide"), &ask).await;
        tokio::time::sleep(LOOK.mul_f64(rng.random_range(0.5..1.5))).await;
        let Some(decision) = decision.filter(|d| d["first"] == true) else { continue };
        let arms = scene.definition["arms"].as_array().map_or(&[][..], Vec::as_slice);
        let liked = arms
            .iter()
            .position(|a| a["id"] == decision["arm"])
            .is_some_and(|arm| rng.random_bool(scene.rates[arm][usize::from(!mobile)]));
        if liked {
            let reward = json!({
                "id": format!("demo-{}", decision["decision_id"].as_str().unwrap_or_default()), "type": "reward",
                "name": scene.definition["reward"]["event"], "decision_id": decision["decision_id"], "user": user,
            });
            send(&client, &format!("{base}/v1/events"), &reward).await;
        }
    }
}

/// The answer, or none: a visitor does not insist.
async fn send(client: &Client, url: &str, body: &Value) -> Option<Value> {
    client.post(url).json(body).send().await.ok()?.json().await.ok()
}
