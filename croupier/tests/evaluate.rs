//! `croupier evaluate` as an analyst uses it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use bandit::{DecisionId, DecisionRecord, Event, Source, UserEvent, UserEventKind};
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use support::{croupier, finish};

fn shared(path: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(path);
    if path.exists() {
        return Some(path.display().to_string());
    }
    eprintln!("NOT RUN: reference data are absent ({})", path.display());
    None
}

fn evaluate(args: &[&str]) -> (i32, String, String) {
    finish(croupier(&[&["evaluate"], args].concat()))
}

fn answer(args: &[&str]) -> Value {
    let (code, out, err) = evaluate(&[args, &["--format", "json"]].concat());
    assert_eq!(code, 0, "{args:?}: {err}");
    serde_json::from_str(&out).unwrap()
}

fn file(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn estimate<'a>(answer: &'a Value, policy: usize, estimator: &str) -> &'a Value {
    let all = answer["policies"][policy]["estimates"].as_array().unwrap();
    all.iter().find(|e| e["estimator"] == estimator).unwrap_or_else(|| panic!("no {estimator} in {answer}"))
}

const NAMES: [(&str, &str); 8] = [
    ("ips", "IPW"),
    ("clipped_ips", "IPW_clip5"),
    ("snips", "SNIPW"),
    ("dm", "DM/q_tab"),
    ("dr", "DR/q_tab"),
    ("sndr", "SNDR/q_tab"),
    ("switch_dr", "SwitchDR_lambda5/q_tab"),
    ("dr_os", "DRos_lambda5/q_tab"),
];

#[test]
fn open_bandit_logs_give_the_reference_s_values() {
    let (Some(random), Some(bts), Some(raw), Some(shares), Some(values)) = (
        shared("reference/obp/rows_random_men.csv.gz"),
        shared("reference/obp/rows_bts_men.csv.gz"),
        shared("data/obd/bts-men.csv.gz"),
        shared("reference/obp/action_dist_men.csv"),
        shared("reference/obp/obp.json"),
    ) else {
        return;
    };
    let values: Value = serde_json::from_str(&std::fs::read_to_string(values).unwrap()).unwrap();
    let rows = "arm=item_id,reward=click,propensity=pscore,context.position=position";
    let own = "arm=item_id,reward=click,propensity=propensity_score,at=timestamp,context.position=position";
    for (log, map, policy, behaviour) in [
        (&random, rows, format!("file:{shares}"), "random"),
        (&bts, rows, "uniform".into(), "bts"),
        (&raw, own, "uniform".into(), "bts"),
    ] {
        let found = answer(&[log, "--map", map, "--policy", &policy, "--folds", "1", "--resamples", "0"]);
        let results = values["results"].as_array().unwrap();
        let want = &results.iter().find(|r| r["behavior_policy"] == behaviour).unwrap()["estimates"];
        for (own, name) in NAMES {
            let got = estimate(&found, 0, own);
            for (field, reference) in [("value", "value"), ("se", "se")] {
                let off = got[field].as_f64().unwrap() - want[name][reference].as_f64().unwrap();
                assert!(off.abs() <= 1e-9, "{log} {name} {field}: off by {off:e}");
            }
            for side in 0..2 {
                let off =
                    got["normal_interval"][side].as_f64().unwrap() - want[name]["normal95"][side].as_f64().unwrap();
                assert!(off.abs() <= 1e-9, "{log} {name} interval: off by {off:e}");
            }
        }
        let policy = &found["policies"][0];
        assert_eq!((&policy["trustworthy"], &found["log"]["trials"]), (&json!(true), &json!(10_000)));
        assert!(estimate(&found, 0, "dm")["caveat"].as_str().unwrap().contains("ignores the error"));
    }
    // A column of probabilities gives the same without a model.
    let found = answer(&[&random, "--map", rows, "--policy", "column:pi_e", "--resamples", "100"]);
    let off = estimate(&found, 0, "snips")["value"].as_f64().unwrap() - 0.004_612_410_705_303_733;
    assert!(off.abs() < 1e-9 && found["policies"][0]["estimates"].as_array().unwrap().len() == 3, "{found}");
    // A rule that learns from the raw log, and its uniform rival.
    let found = answer(&[&raw, "--map", own, "--policy", "thompson", "--policy", "uniform", "--resamples", "100"]);
    assert!(found["policies"][0]["support"]["effective_sample_size"].as_f64().unwrap() > 50.0, "{found}");
}

/// A log of a uniform draw between two arms, in which `b` is better; one trial a minute.
fn trials(n: usize, reward: impl Fn(usize, &str) -> bool) -> String {
    let mut text = String::from("at,arm,reward,propensity,device\n");
    let start: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
    for i in 0..n {
        let (arm, device) = (["a", "b"][i * 7 % 10 / 5], ["m", "d"][i % 2]);
        let at = start + SignedDuration::from_mins(i64::try_from(i).unwrap());
        writeln!(text, "{at},{arm},{},0.5,{device}", u8::from(reward(i, arm))).unwrap();
    }
    text
}

fn better(i: usize, arm: &str) -> bool {
    (i % 97).is_multiple_of(if arm == "b" { 4 } else { 20 })
}

#[test]
fn an_effective_sample_of_two_is_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let mut text = String::from("arm,reward,propensity\n");
    for i in 0..10_000 {
        let propensity = if i % 5_000 == 99 { "1e-6" } else { "0.5" };
        writeln!(text, "{},{},{propensity}", ["a", "b"][i % 2], u8::from(i % 10 < 2)).unwrap();
    }
    let log = file(dir.path(), "log.csv", &text);
    let (code, out, _) = evaluate(&[&log, "--policy", "uniform", "--policy", "arm:a", "--resamples", "100"]);
    assert_eq!(code, 0);
    let first = out.split("policy arm:a").next().unwrap();
    assert!(first.contains("not estimable: effective sample size 2 of 10,000: at least 50 are needed"), "{out}");
    assert!(first.contains("--format json") && first.contains("holds with 95 %"), "{out}");
    for estimator in ["ips", "snips", "dm", "estimator"] {
        assert!(!first.contains(&format!("\n  {estimator}")), "a value is shown:\n{out}");
    }
    assert!(out.contains("uniform   not estimable"), "{out}");
    let found = answer(&[&log, "--policy", "uniform", "--resamples", "0"]);
    let policy = &found["policies"][0];
    assert_eq!(policy["trustworthy"], false);
    assert_eq!(policy["warnings"][0]["kind"], "few_effective_rows", "{policy}");
    assert!(policy["support"]["effective_sample_size"].as_f64().unwrap() < 3.0);
}

#[test]
fn unusable_logs_and_policies_are_one_clear_line() {
    let dir = tempfile::tempdir().unwrap();
    let log = |name: &str, text: &str| file(dir.path(), name, text);
    let good = log("good.csv", "arm,reward,propensity,share\na,1,0.5,0.5\nb,0,0.5,2\n");
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(trials(500, better).as_bytes()).unwrap();
    let mut packed = packed.finish().unwrap();
    packed.truncate(packed.len() / 2);
    std::fs::write(dir.path().join("cut.csv.gz"), packed).unwrap();
    let cut = dir.path().join("cut.csv.gz").display().to_string();
    let head = "arm,reward,propensity\n";
    for (file, policy, code, words) in [
        (log("column.csv", "arm,click,propensity\na,1,0.5\n"), "uniform", 1, "no column holds 'reward'"),
        (
            log("zero.csv", &format!("{head}a,1,0.5\nb,0,0\n")),
            "uniform",
            1,
            "line 3: propensity: '0' is not a number above 0",
        ),
        (log("nan.csv", &format!("{head}a,1,NaN\n")), "uniform", 1, "line 2: propensity: 'NaN'"),
        (log("minus.csv", &format!("{head}a,-1,0.5\n")), "uniform", 1, "line 2: reward: '-1'"),
        (log("ragged.csv", &format!("{head}a,1\n")), "uniform", 1, "line 2: has 2 values"),
        (log("arm.csv", &format!("{head},1,0.5\n")), "uniform", 1, "line 2: arm: is empty"),
        (log("empty.csv", ""), "uniform", 1, "has no two trials"),
        (log("empty.ndjson", ""), "uniform", 1, "has no two trials"),
        (log("head.csv", head), "uniform", 1, "has no two trials"),
        (
            log("bad.ndjson", "{\"arm\":\"a\",\"reward\":1,\"propensity\":0.5}\n{\"arm\":"),
            "uniform",
            1,
            "line 2: is not JSON",
        ),
        (log("bad.parquet", "PAR1"), "uniform", 1, "is not Parquet"),
        (log("log.txt", head), "uniform", 2, "say --input csv"),
        (cut, "uniform", 1, "cut.csv.gz: cannot be read"),
        ("/nowhere.csv".into(), "uniform", 1, "cannot be read"),
        (good.clone(), "arm:c", 2, "the log has no arm 'c'; it has a, b"),
        (good.clone(), "fixed:a=0.5", 2, "add up to 0.5"),
        (good.clone(), "fixed:a=x", 2, "fixed:NAME=SHARE"),
        (good.clone(), "nonsense", 2, "must be uniform, arm:NAME"),
        (good.clone(), "@/no/such/policy.json", 1, "cannot be read"),
        (good.clone(), r#"{"kind":"thomson"}"#, 2, "not a policy: kind: unknown variant"),
        (good.clone(), "{\"kind\":\"thompson\",\"flor\":1}", 2, "unknown field `flor`"),
        (good.clone(), "thompson", 2, "--map at=COLUMN"),
        (good.clone(), "column:pi", 2, "there is no column 'pi'"),
        (good.clone(), "column:share", 1, "line 3: column 'share': '2' is not a number from 0 to 1"),
        (good.clone(), "file:/nowhere.csv", 2, "cannot be read"),
        (good.clone(), &format!("file:{}", log("t.csv", "arm,probability\na,0.5\n")), 2, "add up to 0.5"),
        (
            good.clone(),
            &format!("file:{}", log("u.csv", "arm,device,probability\na,m,1\n")),
            2,
            "no attribute of the log",
        ),
    ] {
        let (found, out, err) = evaluate(&[&file, "--policy", policy]);
        assert_eq!((found, err.trim_end().lines().count(), out.as_str()), (code, 1, ""), "{file} {policy}: {err}{out}");
        assert!(err.contains(words), "{file} {policy}: {err}");
    }
    for flag in [["--floor", "0"], ["--clip", "NaN"], ["--max-reward=-1", "--exposed"], ["--map", "arm"]] {
        let (code, _, err) = evaluate(&[&[good.as_str(), "--policy", "uniform"], &flag[..]].concat());
        assert_eq!((code, err.trim_end().lines().count()), (2, 1), "{flag:?}: {err}");
    }
    assert_eq!(evaluate(&[&good]).0, 2, "a policy is needed");
    assert_eq!(evaluate(&["--policy", "uniform"]).0, 2, "a log is needed");
}

#[test]
fn learning_policies_know_nothing_of_the_hours_to_come() {
    let dir = tempfile::tempdir().unwrap();
    let n = 3_000;
    let log = file(dir.path(), "log.csv", &trials(n, better));
    let args = |log: &str| {
        answer(&[
            log,
            "--map",
            "context.device=device",
            "--resamples",
            "0",
            "--policy",
            "thompson",
            "--policy",
            "uniform",
            "--policy",
            "arm:b",
            "--policy",
            "fixed:a=0.2,b=0.8",
            "--policy",
            "{\"kind\":\"epsilon_greedy\",\"epsilon\":0.2}",
        ])
    };
    let found = args(&log);
    let value = |policy: usize| estimate(&found, policy, "snips")["value"].as_f64().unwrap();
    assert!(value(2) > value(0) && value(0) > value(3) && value(3) > value(1) && value(4) > value(1), "{found}");
    // With other rewards in its last hour, no trial's weight is another.
    let last = n - n % 60;
    let other = file(dir.path(), "other.csv", &trials(n, |i, arm| if i >= last { arm == "a" } else { better(i, arm) }));
    let earlier =
        file(dir.path(), "earlier.csv", &trials(n, |i, arm| if i < 600 { arm == "a" } else { better(i, arm) }));
    let weights = |found: &Value| found["policies"][0]["support"]["effective_sample_size"].clone();
    assert_eq!(weights(&found), weights(&args(&other)));
    assert_ne!(weights(&found), weights(&args(&earlier)), "it does not learn");
}

#[test]
fn the_platform_s_own_records_are_trials() {
    let dir = tempfile::tempdir().unwrap();
    let start: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
    let (mut events, mut warehouse, mut table) =
        (String::new(), String::new(), String::from("arm,reward,propensity\n"));
    for i in 0..400_u128 {
        let at = start + SignedDuration::from_mins(i64::try_from(i).unwrap());
        let (id, arm, user) =
            (DecisionId(i.to_be_bytes()), ["a", "b"][usize::try_from(i * 7 % 10 / 5).unwrap()], format!("u{i}"));
        let source = if i % 50 == 3 { Source::Paused } else { Source::Policy };
        let record = DecisionRecord {
            decision_id: id,
            experiment: "page".into(),
            user: user.clone(),
            item: Some("x".into()),
            day: "2026-03-01".parse().unwrap(),
            segment: "all".into(),
            features: None,
            arm: arm.into(),
            position: None,
            list: None,
            propensity: 0.5,
            posterior_version: 1,
            revision: 1,
            source,
            at,
        };
        let rewarded = i % 3 == 0;
        // Offered, then asked for, twice: one trial. What was offered and not seen is none.
        let unseen = DecisionRecord { decision_id: DecisionId((i + 1_000).to_be_bytes()), ..record.clone() };
        let mut lines = vec![Event::Offer(record.clone()), Event::Decision(record.clone()), Event::Decision(record)];
        lines.push(Event::Offer(DecisionRecord { user: "nobody".into(), ..unseen }));
        if i % 3 < 2 {
            // By id, or by user; late ones do not count.
            let late = if rewarded { 30 } else { 60 * 30 };
            lines.push(Event::User(UserEvent {
                id: format!("r{i}"),
                kind: UserEventKind::Reward,
                name: "buy".into(),
                user: Some(user),
                item: Some("x".into()),
                decision_id: (i % 2 == 0).then_some(id),
                experiment: None,
                value: 1.0,
                at: at + SignedDuration::from_mins(late),
            }));
        }
        for event in lines {
            let mut line = serde_json::to_value(event).unwrap();
            writeln!(events, "{line}").unwrap();
            let object = line.as_object_mut().unwrap();
            let record = object.remove("record").unwrap();
            if record != "user" {
                object.insert("kind".into(), record);
                object.insert("id".into(), Value::Null);
            }
            writeln!(warehouse, "{line}").unwrap();
        }
        if source == Source::Policy {
            writeln!(table, "{arm},{},0.5", u8::from(rewarded)).unwrap();
        }
    }
    // A day and more later something happens, so that every window is closed.
    let view = json!({"record": "user", "id": "v", "kind": "view", "user": "u", "item": "x", "value": 1.0, "at": "2026-03-09T00:00:00Z"});
    let reward = json!({"record": "user", "id": "z", "kind": "reward", "name": "buy", "user": "nobody", "value": 1.0, "at": "2026-03-09T00:00:00Z"});
    for text in [&mut events, &mut warehouse] {
        writeln!(text, "{view}\n{reward}").unwrap();
    }
    let same = ["--policy", "fixed:a=0.3,b=0.7", "--resamples", "0", "--folds", "1"];
    let of = |log: &str| answer(&[&[log], &same[..]].concat());
    let want = of(&file(dir.path(), "table.csv", &table));
    for log in [file(dir.path(), "events.ndjson", &events), file(dir.path(), "bigquery.jsonl", &warehouse)] {
        let got = of(&log);
        assert_eq!(got["log"]["trials"], 392, "{got}");
        assert_eq!(got["policies"], want["policies"], "{log}");
    }
    // Without the last line, windows of the last day are open, and everything happened within it.
    let open = events.lines().filter(|l| !l.contains("\"v\"") && !l.contains("\"z\"")).collect::<Vec<_>>().join("\n");
    let (code, _, err) = evaluate(&[&[file(dir.path(), "open.ndjson", &open).as_str()], &same[..]].concat());
    assert!(code == 1 && err.contains("their rewards may still come") || code == 0, "{err}");
    let lists = events.replace("\"segment\":", "\"position\":0,\"list\":\"cd\",\"segment\":");
    let (code, _, err) = evaluate(&[&[file(dir.path(), "lists.ndjson", &lists).as_str()], &same[..]].concat());
    assert!(code == 1 && err.contains("experiment 'page' orders lists"), "{err}");
    let two =
        events.clone() + &events.replace("\"page\"", "\"other\"").replace("\"decision_id\":\"0", "\"decision_id\":\"1");
    let (code, _, err) = evaluate(&[&[file(dir.path(), "two.ndjson", &two).as_str()], &same[..]].concat());
    assert!(code == 1 && err.contains("'other', 'page'") && err.contains("--experiment"), "{err}");
}

#[test]
fn an_experiment_is_evaluated_from_the_database() {
    let dir = tempfile::tempdir().unwrap();
    let log = file(dir.path(), "log.csv", &trials(2_000, better));
    let data = dir.path().join("data").display().to_string();
    let map = ["--map", "context.device=device"];
    let import = ["import", &log, "--experiment", "page", "--name", "one", "--create", "--data", &data];
    let (code, _, err) = finish(croupier(&[&import[..], &map].concat()));
    assert_eq!(code, 0, "{err}");
    let same = ["--policy", "arm:b", "--policy", "thompson", "--resamples", "100", "--folds", "1"];
    let stored = answer(&[&["--experiment", "page", "--data", &data], &same[..]].concat());
    let read = answer(&[&[log.as_str()], &map[..], &same[..]].concat());
    assert_eq!(stored["policies"], read["policies"]);
    let (code, _, err) = evaluate(&["--experiment", "nothing", "--data", &data, "--policy", "uniform"]);
    assert!(code == 1 && err.contains("experiment 'nothing' does not exist"), "{err}");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let stores = store::open(&store::Locations::in_dir(std::path::Path::new(&data))).await.unwrap();
        let shelf = json!({"id": "shelf", "candidates": {"catalog": "shop"}, "reward": {"event": "click"}});
        let change =
            store::Change { who: "test".into(), why: String::new(), at: Timestamp::UNIX_EPOCH, request: String::new() };
        stores.experiments.create(&serde_json::from_value(shelf).unwrap(), &change).await.unwrap();
    });
    drop(runtime);
    let (code, _, err) = evaluate(&["--experiment", "shelf", "--data", &data, "--policy", "uniform"]);
    assert!(code == 1 && err.contains("experiment 'shelf' orders lists") && err.lines().count() == 1, "{err}");
}

/// The estimates of the dashboard's page on the experiment.
#[tokio::main(flavor = "current_thread")]
async fn what_if(data: &Path, query: &str) -> Vec<Value> {
    let server = support::Server::start(data, &[]);
    let page = format!("/dashboard/experiments/page/what-if?table=estimates&as=json&{query}");
    serde_json::from_value(server.get(&page).await).unwrap()
}

#[test]
fn the_dashboard_says_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let log = file(dir.path(), "log.csv", &trials(2_000, better));
    let data = dir.path().join("data");
    let at = data.display().to_string();
    let import = ["import", &log, "--experiment", "page", "--name", "one", "--create", "--data", &at];
    let (code, _, err) = finish(croupier(&[&import[..], &["--map", "context.device=device"]].concat()));
    assert_eq!(code, 0, "{err}");
    let policies = ["uniform", "recommended", "arm:b", "thompson", "fixed:a=0.9,b=0.1"];
    let given: Vec<&str> = policies.iter().flat_map(|p| ["--policy", *p]).collect();
    let told = answer(&[&["--experiment", "page", "--data", &at, "--resamples", "0"], &given[..]].concat());
    let shown = what_if(&data, "estimator=snips&policy=thompson&policy=fixed%3Aa%3D0.9%2Cb%3D0.1");
    for (n, policy) in policies.iter().enumerate() {
        let (row, here) = (shown.iter().find(|r| r["policy"] == *policy).unwrap(), estimate(&told, n, "snips"));
        assert_eq!(row["estimate"], here["value"], "{policy}");
        assert_eq!([&row["interval_low"], &row["interval_high"]], [0, 1].map(|i| &here["normal_interval"][i]));
        assert_eq!(row["trustworthy"], told["policies"][n]["trustworthy"], "{policy}");
        assert_eq!(row["effective_sample_size"], told["policies"][n]["support"]["effective_sample_size"]);
        assert_eq!(row["logged_rate"], told["log"]["mean_reward"]);
    }
}

#[test]
fn one_log_gives_the_same_bytes_whatever_the_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    let log = file(dir.path(), "log.csv", &trials(2_000, better));
    let on = |threads: &str| {
        let policies = ["--policy", "uniform", "--policy", "thompson", "--resamples", "50"];
        let mut command = croupier(&[&["evaluate", &log, "--format", "json"], &policies[..]].concat());
        command.env("TOKIO_WORKER_THREADS", threads);
        finish(command)
    };
    let one = on("1");
    assert_eq!(one.0, 0, "{}", one.2);
    assert_eq!(one, on("8"));
    assert_eq!(one, on("8"));
}

/// Yen and the like: values of many digits stay in columns of their own.
#[test]
fn large_rewards_do_not_run_together() {
    let dir = tempfile::tempdir().unwrap();
    let rows = (0..2_000).map(|i| format!("{},{},0.5\n", ["a", "b"][i % 2], if i % 7 == 0 { 12_345_678 } else { 0 }));
    let log = file(dir.path(), "yen.csv", &format!("arm,reward,propensity\n{}", rows.collect::<String>()));
    let (code, out, err) = evaluate(&[&log, "--policy", "arm:b", "--resamples", "50"]);
    assert_eq!(code, 0, "{err}");
    let lines: Vec<&str> = out.lines().skip_while(|l| !l.starts_with("  estimator")).take(9).collect();
    assert_eq!(lines.len(), 9, "{out}");
    let places = ["value", "95 % normal", "95 % bootstrap"].map(|title| lines[0].find(title).unwrap());
    for line in &lines[1..] {
        assert_eq!(line.split("  ").filter(|cell| !cell.trim().is_empty()).count(), 4, "{out}");
        assert!(
            places[1..].iter().all(|&place| line[..place].ends_with("  ") && !line[place..].starts_with(' ')),
            "{out}"
        );
    }
}
