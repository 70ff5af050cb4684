//! `croupier simulate` as an analyst uses it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use support::{croupier, finish};

fn simulate(args: &[&str]) -> (i32, String, String) {
    finish(croupier(&[&["simulate"], args].concat()))
}

fn answer(args: &[&str]) -> Value {
    let (code, out, err) = simulate(&[args, &["--format", "json"]].concat());
    assert_eq!(code, 0, "{args:?}: {err}");
    assert_eq!(err, "", "no bar without a terminal");
    serde_json::from_str(&out).unwrap()
}

fn file(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn small() -> Value {
    json!({"name": "small", "days": 3, "trials_per_hour": 20, "arms": 3, "phases": [{"rates": {"beta": [5, 45]}}]})
}

fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/environments");
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

#[test]
fn programs_get_every_number_and_the_same_for_the_same_seeds() {
    let dir = tempfile::tempdir().unwrap();
    let env = file(dir.path(), "small.json", &small().to_string());
    let policy = file(dir.path(), "policy.json", r#"{"kind": "top_two_thompson", "leader_share": 0.7}"#);
    let at = format!("@{policy}");
    let args =
        [&*env, "--seeds", "4", "--policy", "thompson", "--policy", r#"{"kind":"epsilon_greedy","epsilon":0.2}"#];
    let args = [&args[..], &["--policy", &at]].concat();
    let found = answer(&args);
    assert_eq!(found, answer(&args), "equal seeds, equal numbers");

    assert_eq!(found["environment"], "small");
    assert_eq!((&found["days"], &found["trials"], &found["seeds"]), (&json!(3), &json!(1440), &json!(4)));
    let all = found["simulations"].as_array().unwrap();
    let names: Vec<&str> = all.iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["thompson", r#"{"kind":"epsilon_greedy","epsilon":0.2}"#, &at]);
    assert_eq!(all[1]["policy"]["epsilon"], 0.2);
    assert_eq!(all[2]["policy"]["leader_share"], 0.7);
    assert!(all[0]["difference"].is_null());
    for s in all {
        let runs = s["runs"].as_array().unwrap();
        assert_eq!(runs.iter().map(|r| r["seed"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 1, 2, 3]);
        let ends: Vec<f64> = runs.iter().map(|r| r["regret_by_day"][2].as_f64().unwrap()).collect();
        let mean = ends.iter().sum::<f64>() / 4.0;
        assert!((s["regret"].as_f64().unwrap() - mean).abs() < 1e-9);
        assert!(s["regret_se"].as_f64().unwrap() > 0.0, "rates differ by seed");
        let rewards: u64 = runs.iter().map(|r| r["rewards"].as_u64().unwrap()).sum();
        assert!((s["reward_rate"].as_f64().unwrap() - rewards as f64 / 5760.0).abs() < 1e-12);
    }
    let apart = all[1]["regret"].as_f64().unwrap() - all[0]["regret"].as_f64().unwrap();
    assert!((all[1]["difference"]["mean"].as_f64().unwrap() - apart).abs() < 1e-9);
    assert!(all[1]["difference"]["se"].as_f64().unwrap() > 0.0);

    let fewer = answer(&[&env, "--seeds", "2", "--policy", "thompson"]);
    assert_eq!(fewer["simulations"][0]["runs"].as_array().unwrap()[..], all[0]["runs"].as_array().unwrap()[..2]);
}

#[test]
fn people_get_a_table_and_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let env = file(dir.path(), "small.json", &small().to_string());
    let (code, out, err) = simulate(&[&env, "--seeds", "3"]);
    assert_eq!((code, &*err), (0, ""));
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "small: 1440 trials of 3 arms over 3 days, 3 seeds");
    assert!(lines[2].starts_with("policy ") && lines[2].ends_with("against recommended"), "{out}");
    assert!(lines[3].starts_with("recommended ") && lines[3].contains(" ± ") && lines[3].ends_with('%'), "{out}");
    assert!(lines[4].starts_with("thompson ") && lines[4].matches(" ± ").count() == 2, "{out}");
    let sentence = lines[6];
    assert!(sentence.starts_with("thompson ") && sentence.contains(" recommended "), "{out}");

    let (code, out, _) = simulate(&[&env, "--seeds", "1"]);
    assert_eq!(code, 0);
    assert!(!out.contains(" ± ") && out.contains("one seed has no standard error"), "{out}");
}

#[test]
fn the_recommended_policy_is_one_set_of_settings() {
    let dir = tempfile::tempdir().unwrap();
    let env = file(dir.path(), "small.json", &small().to_string());
    let all = answer(&[&env, "--seeds", "1"]);
    let recommended = json!({"kind": "thompson", "floor": 0.0, "pooling": "hierarchical", "on_change": "forget",
        "pace_rewards": 100.0, "posterior_scale": 0.8});
    assert_eq!(all["simulations"][0]["policy"], recommended);
    assert_eq!(all["simulations"][1]["policy"], json!({"kind": "thompson", "floor": 0.0, "pooling": "none"}));
}

#[test]
fn every_example_runs() {
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<String> = examples().iter().map(|p| p.file_name().unwrap().to_string_lossy().into()).collect();
    assert_eq!(names, ["contextual.json", "many-items.json", "steady.json", "switching.json"]);
    for path in examples() {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut env: Value = serde_json::from_str(&text).unwrap();
        assert!(env["about"].as_str().is_some_and(|about| about.len() > 40), "{}", path.display());
        assert_eq!(env["name"].as_str(), path.file_stem().unwrap().to_str());
        // As it is, it can be used; so can it when it is short.
        let whole: bandit::simulate::Environment = serde_json::from_str(&text).unwrap();
        whole.check().unwrap();
        env["days"] = json!(2);
        env["trials_per_hour"] = json!(10);
        let short = file(dir.path(), "short.json", &env.to_string());
        let found = answer(&[&short, "--seeds", "2"]);
        let kind = if env["name"] == "contextual" { "logistic_thompson" } else { "thompson" };
        assert_eq!(found["simulations"][0]["policy"]["kind"], kind);
        assert!(
            found["simulations"][0]["runs"][0]["regret_by_day"] != found["simulations"][0]["runs"][1]["regret_by_day"]
        );
    }
}

/// What `change` makes of the small environment.
fn changed(change: impl FnOnce(&mut Value)) -> String {
    let mut env = small();
    change(&mut env);
    env.to_string()
}

#[test]
fn what_cannot_be_used_is_said_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let cases = [
        (changed(|e| e["colour"] = json!(1)), "colour: unknown field"),
        (changed(|e| e["phases"][0]["rates"] = json!({"arms": [0.1, 0.2]})), "phases[0].rates: must be one rate"),
        (changed(|e| e["phases"][0]["rates"] = json!({"arms": [0.1, 0.2, 1.5]})), "phases[0].rates: must be one rate"),
        (changed(|e| e["phases"][0]["rates"] = json!({"beta": [1]})), "phases[0].rates.beta: invalid length"),
        (changed(|e| e["phases"][0]["rates"] = json!({"gamma": [1]})), "unknown variant `gamma`"),
        (
            changed(|e| {
                let effects = json!({"mean": 0, "segments": 0, "arms": 0, "both": 0, "other": 1});
                e["phases"][0]["rates"] = json!({ "effects": effects });
            }),
            "unknown field `other`",
        ),
        (changed(|e| e["phases"] = json!([])), "phases: must begin"),
        (changed(|e| e["days"] = json!(0)), "days: must be 1 to 3650, and is 0"),
        (changed(|e| e["days"] = json!(u32::MAX)), "days: must be 1 to 3650"),
        (changed(|e| e["days"] = json!(-1)), "days: invalid value"),
        (changed(|e| e["days"] = json!(1e300)), "days: invalid"),
        (changed(|e| e["trials_per_hour"] = json!(u32::MAX)), "trials_per_hour: days × 24"),
        (changed(|e| e["arms"] = json!(1_000_000_000)), "arms: must be 2 to 100"),
        (changed(|e| e["segments"] = json!([-1])), "segments: must be"),
        (changed(|e| e["name"] = json!("two\nlines")), "name: "),
        (changed(|e| drop(e.as_object_mut().unwrap().remove("arms"))), "missing field `arms`"),
        ("{\"days\": 3".into(), "EOF while parsing"),
        ("not json".into(), "expected ident at line 1"),
        (String::new(), "EOF while parsing"),
        (format!("{} true", small()), "trailing characters"),
        ("[".repeat(100_000), "invalid type: sequence"),
    ];
    for (text, reason) in cases {
        let env = file(dir.path(), "hostile.json", &text);
        let (code, out, err) = simulate(&[&env]);
        assert_eq!((code, &*out), (2, ""), "{reason}: {err}");
        assert_eq!(err.lines().count(), 1, "{err}");
        assert!(err.starts_with(&format!("croupier: {env}: ")) && err.contains(reason), "not '{reason}': {err}");
        assert!(err.len() < 600, "{err}");
    }
    std::fs::write(dir.path().join("hostile.json"), [0xff, 0xfe, 0]).unwrap();
    let (code, _, err) = simulate(&[&dir.path().join("hostile.json").display().to_string()]);
    assert!(code == 2 && err.contains("is not JSON") && err.lines().count() == 1, "{code} {err}");
}

#[test]
fn what_cannot_be_read_or_written_is_a_failure() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let env = file(dir.path(), "small.json", &small().to_string());
    let plot = at("no/such/plot.html");
    let policy = format!("@{}", at("none.json"));
    for (args, reason) in [
        (vec![at("none.json")], "none.json: cannot be read: No such file"),
        (vec![at("")], "cannot be read: Is a directory"),
        (vec![env.clone(), "--plot".into(), plot], "plot.html: cannot be written: No such file"),
        (vec![env, "--policy".into(), policy], "cannot be read: No such file"),
    ] {
        let (code, out, err) = simulate(&args.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!((code, &*out, err.lines().count()), (1, "", 1), "{err}");
        assert!(err.contains(reason), "not '{reason}': {err}");
    }
}

#[test]
fn policies_that_cannot_be_are_refused_before_any_run() {
    let dir = tempfile::tempdir().unwrap();
    let env = file(dir.path(), "small.json", &changed(|e| e["trials_per_hour"] = json!(50_000)));
    let list = file(dir.path(), "list.json", "\"thompson\"");
    for (policy, reason) in [
        ("nonsense", "must be recommended, a kind"),
        ("", "must be recommended, a kind"),
        ("{}}", "trailing characters"),
        (r#"{"kind":"thompson","colour":1}"#, "colour: unknown field"),
        (r#"{"kind":"thomson"}"#, "kind: unknown variant"),
        (r#"{"floor":0.5}"#, "policy.floor: "),
        ("logistic_thompson", "features: must name 1 to"),
        (r#"{"kind":"fixed","pace_rewards":1}"#, "policy.pace_rewards: belongs to"),
        (&format!("@{list}"), "not a policy: invalid type"),
    ] {
        let (code, out, err) = simulate(&[&env, "--policy", "thompson", "--policy", policy]);
        assert_eq!((code, &*out, err.lines().count()), (2, "", 1), "{policy}: {err}");
        assert!(err.starts_with("croupier: --policy '") && err.contains(reason), "not '{reason}': {err}");
    }
    for seeds in ["0", "10001", "-1", "x"] {
        assert_eq!(simulate(&[&env, &format!("--seeds={seeds}")]).0, 2, "--seeds {seeds}");
    }
}

#[test]
fn a_plot_is_one_page_with_every_policy() {
    let dir = tempfile::tempdir().unwrap();
    let env = file(dir.path(), "small.json", &changed(|e| e["about"] = json!("a </script> & more")));
    let plot = file(dir.path(), "plot.html", &"old ".repeat(3_000_000));
    let (code, out, err) = simulate(&[&env, "--seeds", "3", "--plot", &plot]);
    assert_eq!((code, &*err), (0, ""), "{out}");
    let page = std::fs::read_to_string(&plot).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"), "nothing old is left");
    assert!(page.contains("plotly.js v") && !page.contains(" src=") && !page.contains("a </script>"));
    let figure = page.split_once("const figure = ").unwrap().1.split_once(";\n").unwrap().0;
    let figure: Value = serde_json::from_str(figure).unwrap();
    let traces = figure["data"].as_array().unwrap();
    let names: Vec<&str> = traces.iter().filter_map(|t| t["name"].as_str()).collect();
    assert_eq!(names, ["recommended", "thompson"]);
    assert_eq!(traces.len(), 6, "a mean and two edges of a band each");
    assert_eq!(traces[2]["x"], json!([0.0, 1.0, 2.0, 3.0]));
    let found = answer(&[&env, "--seeds", "3"]);
    let (regret, se) = (&found["simulations"][0]["regret"], &found["simulations"][0]["regret_se"]);
    assert_eq!(&traces[2]["y"][3], regret);
    let edge = regret.as_f64().unwrap() + 2.0 * se.as_f64().unwrap();
    assert!((traces[1]["y"][3].as_f64().unwrap() - edge).abs() < 1e-9);
    assert_eq!(figure["layout"]["xaxis"]["title"]["text"], "Time since the start (days)");
    assert_eq!(figure["layout"]["yaxis"]["title"]["text"], "Cumulative regret (rewards missed)");
}
