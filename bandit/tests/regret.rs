//! Regret in the reference's environments, on its seeds, beside what other libraries reached there.
//!
//! `SEEDS` (at most 10) says how many seeds are run: a few by default, since all take minutes.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a test fails by panicking; counts are small")]

use bandit::PolicySpec;
use bandit::simulate::{Delay, Drift, Environment, Paired, Phase, Rates, SimulatedFeature};
use serde_json::Value;
use statrs::distribution::{ContinuousCDF, StudentsT};
use std::path::PathBuf;

fn read(name: &str) -> Option<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference").join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(_) => {
            eprintln!("NOT RUN: reference values are absent ({})", path.display());
            None
        }
    }
}

fn seeds(usual: u64) -> u64 {
    std::env::var("SEEDS").map_or(usual, |n| n.parse().unwrap())
}

fn policy(json: &str) -> PolicySpec {
    serde_json::from_str(json).unwrap()
}

/// An environment of the reference, with the parameters of one seed.
fn environment(reference: &Value, name: &str, seed: u64) -> Environment {
    let e = &reference["envs"][name];
    let number = |field: &str| u32::try_from(e[field].as_u64().unwrap()).unwrap();
    let parameters = &e["seeds"][seed.to_string()];
    let list = |v: &Value| serde_json::from_value::<Vec<f64>>(v.clone()).unwrap();
    let lists = |v: &Value| serde_json::from_value::<Vec<Vec<f64>>>(v.clone()).unwrap();
    let phase = |from_day, rates| Phase { from_day, drift: Drift::Abrupt, rates };
    let (mut segments, mut features) = (Vec::new(), Vec::new());
    let phases = match name {
        "stationary10" => vec![phase(0.0, Rates::Arms(list(&parameters["p"])))],
        "switching10" => {
            let weeks = lists(&parameters["p"]).into_iter().zip([0.0, 7.0, 14.0, 21.0, 28.0]);
            weeks.map(|(rates, day)| phase(day, Rates::Arms(rates))).collect()
        }
        "manyitems500x4" => {
            segments = (0..500).map(|i| (f64::from(i) + 10.0).powf(-0.7)).collect();
            vec![phase(0.0, Rates::Segments(lists(&parameters["p"])))]
        }
        "contextual6" => {
            let named = |(j, probability)| SimulatedFeature { name: format!("x{j}"), probability };
            features = [0.5, 0.4, 0.3, 0.2, 0.1].into_iter().enumerate().map(named).collect();
            vec![phase(0.0, Rates::Logit(lists(&parameters["theta"])))]
        }
        other => panic!("{other}"),
    };
    let environment = Environment {
        name: name.into(),
        about: String::new(),
        days: number("days"),
        trials_per_hour: number("per_hour"),
        update_hours: 1,
        window_hours: 72,
        arms: number("arms") as usize,
        segments,
        features,
        phases,
        delay: Delay { median_minutes: 20.0, sigma: 1.5 },
    };
    environment.check().unwrap();
    environment
}

struct Compared {
    ours: Paired,
    plain: Paired,
    /// Ours less the best of the reference.
    against_best: Paired,
    /// Ours less plain Thompson sampling.
    against_plain: Paired,
}

fn compare(name: &str, usual: u64) -> Option<Compared> {
    let (reference, regrets) = (read("environments.json")?, read("regret.json")?);
    let entries = regrets["environments"][name]["policies"].as_object().unwrap();
    let mean = |v: &Value| v["regret_mean"].as_f64().unwrap();
    let full = entries.iter().filter(|(_, v)| v["per_seed"].as_array().unwrap().len() == 10);
    let (best, values) = full.min_by(|a, b| mean(a.1).total_cmp(&mean(b.1))).unwrap();
    let theirs: Vec<f64> = serde_json::from_value(values["per_seed"].clone()).unwrap();
    let contextual = name == "contextual6";
    let run = |spec: &PolicySpec| -> Vec<f64> {
        let one = |seed| environment(&reference, name, seed).run(spec, seed).unwrap().regret();
        (0..seeds(usual)).map(one).collect()
    };
    let (ours, plain) = (run(&PolicySpec::recommended(contextual)), run(&PolicySpec::default()));
    let less = |a: &[f64], b: &[f64]| Paired::of(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<f64>>());
    let compared = Compared {
        against_best: less(&ours, &theirs),
        against_plain: less(&ours, &plain),
        ours: Paired::of(&ours),
        plain: Paired::of(&plain),
    };
    println!(
        "{name}: {:.1} ± {:.1}; less {best}: {:.1} ± {:.1}; less plain Thompson sampling ({:.1}): {:.1} ± {:.1}",
        compared.ours.mean,
        compared.ours.se.unwrap(),
        compared.against_best.mean,
        compared.against_best.se.unwrap(),
        compared.plain.mean,
        compared.against_plain.mean,
        compared.against_plain.se.unwrap()
    );
    Some(compared)
}

fn holds(name: &str, usual: u64) -> Option<Compared> {
    let compared = compare(name, usual)?;
    // Two standard errors, as Student's t widens them for few seeds.
    let two = StudentsT::new(0.0, 1.0, seeds(usual) as f64 - 1.0).unwrap().inverse_cdf(0.977);
    for (what, difference) in [("the best", compared.against_best), ("plain", compared.against_plain)] {
        assert!(difference.mean <= two * difference.se.unwrap(), "{name}, less {what}: {difference:?}");
    }
    Some(compared)
}

#[test]
fn rates_that_stand_still() {
    holds("stationary10", 10);
}

#[test]
fn rates_that_are_drawn_afresh_each_week() {
    holds("switching10", 3);
}

#[test]
fn many_small_items() {
    if let Some(compared) = holds("manyitems500x4", 2) {
        assert!(
            compared.ours.mean <= 0.8 * compared.plain.mean,
            "pooled {:?}, alone {:?}",
            compared.ours,
            compared.plain
        );
    }
}

#[test]
fn rates_that_depend_on_context() {
    if let Some(compared) = holds("contextual6", 2) {
        assert!(
            compared.ours.mean < 0.25 * compared.plain.mean,
            "{:?}, without context {:?}",
            compared.ours,
            compared.plain
        );
    }
}

/// Two arms change places after ten days.
#[test]
fn an_abrupt_switch() {
    let arms = |a, b| Rates::Arms(vec![a, b, 0.03, 0.03]);
    let environment: Environment = Environment {
        phases: vec![
            Phase { from_day: 0.0, drift: Drift::Abrupt, rates: arms(0.08, 0.04) },
            Phase { from_day: 10.0, drift: Drift::Abrupt, rates: arms(0.04, 0.08) },
        ],
        ..serde_json::from_str(
            r#"{"days":20,"trials_per_hour":100,"arms":4,"phases":[],"delay":{"median_minutes":20,"sigma":1.5}}"#,
        )
        .unwrap()
    };
    environment.check().unwrap();
    let after = |spec: &str| -> f64 {
        let of = |seed| {
            let run = environment.run(&policy(spec), seed).unwrap();
            run.regret() - run.regret_by_day[9]
        };
        (0..5).map(of).sum::<f64>() / 5.0
    };
    let plain = after("{}");
    for spec in [r#"{"half_life_hours":72}"#, r#"{"window_hours":72}"#, r#"{"on_change":"forget"}"#] {
        let forgetting = after(spec);
        println!("{spec}: regret after the switch {forgetting:.0}, plain {plain:.0}");
        assert!(forgetting <= 0.5 * plain, "{spec}: {forgetting} of {plain}");
    }
}
