//! How long answers take as more is asked than can be answered: new users only, in an open loop, beside half of capacity.
//!
//! Server and generator have a core each, where there are two and `taskset` is there to give them.

use crate::curve::Curve;
use crate::server::Server;
use crate::{Extent, Outcome};
use loadtest::{Extent as Length, Load, PathAndQuery, Request, closed, open, post};
use serde_json::json;
use std::process::{Command, Stdio};
use std::time::Duration;

/// So many that the generator need not wait for one while answers take a tenth of a second.
const CONNECTIONS: usize = 4_000;
/// Connections that find the capacity.
const FEW: usize = 64;
/// Of capacity.
const LOADS: [f64; 4] = [0.5, 1.0, 2.0, 5.0];

fn newcomers(tag: String) -> impl Fn(u64) -> (usize, Request) + Send + Sync + 'static {
    let decide = PathAndQuery::from_static("/v1/decide");
    move |index| (0, post(&decide, format!(r#"{{"experiment":"hot","user":"{tag}-{index}"}}"#)))
}

/// Gives a process, all its threads, one core.
fn pin(pid: u32, core: &str) -> bool {
    let taskset =
        Command::new("taskset").args(["-a", "-p", "-c", core, &pid.to_string()]).stdout(Stdio::null()).status();
    taskset.is_ok_and(|status| status.success())
}

pub(crate) async fn measure(extent: Extent) -> Outcome<Vec<Curve>> {
    let length = Duration::from_secs(if extent == Extent::Short { 3 } else { 15 });
    let server = Server::start(&[]).await?;
    if !(pin(server.pid(), "0") && pin(std::process::id(), "1")) {
        println!("note: server and generator share all cores");
    }
    let arms = ["a", "b", "c", "d", "e"].map(|id| json!({"id": id}));
    server.begin(&json!({"id": "hot", "arms": arms, "reward": {"event": "purchase"}})).await?;
    let capacity =
        closed(&Load::new(server.address, FEW, &["first"]), Length::Duration(length), newcomers("few".into())).await?;
    println!("capacity: {capacity}");
    let curve = |what, unit| Curve { what, of: "× capacity", unit, points: Vec::new() };
    let mut curves = [
        curve("p50 of accepted", "ms"),
        curve("p99 of accepted", "ms"),
        curve("accepted", "/s"),
        curve("refused", "/s"),
    ];
    for load in LOADS {
        let rate = capacity.rate() * load;
        let before = server.metric("croupier_shed_total", "").await?;
        let all = Load::new(server.address, CONNECTIONS, &["first"]);
        let report = open(&all, rate, Length::Duration(length), newcomers(format!("at-{load}"))).await?;
        let shed = server.metric("croupier_shed_total", "").await? - before;
        println!("{load} × capacity, {shed} shed: {report}");
        let first = &report.classes[0];
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
        let per_second = |count: u64| count as f64 / report.elapsed.as_secs_f64();
        let refused = per_second(first.answered() - first.succeeded());
        let figures = [ms(first.accepted.p50()), ms(first.accepted.p99()), per_second(first.succeeded()), refused];
        for (curve, figure) in curves.iter_mut().zip(figures) {
            curve.points.push((load, figure));
        }
        // What waits for the updater is read before more comes.
        server.update("hot").await?;
    }
    Ok(curves.into())
}
