//! The pipeline's parts, each asked by itself, so that one that is away does not hide the others.

use crate::app::App;
use crate::export::Sheet;
use crate::format::Num;
use crate::lang::{Lang, Phrase};
use crate::probe::{Asked, Health, ask};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use store::{DeadLetter, Replica, Run, RunKind, RunStatus, Stores};

/// Runs and dead letters of one page.
const RUNS: usize = 50;
const LETTERS: usize = 20;
/// Processes that are listed.
const REPLICAS: usize = 100;
/// Experiments whose newest versions are looked up.
const VERSIONS: usize = 50;
/// The name of the updater's lease.
const LEASE: &str = "updater";

/// What was answered.
pub(crate) struct Pipeline {
    pub(crate) database: Asked<u64>,
    pub(crate) state: Asked<()>,
    pub(crate) log: Asked<()>,
    pub(crate) backlog: Asked<Option<u64>>,
    pub(crate) holder: Asked<Option<String>>,
    pub(crate) runs: Asked<Vec<Run>>,
    pub(crate) replicas: Asked<Vec<Replica>>,
    pub(crate) letters: Asked<Vec<DeadLetter>>,
    /// Newest published versions.
    versions: Asked<BTreeMap<String, u64>>,
    /// What this process's own log says.
    trouble: Option<String>,
    more_runs: bool,
    more_letters: bool,
}

impl Pipeline {
    /// Asks for everything at once, for runs of one kind, if one is given, and for runs and letters before the given ones.
    pub(crate) async fn of(app: &App, kind: Option<RunKind>, before: Option<i64>, letters: Option<i64>) -> Self {
        let s = &app.stores;
        let replicas = async {
            let replicas = ask("replicas", s.replicas.replicas(REPLICAS)).await;
            let versions = ask("posterior versions", newest(s, replicas.answer.as_deref().unwrap_or_default())).await;
            (replicas, versions)
        };
        let (database, state, log, backlog, holder, mut runs, (replicas, versions), mut letters) = tokio::join!(
            ask("the database", s.experiments.changes()),
            ask("the state", s.assignments.check()),
            ask("the event log", s.events.check()),
            ask("the backlog", s.events.backlog()),
            ask("leases", s.leases.holder(LEASE)),
            ask("update runs", s.runs.latest_runs(kind, before, RUNS + 1)),
            replicas,
            ask("dead letters", s.outcomes.dead_letters(letters, LETTERS + 1)),
        );
        Self {
            more_runs: cut(&mut runs.answer, RUNS),
            more_letters: cut(&mut letters.answer, LETTERS),
            trouble: s.events.trouble(),
            database,
            state,
            log,
            backlog,
            holder,
            runs,
            replicas,
            letters,
            versions,
        }
    }

    /// The run before which the next page begins.
    pub(crate) fn older_runs(&self) -> Option<i64> {
        self.runs.answer.as_ref()?.last().filter(|_| self.more_runs).map(|run| run.id)
    }

    pub(crate) fn older_letters(&self) -> Option<i64> {
        self.letters.answer.as_ref()?.last().filter(|_| self.more_letters).map(|letter| letter.id)
    }

    /// Events in all spools.
    pub(crate) fn spooled(&self) -> u64 {
        self.replicas.answer.iter().flatten().filter_map(|r| r.report.spooled).sum()
    }

    /// Experiments whose newest posteriors a process does not decide from yet; none if it decides nothing, or nobody knows.
    pub(crate) fn behind(&self, replica: &Replica) -> Option<u64> {
        let (newest, own) = (self.versions.answer.as_ref()?, &replica.report.versions);
        replica.report.fresh_at?;
        Some(own.iter().filter(|(id, version)| newest.get(*id).is_some_and(|n| n > *version)).count() as u64)
    }
}

fn cut<T>(list: &mut Option<Vec<T>>, most: usize) -> bool {
    let Some(list) = list else { return false };
    let more = list.len() > most;
    list.truncate(most);
    more
}

async fn newest(stores: &Stores, replicas: &[Replica]) -> store::Result<BTreeMap<String, u64>> {
    let ids: BTreeSet<&String> = replicas.iter().flat_map(|r| r.report.versions.keys()).collect();
    let mut newest = BTreeMap::new();
    for id in ids.into_iter().take(VERSIONS) {
        newest.insert(id.clone(), stores.posteriors.latest_version(id).await?);
    }
    Ok(newest)
}

/// What is wrong and what to do about it, the worst first.
pub(crate) fn troubles(lang: Lang, p: &Pipeline) -> Vec<Phrase> {
    let mut said = Vec::new();
    let mut say = |phrase: Phrase| said.push(phrase);
    if p.database.health() == Health::Away {
        say(lang.say("The database does not answer: start it, or check its address; this page shows what can be known without it.", &[]));
    }
    if p.state.health() == Health::Away {
        say(lang.say("The state does not answer: decisions fall back to their draws. Check that it runs.", &[]));
    }
    if p.log.health() == Health::Away {
        say(lang.say("The event log takes nothing: look for a full disk in the server’s log, then restart it.", &[]));
    }
    let slow = [p.database.health(), p.state.health(), p.log.health()].contains(&Health::Slow);
    if slow {
        say(lang.say("A store answers slowly: see below which.", &[]));
    }
    if p.holder.answer == Some(None) {
        say(lang.say(
            "No updater is at work: posteriors stand still. Start one with {command}.",
            &[("command", "croupier updater".into())],
        ));
    }
    let newest = p.runs.answer.as_ref().and_then(|runs| runs.iter().find(|r| r.finished_at.is_some()));
    if let Some(run) = newest.filter(|r| r.status == RunStatus::Failed) {
        let id = Num::count(run.id.unsigned_abs());
        say(lang.say("Update {id} failed: its line below says why.", &[("id", (&id).into())]));
    }
    if p.replicas.answer.as_ref().is_some_and(Vec::is_empty) {
        say(lang.say("No process reports. One that has just started does within seconds; older versions do not.", &[]));
    }
    for replica in p.replicas.answer.iter().flatten() {
        let name = replica.name.as_str();
        let fallbacks = Num::count(replica.report.last_minute.fallbacks);
        if replica.report.last_minute.fallbacks > 0 {
            say(lang.say(
                "{name} fell back {n} times in the last minute: its stores are slow or away.",
                &[("name", name.into()), ("n", (&fallbacks).into())],
            ));
        }
        if replica.report.last_minute.refused > 0 {
            say(lang.say(
                "{name} refuses requests, since too much waits: add replicas, or faster disks.",
                &[("name", name.into())],
            ));
        }
        if let Some(trouble) = &replica.report.trouble {
            say(lang.say("{name}: {trouble}", &[("name", name.into()), ("trouble", trouble.as_str().into())]));
        }
    }
    if let (Some(trouble), true) = (&p.trouble, p.replicas.answer.as_ref().is_none_or(Vec::is_empty)) {
        say(lang.say("This process: {trouble}", &[("trouble", trouble.as_str().into())]));
    }
    said
}

/// Every table of the page; of a store that is away, nothing.
pub(crate) fn sheets(p: &Pipeline) -> Vec<Sheet> {
    let health = |h: Health| match h {
        Health::Ok => "ok",
        Health::Slow => "slow",
        Health::Away => "away",
    };
    let ms = |d: std::time::Duration| json!(u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
    let store = |name: &str, h: Health, took| vec![json!(name), json!(health(h)), ms(took)];
    vec![
        Sheet {
            name: "stores",
            columns: &["store", "health", "answer_ms"],
            rows: vec![
                store("database", p.database.health(), p.database.took),
                store("state", p.state.health(), p.state.took),
                store("events", p.log.health(), p.log.took),
            ],
        },
        Sheet {
            name: "runs",
            columns: &[
                "id",
                "kind",
                "catalog",
                "trigger",
                "status",
                "started_at",
                "finished_at",
                "duration_ms",
                "events_read",
                "decisions",
                "events",
                "set_aside",
                "recomputed",
                "published",
                "retries",
                "steps",
                "error",
            ],
            rows: p.runs.answer.iter().flatten().map(run_row).collect(),
        },
        Sheet {
            name: "replicas",
            columns: &[
                "name",
                "roles",
                "silent_ms",
                "started_at",
                "fresh_at",
                "experiments_behind",
                "decides_last_minute",
                "decides",
                "fallbacks_last_minute",
                "fallbacks",
                "refused_last_minute",
                "refused",
                "rejected_last_minute",
                "rejected",
                "spooled",
            ],
            rows: p.replicas.answer.iter().flatten().map(|r| replica_row(p, r)).collect(),
        },
        Sheet {
            name: "dead_letters",
            columns: &["id", "at", "reason", "body"],
            rows: p
                .letters
                .answer
                .iter()
                .flatten()
                .map(|l| vec![json!(l.id), json!(l.at), json!(l.reason), json!(l.body)])
                .collect(),
        },
    ]
}

fn run_row(r: &Run) -> Vec<Value> {
    let steps: Vec<String> = r.report.steps.iter().map(|s| format!("{} {} ms", s.name, s.duration_ms)).collect();
    let report = &r.report;
    vec![
        json!(r.id),
        json!(r.kind),
        json!(r.catalog),
        json!(r.trigger),
        json!(r.status),
        json!(r.started_at),
        json!(r.finished_at),
        json!(report.duration_ms),
        json!(report.events_read),
        json!(report.decisions),
        json!(report.events),
        json!(report.set_aside),
        json!(report.recomputed),
        json!(report.published),
        json!(report.retries),
        json!(steps.join("; ")),
        json!(report.error),
    ]
}

fn replica_row(p: &Pipeline, r: &Replica) -> Vec<Value> {
    let (minute, total) = (r.report.last_minute, r.report.total);
    vec![
        json!(r.name),
        json!(r.report.roles.join(" ")),
        json!(u64::try_from(r.silent.as_millis()).unwrap_or(u64::MAX)),
        json!(r.report.started_at),
        json!(r.report.fresh_at),
        json!(p.behind(r)),
        json!(minute.decides),
        json!(total.decides),
        json!(minute.fallbacks),
        json!(total.fallbacks),
        json!(minute.refused),
        json!(total.refused),
        json!(minute.rejected),
        json!(total.rejected),
        json!(r.report.spooled),
    ]
}
