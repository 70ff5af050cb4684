//! Settings: flags, then variables, then the file, then the defaults that are compiled in.

use crate::cli::Failure;
use crate::listen::Bounds;
use crate::telemetry::LogFormat;
use crate::trusted::{Trusted, TrustedArgs};
use api::CatalogsFile;
use clap::Args;
use embed::EndpointSettings;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;
use store::{Durability, Locations};
use updater::Pace;

pub(crate) const DEFAULTS: &str = include_str!("config.default.toml");
/// Read if it is there and no other is named.
const FILE: &str = "croupier.toml";
/// Settings whose defaults follow from `data`.
const DERIVED: [&str; 6] = ["state", "events", "database", "spool", "catalogs_file", "models"];

/// Settings as given on the command line or in variables.
#[derive(Clone, Default, Args)]
#[command(next_help_heading = "Settings")]
pub(crate) struct SettingArgs {
    /// File of settings [default: croupier.toml, if it is there]
    #[arg(long, global = true, env = "CROUPIER_CONFIG", value_name = "FILE")]
    config: Option<String>,
    /// Directory of the embedded stores [default: ./data]
    #[arg(long, global = true, env = "CROUPIER_DATA", value_name = "DIR")]
    data: Option<String>,
    /// Assignments and posteriors: file:DIR or bigtable://PROJECT/INSTANCE [default: file:DATA]
    #[arg(long, global = true, env = "CROUPIER_STATE", value_name = "URL")]
    state: Option<String>,
    /// Decisions and events: file:DIR or pubsub://PROJECT/TOPIC [default: file:DATA]
    #[arg(long, global = true, env = "CROUPIER_EVENTS", value_name = "URL")]
    events: Option<String>,
    /// Experiments, outcomes, keys, audit: sqlite:FILE or postgres://… [default: sqlite:DATA/croupier.db]
    #[arg(long, global = true, env = "CROUPIER_DATABASE", value_name = "URL", hide_env_values = true)]
    database: Option<String>,
    /// Directory where events wait while Pub/Sub is away [default: DATA/spool]
    #[arg(long, global = true, env = "CROUPIER_SPOOL", value_name = "DIR")]
    spool: Option<String>,
    /// Most megabytes that wait there [default: 1024]
    #[arg(long, global = true, env = "CROUPIER_SPOOL_MB", value_name = "MB")]
    spool_mb: Option<String>,
    /// Days after which decisions and events are let go of; 0 keeps them [default: 0]
    #[arg(long, global = true, env = "CROUPIER_RETENTION_DAYS", value_name = "DAYS")]
    retention_days: Option<String>,
    /// What an acknowledged write survives: sync (a power cut) or os (the process) [default: sync]
    #[arg(long, global = true, env = "CROUPIER_DURABILITY", value_name = "HOW")]
    durability: Option<String>,
    /// Address and port [default: 127.0.0.1:8080]
    #[arg(long, global = true, env = "CROUPIER_LISTEN", value_name = "ADDRESS")]
    listen: Option<String>,
    /// Address and port of admin routes, dashboard and metrics, which the other then lacks [default: none]
    #[arg(long, global = true, env = "CROUPIER_ADMIN_LISTEN", value_name = "ADDRESS")]
    admin_listen: Option<String>,
    /// Address and port of the metrics of an updater that is a process of its own [default: none]
    #[arg(long, global = true, env = "CROUPIER_METRICS_LISTEN", value_name = "ADDRESS")]
    metrics_listen: Option<String>,
    /// Most connections of an address; further ones wait [default: 10000]
    #[arg(long, global = true, env = "CROUPIER_CONNECTIONS", value_name = "COUNT")]
    connections: Option<String>,
    /// Seconds after which a connection is closed that has not sent a whole request head [default: 75]
    #[arg(long, global = true, env = "CROUPIER_IDLE_SECONDS", value_name = "SECONDS")]
    idle_seconds: Option<String>,
    /// Minutes between updates, aligned to the clock [default: 60]
    #[arg(long, global = true, env = "CROUPIER_INTERVAL_MINUTES", value_name = "MINUTES")]
    interval_minutes: Option<String>,
    /// Assignments kept in memory, about 250 bytes each [default: 500000]
    #[arg(long, global = true, env = "CROUPIER_CACHED_ASSIGNMENTS", value_name = "COUNT")]
    cached_assignments: Option<String>,
    /// Megabytes that the items of all catalogs may take in memory [default: 4096]
    #[arg(long, global = true, env = "CROUPIER_CATALOGS_MB", value_name = "MB")]
    catalogs_mb: Option<String>,
    /// File that catalogs are read from at the start; where it is named it is shared by all, and the updater at work saves
    /// it [default: DATA/catalogs.snapshot, this process's own]
    #[arg(long, global = true, env = "CROUPIER_CATALOGS_FILE", value_name = "FILE")]
    catalogs_file: Option<String>,
    /// Threads that make lists ahead of requests; 0: one for each core [default: 0]
    #[arg(long, global = true, env = "CROUPIER_LISTS_THREADS", value_name = "COUNT")]
    lists_threads: Option<String>,
    /// Percent of the time that each of them works [default: 25]
    #[arg(long, global = true, env = "CROUPIER_LISTS_PERCENT", value_name = "PERCENT")]
    lists_percent: Option<String>,
    /// Directory of models that make vectors of texts, a folder each [default: DATA/models]
    #[arg(long, global = true, env = "CROUPIER_MODELS", value_name = "DIR")]
    models: Option<String>,
    /// Address of an OpenAI-compatible service that makes vectors of texts, as https://api.openai.com/v1 [default: none]
    #[arg(long, global = true, env = "CROUPIER_EMBEDDINGS_URL", value_name = "URL", hide_env_values = true)]
    embeddings_url: Option<String>,
    /// Its key [default: none]
    #[arg(long, global = true, env = "CROUPIER_EMBEDDINGS_KEY", value_name = "KEY", hide_env_values = true)]
    embeddings_key: Option<String>,
    /// Most calls of it in a minute, by each process [default: 3000]
    #[arg(long, global = true, env = "CROUPIER_EMBEDDINGS_PER_MINUTE", value_name = "COUNT")]
    embeddings_per_minute: Option<String>,
    /// Milliseconds a decision waits for its stores before it falls back to its draw [default: 1000]
    #[arg(long, global = true, env = "CROUPIER_DECIDE_TIMEOUT_MS", value_name = "MS")]
    decide_timeout_ms: Option<String>,
    /// What is logged: error, warn, info, debug or a filter [default: info]
    #[arg(long, global = true, env = "CROUPIER_LOG", value_name = "FILTER")]
    log: Option<String>,
    /// How a line of the log is written: text or json [default: text]
    #[arg(long, global = true, env = "CROUPIER_LOG_FORMAT", value_name = "FORMAT")]
    log_format: Option<String>,
    /// Seconds in which it still answers, but says that it is not ready, before it stops [default: 0]
    #[arg(long, global = true, env = "CROUPIER_DRAIN_SECONDS", value_name = "SECONDS")]
    drain_seconds: Option<String>,
    /// Where spans of requests are sent by OTLP over HTTP, as http://127.0.0.1:4318 [default: nowhere]
    #[arg(long, global = true, env = "CROUPIER_OTLP_ENDPOINT", value_name = "URL", hide_env_values = true)]
    otlp_endpoint: Option<String>,
    /// Share of requests whose spans are sent, if their caller does not say [default: 0.01]
    #[arg(long, global = true, env = "CROUPIER_TRACE_SAMPLE", value_name = "SHARE")]
    trace_sample: Option<String>,
    #[command(flatten)]
    trusted: TrustedArgs,
}

impl SettingArgs {
    fn given(&self) -> impl Iterator<Item = (&'static str, &Option<String>)> {
        let own = [
            ("data", &self.data),
            ("state", &self.state),
            ("events", &self.events),
            ("database", &self.database),
            ("spool", &self.spool),
            ("spool_mb", &self.spool_mb),
            ("retention_days", &self.retention_days),
            ("durability", &self.durability),
            ("listen", &self.listen),
            ("admin_listen", &self.admin_listen),
            ("metrics_listen", &self.metrics_listen),
            ("connections", &self.connections),
            ("idle_seconds", &self.idle_seconds),
            ("interval_minutes", &self.interval_minutes),
            ("cached_assignments", &self.cached_assignments),
            ("catalogs_mb", &self.catalogs_mb),
            ("catalogs_file", &self.catalogs_file),
            ("lists_threads", &self.lists_threads),
            ("lists_percent", &self.lists_percent),
            ("models", &self.models),
            ("embeddings_url", &self.embeddings_url),
            ("embeddings_key", &self.embeddings_key),
            ("embeddings_per_minute", &self.embeddings_per_minute),
            ("decide_timeout_ms", &self.decide_timeout_ms),
            ("log", &self.log),
            ("log_format", &self.log_format),
            ("drain_seconds", &self.drain_seconds),
            ("otlp_endpoint", &self.otlp_endpoint),
            ("trace_sample", &self.trace_sample),
        ];
        own.into_iter().chain(self.trusted.given())
    }

    /// The same with everything in one directory, the one that is named or else `scratch`: the demo must not write into
    /// stores that other settings speak of.
    pub(crate) fn all_in_one(&self, scratch: &Path) -> Self {
        let dir = self.data.clone().unwrap_or_else(|| scratch.display().to_string());
        Self {
            state: Some(format!("file:{dir}")),
            events: Some(format!("file:{dir}")),
            database: Some(format!("sqlite:{dir}/croupier.db")),
            data: Some(dir),
            // Its visitors and its shop speak to one address.
            admin_listen: Some(String::new()),
            ..self.clone()
        }
    }
}

/// Settings, checked.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) locations: Locations,
    pub(crate) listen: SocketAddr,
    /// Where admin routes, dashboard and metrics are, if not there.
    pub(crate) admin_listen: Option<SocketAddr>,
    /// Where metrics are of a process that answers nothing else.
    pub(crate) metrics_listen: Option<SocketAddr>,
    pub(crate) bounds: Bounds,
    pub(crate) interval_minutes: u32,
    /// Days after which decisions and events are let go of; 0 keeps them.
    pub(crate) retention_days: u32,
    pub(crate) cached_assignments: usize,
    /// Where catalogs are saved for a quicker start.
    pub(crate) catalogs_file: CatalogsFile,
    pub(crate) lists_pace: Pace,
    pub(crate) catalog_bytes: usize,
    /// Where models are, a folder each.
    pub(crate) models: PathBuf,
    /// The service that makes vectors of texts, if there is one.
    pub(crate) embeddings: Option<EndpointSettings>,
    pub(crate) decide_timeout: Duration,
    pub(crate) trusted: Trusted,
    pub(crate) log: String,
    pub(crate) log_format: LogFormat,
    /// How long it answers on after it says that it is not ready any more.
    pub(crate) drain: Duration,
    /// Where spans are sent, if anywhere.
    pub(crate) otlp_endpoint: Option<String>,
    /// Share of requests that spans are sent of.
    pub(crate) trace_sample: f64,
}

impl Settings {
    pub(crate) fn load(args: &SettingArgs) -> Result<Self, Failure> {
        let mut values = table(DEFAULTS, "the defaults")?;
        let (path, named) = args.config.as_ref().map_or((FILE, false), |p| (p.as_str(), true));
        match std::fs::read_to_string(path) {
            Ok(text) => read_into(&mut values, &text, path)?,
            Err(e) if named || e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::unusable("config", path, &format!("cannot be read: {e}")));
            }
            Err(_) => {}
        }
        for (name, value) in args.given() {
            if let Some(value) = value {
                values.insert(name.into(), value.clone());
            }
        }
        Self::check(&values)
    }

    pub(crate) fn check(values: &BTreeMap<String, String>) -> Result<Self, Failure> {
        let text = |name: &str| values.get(name).cloned().unwrap_or_default();
        let data = text("data");
        if data.is_empty() {
            return Err(Failure::unusable("data", "", "must be a directory, as ./data"));
        }
        let or = |name: &str, default: String| values.get(name).cloned().unwrap_or(default);
        let durability = match text("durability").as_str() {
            "sync" => Durability::Sync,
            "os" => Durability::Os,
            other => return Err(Failure::unusable("durability", other, "must be 'sync' or 'os'")),
        };
        Ok(Self {
            locations: Locations {
                state: or("state", format!("file:{data}")),
                events: or("events", format!("file:{data}")),
                database: or("database", format!("sqlite:{data}/croupier.db")),
                durability,
                spool: or("spool", format!("{data}/spool")).into(),
                spool_bytes: parse("spool_mb", &text("spool_mb"), "must be 1 to 1000000", |n: &u64| {
                    (1..=1_000_000).contains(n)
                })? << 20,
                bigtable_emulator: emulator("BIGTABLE_EMULATOR_HOST"),
                pubsub_emulator: emulator("PUBSUB_EMULATOR_HOST"),
            },
            retention_days: parse("retention_days", &text("retention_days"), "must be 0 (keep) or 2 to 36500", |n| {
                *n == 0 || (2..=36_500).contains(n)
            })?,
            listen: parse("listen", &text("listen"), "must be ADDRESS:PORT, as 127.0.0.1:8080", |_| true)?,
            admin_listen: address("admin_listen", &text("admin_listen"))?,
            metrics_listen: address("metrics_listen", &text("metrics_listen"))?,
            bounds: Bounds {
                connections: parse("connections", &text("connections"), "must be 1 to 1000000", |n| {
                    (1..=1_000_000).contains(n)
                })?,
                idle: Duration::from_secs(parse("idle_seconds", &text("idle_seconds"), "must be 1 to 3600", |n| {
                    (1..=3_600).contains(n)
                })?),
            },
            interval_minutes: parse("interval_minutes", &text("interval_minutes"), "must be 1 to 1440", |n| {
                (1..=1440).contains(n)
            })?,
            cached_assignments: parse(
                "cached_assignments",
                &text("cached_assignments"),
                "must be 1000 to 100000000",
                |n| (1_000..=100_000_000).contains(n),
            )?,
            catalogs_file: match values.get("catalogs_file") {
                Some(file) => CatalogsFile::Shared(file.into()),
                None => CatalogsFile::Own(Path::new(&data).join("catalogs.snapshot")),
            },
            lists_pace: Pace {
                threads: parse("lists_threads", &text("lists_threads"), "must be 0 (one for each core) to 256", |n| {
                    (0..=256).contains(n)
                })?,
                percent: parse("lists_percent", &text("lists_percent"), "must be 1 to 100", |n| (1..=100).contains(n))?,
            },
            catalog_bytes: parse("catalogs_mb", &text("catalogs_mb"), "must be 1 to 1000000", |n: &usize| {
                (1..=1_000_000).contains(n)
            })? << 20,
            models: or("models", format!("{data}/models")).into(),
            embeddings: embeddings(text)?,
            decide_timeout: Duration::from_millis(parse(
                "decide_timeout_ms",
                &text("decide_timeout_ms"),
                "must be 1 to 60000",
                |n| (1..=60_000).contains(n),
            )?),
            trusted: Trusted::check(values)?,
            log: text("log"),
            log_format: match text("log_format").as_str() {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                other => return Err(Failure::unusable("log_format", other, "must be 'text' or 'json'")),
            },
            drain: Duration::from_secs(parse("drain_seconds", &text("drain_seconds"), "must be 0 to 600", |n| {
                *n <= 600
            })?),
            otlp_endpoint: otlp(text("otlp_endpoint"))?,
            trace_sample: parse("trace_sample", &text("trace_sample"), "must be 0 to 1", |n| (0.0..=1.0).contains(n))?,
        })
    }
}

/// Puts a file's settings in place of the defaults.
pub(crate) fn read_into(values: &mut BTreeMap<String, String>, text: &str, file: &str) -> Result<(), Failure> {
    let known: Vec<String> = values.keys().cloned().chain(DERIVED.map(str::to_owned)).collect();
    for (name, value) in table(text, file)? {
        if !known.contains(&name) {
            // Its value may be a secret under a name that is misspelt.
            let why = format!("in {file}: no such setting; there are {}", known.join(", "));
            return Err(Failure::unusable(&name, "…", &why));
        }
        values.insert(name, value);
    }
    Ok(())
}

pub(crate) fn parse<T: FromStr>(name: &str, value: &str, may_be: &str, ok: impl Fn(&T) -> bool) -> Result<T, Failure> {
    value.parse().ok().filter(ok).ok_or_else(|| Failure::unusable(name, value, may_be))
}

/// An address that need not be given.
fn address(name: &str, given: &str) -> Result<Option<SocketAddr>, Failure> {
    let may_be = "must be ADDRESS:PORT, as 127.0.0.1:9090, or empty";
    if given.is_empty() { Ok(None) } else { parse(name, given, may_be, |_| true).map(Some) }
}

/// The service that makes vectors of texts. Its key is in no message.
fn embeddings(text: impl Fn(&str) -> String) -> Result<Option<EndpointSettings>, Failure> {
    let (url, key) = (text("embeddings_url"), text("embeddings_key"));
    let calls = text("embeddings_per_minute");
    let calls_per_minute =
        parse("embeddings_per_minute", &calls, "must be 1 to 1000000", |n: &NonZeroU32| n.get() <= 1_000_000)?;
    if url.is_empty() {
        return Ok(None);
    }
    if !(url.starts_with("http://") || url.starts_with("https://")) {
        return Err(Failure::unusable("embeddings_url", &store::public(&url), "must be http://… or https://…"));
    }
    let key = Some(key).filter(|key| !key.is_empty());
    Ok(Some(EndpointSettings { key, calls_per_minute, ..EndpointSettings::new(url) }))
}

/// Where spans are sent. A key in the address would be in each line about it.
fn otlp(url: String) -> Result<Option<String>, Failure> {
    let scheme = url.starts_with("http://") || url.starts_with("https://");
    if !url.is_empty() && (!scheme || url.contains(['@', '?', '#'])) {
        let why =
            "must be http://HOST:PORT, without a name or a password: those belong into OTEL_EXPORTER_OTLP_HEADERS";
        return Err(Failure::unusable("otlp_endpoint", &store::public(&url), why));
    }
    Ok(Some(url).filter(|url| !url.is_empty()))
}

/// The variables that Google's own tools know.
fn emulator(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|address| !address.is_empty())
}

/// A file's settings as text, whatever their type: those of a table with its name before them, lists with commas.
pub(crate) fn table(text: &str, file: &str) -> Result<BTreeMap<String, String>, Failure> {
    let table: toml::Table = toml::from_str(text).map_err(|e| {
        let line = e.span().map_or(1, |s| text[..s.start.min(text.len())].lines().count().max(1));
        Failure::unusable("config", file, &format!("line {line}: {}", e.message()))
    })?;
    let mut all = BTreeMap::new();
    for (name, value) in table {
        match value {
            toml::Value::Table(inner) => all.extend(inner.iter().map(|(key, v)| (format!("{name}.{key}"), plain(v)))),
            other => drop(all.insert(name, plain(&other))),
        }
    }
    Ok(all)
}

fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_defaults_are_the_defaults() {
        let s = Settings::check(&table(DEFAULTS, "defaults").unwrap()).unwrap();
        assert_eq!(s.locations.database, "sqlite:./data/croupier.db");
        assert_eq!((s.listen.to_string().as_str(), s.interval_minutes), ("127.0.0.1:8080", 60));
    }

    #[test]
    fn a_bad_setting_is_one_line_that_says_which_what_and_what_instead() {
        for (name, value) in [
            ("listen", "everywhere"),
            ("admin_listen", "9090"),
            ("metrics_listen", "everywhere"),
            ("connections", "0"),
            ("idle_seconds", "0"),
            ("interval_minutes", "0"),
            ("interval_minutes", "1.5"),
            ("durability", "maybe"),
            ("cached_assignments", "-1"),
            ("catalogs_mb", "0"),
            ("lists_threads", "-1"),
            ("lists_percent", "0"),
            ("decide_timeout_ms", ""),
            ("spool_mb", "0"),
            ("embeddings_url", "api.openai.com"),
            ("embeddings_per_minute", "0"),
            ("retention_days", "1"),
            ("data", ""),
            ("log_format", "xml"),
            ("drain_seconds", "601"),
            ("otlp_endpoint", "collector:4318"),
            ("trace_sample", "2"),
            ("dashboard.trusted_proxies", "everyone"),
            ("dashboard.trusted_proxies", "0.0.0.0/0"),
            ("dashboard.trusted_header", "a b"),
            ("dashboard.trusted_role", "root"),
        ] {
            let mut values = table(DEFAULTS, "defaults").unwrap();
            values.insert(name.into(), value.into());
            let line = Settings::check(&values).unwrap_err().to_string();
            assert!(line.starts_with(&format!("{name} = '{value}': must be ")) && !line.contains('\n'), "{line}");
        }
    }
}
