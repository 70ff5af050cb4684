//! `/metrics` follows the conventions of Prometheus, and what dashboards and alerts ask for is there.

use crate::support::{Server, five_arms};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What a gauge without a unit counts or says.
const COUNTED: [&str; 5] = ["_events", "_experiments", "_items", "_up", "_info"];

/// Metrics that are there once something has happened that no test of a healthy server sees, or in other roles.
const RARE: [&str; 6] = [
    "croupier_spool_events",
    "croupier_spool_bytes",
    "croupier_spooled_total",
    "croupier_replayed_total",
    "croupier_spool_refused_total",
    "croupier_updater_failures_total",
];

/// Family → type.
async fn families(server: &Server) -> (BTreeMap<String, String>, String) {
    let text = server.client.get(format!("{}/metrics", server.base)).send().await.unwrap().text().await.unwrap();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    (types.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect(), text)
}

async fn used() -> (Server, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    server.run(&five_arms("page")).await;
    server.post("/v1/decide", &json!({"experiment": "page", "user": "u"})).await;
    server.post("/v1/events", &json!({"type": "reward", "name": "buy", "user": "u"})).await;
    server.update("page").await;
    server.send(reqwest::Method::GET, "/v1/experiments/none", None).await.unwrap();
    (server, dir)
}

#[tokio::test]
async fn every_metric_has_help_and_a_name_that_says_its_unit() {
    let (server, _dir) = used().await;
    let (families, text) = families(&server).await;
    assert!(families.len() > 15, "{text}");
    for (name, kind) in &families {
        let help = text.lines().find_map(|line| line.strip_prefix(&format!("# HELP {name} ")));
        assert!(help.is_some_and(|help| help.len() > 10 && help.ends_with('.')), "{name} has no help: {help:?}");
        assert!(name.starts_with("croupier_") && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
        let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
        let fits = match kind.as_str() {
            "counter" => ends(&["_total"]),
            "histogram" => ends(&["_seconds", "_bytes"]),
            _ => ends(&["_seconds", "_bytes"]) || ends(&COUNTED),
        };
        assert!(fits, "{kind} {name} does not say its unit");
    }
    let samples: BTreeSet<&str> =
        text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split([' ', '{']).next()).collect();
    assert!(samples.contains("croupier_updater_run_seconds_count") && samples.contains("croupier_part_up"), "{text}");
}

/// Names in an expression of PromQL.
fn named(expression: &str) -> impl Iterator<Item = &str> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("croupier_"))
}

#[tokio::test]
async fn dashboards_and_alerts_ask_for_metrics_that_are_there() {
    let (server, _dir) = used().await;
    let (families, _) = families(&server).await;
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    let dashboard: Value =
        serde_json::from_str(&std::fs::read_to_string(deploy.join("grafana/croupier.json")).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut expressions: Vec<String> = Vec::new();
    for panel in panels {
        assert!(!panel["title"].as_str().unwrap().is_empty());
        expressions
            .extend(panel["targets"].as_array().into_iter().flatten().map(|t| t["expr"].as_str().unwrap().to_owned()));
    }
    // JSON is YAML too, and parsed without a further crate.
    let rules: Value =
        serde_json::from_str(&std::fs::read_to_string(deploy.join("prometheus/alerts.json")).unwrap()).unwrap();
    for rule in rules["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap()) {
        let name = rule["alert"].as_str().unwrap();
        assert!(["critical", "warning"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{name}");
        for words in ["summary", "description"] {
            assert!(rule["annotations"][words].as_str().is_some_and(|text| text.len() > 10), "{name} has no {words}");
        }
        expressions.push(rule["expr"].as_str().unwrap().to_owned());
    }
    let asked: BTreeSet<&str> = expressions.iter().flat_map(|expression| named(expression)).collect();
    assert!(asked.len() > 12, "{asked:?}");
    for name in asked {
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        assert!(families.contains_key(family) || RARE.contains(&family), "nothing is called {name}");
    }
}
