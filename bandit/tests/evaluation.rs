//! Off-policy estimates: agreement with the field's reference library, and what no log may do.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bandit::evaluate::{
    ArmRates, BadRow, Bootstrap, EvaluateError, Evaluation, Log, ModelSettings, Predictions, Tuning, Warning, evaluate,
};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// The reference's rows, by column.
struct Rows {
    names: Vec<String>,
    columns: Vec<Vec<f64>>,
}

impl Rows {
    fn column(&self, name: &str) -> &[f64] {
        &self.columns[self.names.iter().position(|n| n == name).unwrap()]
    }

    fn log(&self, model: &str) -> Log<'_> {
        Log {
            rewards: self.column("click"),
            propensities: self.column("pscore"),
            evaluated: self.column("pi_e"),
            model: Some(Predictions {
                logged: self.column(&format!("{model}_logged")),
                expected: self.column(&format!("{model}_pi")),
            }),
            unsupported: None,
        }
    }
}

fn folder() -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference/obp");
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("NOT RUN: reference values are absent ({})", path.display());
    None
}

fn rows(behaviour: &str) -> Option<Rows> {
    let file = folder()?.join(format!("rows_{behaviour}_men.csv.gz"));
    let out = Command::new("gzip").args(["-dc"]).arg(&file).output().unwrap();
    assert!(out.status.success(), "{}: cannot be unpacked", file.display());
    let text = String::from_utf8(out.stdout).unwrap();
    let mut lines = text.lines();
    let names: Vec<String> = lines.next()?.split(',').map(str::to_owned).collect();
    let mut columns = vec![Vec::new(); names.len()];
    for line in lines {
        for (column, cell) in columns.iter_mut().zip(line.split(',')) {
            column.push(cell.parse().unwrap());
        }
    }
    Some(Rows { names, columns })
}

fn reference(behaviour: &str) -> Value {
    let text = std::fs::read_to_string(folder().unwrap().join("obp.json")).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    let results = all["results"].as_array().unwrap();
    results.iter().find(|r| r["behavior_policy"] == behaviour).unwrap().clone()
}

const NAMES: [(&str, &str); 8] = [
    ("ips", "IPW"),
    ("clipped_ips", "IPW_clip5"),
    ("snips", "SNIPW"),
    ("dm", "DM"),
    ("dr", "DR"),
    ("sndr", "SNDR"),
    ("switch_dr", "SwitchDR_lambda5"),
    ("dr_os", "DRos_lambda5"),
];

fn close(what: &str, got: f64, want: f64) {
    assert!((got - want).abs() <= 1e-9, "{what}: {got:e} is not {want:e}, off by {:e}", (got - want).abs());
}

#[test]
fn values_of_the_reference_are_met_to_1e_9() {
    let mut compared = 0;
    for behaviour in ["random", "bts"] {
        let Some(rows) = rows(behaviour) else { return };
        let reference = reference(behaviour);
        for model in ["q_tab", "q_lr"] {
            let found = evaluate(&rows.log(model), Tuning::default(), None).unwrap();
            assert_eq!(found.estimates.len(), 8);
            for e in &found.estimates {
                let name = NAMES.iter().find(|(own, _)| *own == e.estimator.as_str()).unwrap().1;
                let name = if e.estimator.needs_model() { format!("{name}/{model}") } else { name.into() };
                let want = &reference["estimates"][&name];
                close(&format!("{behaviour} {name} value"), e.value, want["value"].as_f64().unwrap());
                close(&format!("{behaviour} {name} se"), e.se, want["se"].as_f64().unwrap());
                for side in 0..2 {
                    let want = want["normal95"][side].as_f64().unwrap();
                    close(&format!("{behaviour} {name} normal[{side}]"), e.normal[side], want);
                }
                compared += 1;
            }
            let (support, want) = (&found.support, &reference["weights"]);
            close("mean weight", support.mean_weight, want["mean"].as_f64().unwrap());
            close("max weight", support.max_weight, want["max"].as_f64().unwrap());
            close("zero share", support.zero_share, want["zero_share"].as_f64().unwrap());
            assert!((support.effective_rows / want["ess"].as_f64().unwrap() - 1.0).abs() < 1e-12);
            assert!(found.trustworthy(), "{behaviour}: {:?}", found.warnings);
        }
    }
    println!("{compared} estimates agree in value, standard error and normal interval");
}

#[test]
fn the_table_of_rates_is_the_reference_s() {
    for behaviour in ["random", "bts"] {
        let Some(rows) = rows(behaviour) else { return };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small indices")]
        let arms: Vec<usize> = rows.column("item_id").iter().map(|a| *a as usize).collect();
        let settings = ModelSettings { prior_rows: 20.0, folds: 1 };
        let rates = ArmRates::fit(&arms, rows.column("click"), 34, settings);
        for (row, arm) in arms.iter().enumerate() {
            close("q_tab", rates.of_row(row)[*arm], rows.column("q_tab_logged")[row]);
        }
        if behaviour == "bts" {
            close("q_tab under uniform choice", rates.expected(0, &[1.0 / 34.0; 34]), rows.column("q_tab_pi")[0]);
        }
    }
}

/// Bounds by 10,000 resamples have a Monte-Carlo error of about 1 % of the width on both sides: 4 % is beyond chance.
#[test]
fn bootstrap_intervals_are_those_of_whole_estimators() {
    let mut narrower = Vec::new();
    for behaviour in ["random", "bts"] {
        let Some(rows) = rows(behaviour) else { return };
        let reference = reference(behaviour);
        for model in ["q_tab", "q_lr"] {
            let found = evaluate(&rows.log(model), Tuning::default(), Some(Bootstrap::default())).unwrap();
            for e in &found.estimates {
                let name = NAMES.iter().find(|(own, _)| *own == e.estimator.as_str()).unwrap().1;
                let name = if e.estimator.needs_model() { format!("{name}/{model}") } else { name.into() };
                let bounds = |what: &str| [0, 1].map(|i| reference["estimates"][&name][what][i].as_f64().unwrap());
                let (want, got) = (bounds("boot_ratio95"), e.bootstrap.unwrap());
                let width = (want[1] - want[0]).max(1e-12);
                for side in 0..2 {
                    let off = (got[side] - want[side]).abs() / width;
                    assert!(off < 0.04, "{behaviour} {name}: {got:?} is not {want:?}, off by {off:.3} of the width");
                }
                if name == "SNDR/q_lr" {
                    let held = bounds("obp_boot95");
                    narrower.push((got[1] - got[0]) / (held[1] - held[0]));
                }
            }
        }
    }
    println!("width of SNDR's interval against that with Σ w held fixed: {narrower:.3?}");
}

#[test]
fn grouped_and_plain_resampling_are_the_same_distribution() {
    // 4,000 rows of 8 kinds are grouped; with noise far below the intervals' width they are not.
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let rows: Vec<(f64, f64, f64)> = (0..4_000)
        .map(|_| {
            let p = [0.1, 0.25, 0.5, 0.8][rng.random_range(0..4)];
            (f64::from(u8::from(rng.random::<f64>() < 0.2)), p, 0.4)
        })
        .collect();
    let noise: Vec<f64> = (0..rows.len()).map(|_| 1e-9 * rng.random::<f64>()).collect();
    let interval = |noisy: f64| -> Vec<[f64; 2]> {
        let rewards: Vec<f64> = rows.iter().map(|r| r.0).collect();
        let propensities: Vec<f64> = rows.iter().zip(&noise).map(|(r, n)| r.1 + noisy * n).collect();
        let evaluated: Vec<f64> = rows.iter().map(|r| r.2).collect();
        let log = Log {
            rewards: &rewards,
            propensities: &propensities,
            evaluated: &evaluated,
            model: None,
            unsupported: None,
        };
        let bootstrap = Bootstrap { resamples: 10_000, seed: 5 };
        let found = evaluate(&log, Tuning::default(), Some(bootstrap)).unwrap();
        assert_eq!(found, evaluate(&log, Tuning::default(), Some(bootstrap)).unwrap(), "equal seeds, equal intervals");
        found.estimates.iter().map(|e| e.bootstrap.unwrap()).collect()
    };
    for (a, b) in interval(0.0).into_iter().zip(interval(1.0)) {
        let width = a[1] - a[0];
        assert!((a[0] - b[0]).abs() < 0.04 * width && (a[1] - b[1]).abs() < 0.04 * width, "{a:?} {b:?}");
    }
}

/// With equal rewards Σ w r / Σ w is that reward in every resample; were Σ w held fixed it would not be.
#[test]
fn ratios_are_resampled_as_ratios() {
    let n = 500;
    let propensities: Vec<f64> = (0..n).map(|i| 0.05 + 0.001 * f64::from(i)).collect();
    let found = plain(&vec![3.0; propensities.len()], &propensities, &vec![0.3; propensities.len()]).unwrap();
    let snips = found.estimate(bandit::evaluate::Estimator::Snips).unwrap();
    let [low, high] = snips.bootstrap.unwrap();
    assert!((low - 3.0).abs() < 1e-9 && (high - 3.0).abs() < 1e-9 && snips.se < 1e-9, "{snips:?}");
    let ips = found.estimate(bandit::evaluate::Estimator::Ips).unwrap();
    assert!(ips.bootstrap.unwrap()[1] - ips.bootstrap.unwrap()[0] > 0.1, "{ips:?}");
}

fn plain(rewards: &[f64], propensities: &[f64], evaluated: &[f64]) -> Result<Evaluation, EvaluateError> {
    let log = Log { rewards, propensities, evaluated, model: None, unsupported: None };
    evaluate(&log, Tuning::default(), Some(Bootstrap { resamples: 100, seed: 0 }))
}

#[test]
fn an_effective_sample_of_two_is_no_answer() {
    let n = 10_000;
    let mut propensities = vec![0.5; n];
    (propensities[17], propensities[4_711]) = (1e-6, 1.1e-6);
    let rewards: Vec<f64> = (0..n).map(|i| f64::from(u8::from(i % 20 == 0))).collect();
    let found = plain(&rewards, &propensities, &vec![0.5; n]).unwrap();
    assert!(!found.trustworthy());
    let said = found.warnings[0].to_string();
    assert_eq!(said, "effective sample size 2 of 10,000: at least 50 are needed");
    assert!(found.warnings.iter().any(|w| matches!(w, Warning::TinyPropensity { .. })), "{:?}", found.warnings);
}

#[test]
fn every_way_to_have_no_support_is_said() {
    let n = 2_000;
    let (half, rewards) = (vec![0.5; n], vec![1.0; n]);
    let kinds = |found: &Evaluation| found.warnings.iter().map(Warning::kind).collect::<Vec<_>>();
    let never = plain(&rewards, &half, &vec![0.0; n]).unwrap();
    assert!(!never.trustworthy() && kinds(&never) == ["no_overlap", "few_rewards"], "{:?}", never.warnings);
    assert!(never.estimates.iter().all(|e| e.value.is_finite()), "ratios are left out");
    // Propensities that say 0.5 where it was certain.
    let wrong = plain(&rewards, &half, &vec![1.0; n]).unwrap();
    assert!(!wrong.trustworthy() && kinds(&wrong) == ["mean_weight"], "{:?}", wrong.warnings);
    for (share, trusted, said) in [(0.0005, true, false), (0.01, true, true), (0.06, false, true)] {
        let log =
            Log { rewards: &rewards, propensities: &half, evaluated: &half, model: None, unsupported: Some(share) };
        let found = evaluate(&log, Tuning::default(), None).unwrap();
        assert_eq!((found.trustworthy(), kinds(&found).contains(&"unsupported")), (trusted, said), "{share}");
    }
    let poor = plain(&vec![0.0; n], &half, &half).unwrap();
    assert!(!poor.trustworthy() && kinds(&poor) == ["no_rewards"]);
    for (rewarded, trusted, said) in [(2, false, true), (5, true, true), (20, true, false)] {
        let rewards: Vec<f64> = (0..n).map(|i| f64::from(u8::from(i < rewarded))).collect();
        let found = plain(&rewards, &half, &half).unwrap();
        assert_eq!((found.trustworthy(), kinds(&found) == ["few_rewards"]), (trusted, said), "{rewarded}");
    }
}

#[test]
fn impossible_rows_are_named() {
    let row = |reward: f64, propensity: f64, evaluated: f64| {
        plain(&[0.0, 1.0, reward], &[0.5, 0.5, propensity], &[0.5, 0.5, evaluated]).unwrap_err().to_string()
    };
    for (reward, propensity, evaluated, words) in [
        (0.0, 0.0, 0.5, "row 3: the logged propensity must be above 0 and at most 1, and is 0"),
        (0.0, -0.1, 0.5, "is -0.1"),
        (0.0, 1.5, 0.5, "is 1.5"),
        (0.0, f64::NAN, 0.5, "is NaN"),
        (0.0, 1e-200, 0.5, "propensity"),
        (0.0, 0.5, 1.1, "row 3: the evaluated policy's probability"),
        (0.0, 0.5, f64::NAN, "evaluated"),
        (-1.0, 0.5, 0.5, "row 3: the reward must be"),
        (f64::INFINITY, 0.5, 0.5, "reward"),
    ] {
        let said = row(reward, propensity, evaluated);
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(plain(&[], &[], &[]).unwrap_err(), EvaluateError::TooFewRows(0));
    assert!(matches!(plain(&[1.0, 1.0], &[1.0], &[1.0, 1.0]).unwrap_err(), EvaluateError::Lengths { .. }));
    let error = plain(&[1.0, 1.0], &[1.0, 2.0], &[1.0, 1.0]).unwrap_err();
    assert_eq!(error, EvaluateError::Row { row: 1, why: BadRow::Propensity(2.0) });
}

#[test]
fn cross_fitting_predicts_no_row_from_itself() {
    let arms = [0, 1, 0, 1, 0, 0, 1, 0];
    let settings = ModelSettings { prior_rows: 2.0, folds: 4 };
    let fit = |rewards: &[f64]| ArmRates::fit(&arms, rewards, 2, settings);
    let before = fit(&[0.0; 8]);
    for row in 0..8 {
        let mut rewards = [0.0; 8];
        rewards[row] = 1.0;
        let after = fit(&rewards);
        assert_eq!(after.of_row(row), before.of_row(row), "row {row} predicts itself");
        assert_ne!(after.of_row(row + 1), before.of_row(row + 1), "row {row} predicts nothing");
    }
}

proptest! {
    /// Weights of 1 give the mean, whatever the estimator, since nothing is to be corrected; and any log gives finite
    /// numbers.
    #[test]
    fn on_policy_every_estimator_without_a_model_is_the_mean(rewards in prop::collection::vec(0.0..10.0_f64, 2..60)) {
        let p = vec![0.3; rewards.len()];
        let found = plain(&rewards, &p, &p).unwrap();
        let mean = rewards.iter().sum::<f64>() / rewards.len() as f64;
        for e in found.estimates {
            prop_assert!((e.value - mean).abs() < 1e-9, "{} {} {mean}", e.estimator, e.value);
        }
    }

    #[test]
    fn hostile_columns_give_finite_numbers(
        rows in prop::collection::vec((0usize..4, -100.0..=0.0_f64, 0.0..=1.0_f64, -1e15..1e15_f64), 2..40)
    ) {
        let rewards: Vec<f64> = rows.iter().map(|r| [0.0, 1.0, 1e-300, 1e15][r.0]).collect();
        let propensities: Vec<f64> = rows.iter().map(|r| 10f64.powf(r.1).max(1e-100)).collect();
        let evaluated: Vec<f64> = rows.iter().map(|r| r.2).collect();
        let model: Vec<f64> = rows.iter().map(|r| r.3).collect();
        let log = Log {
            rewards: &rewards, propensities: &propensities, evaluated: &evaluated,
            model: Some(Predictions { logged: &model, expected: &model }), unsupported: Some(0.0),
        };
        let found = evaluate(&log, Tuning::default(), Some(Bootstrap { resamples: 100, seed: 1 })).unwrap();
        for e in &found.estimates {
            let all = [e.value, e.se, e.normal[0], e.normal[1]].into_iter().chain(e.bootstrap.unwrap_or_default());
            prop_assert!(all.into_iter().all(f64::is_finite), "{e:?}");
        }
        let s = &found.support;
        prop_assert!(s.effective_rows.is_finite() && s.effective_rows <= rows.len() as f64 * (1.0 + 1e-9));
        prop_assert!((0.0..=1.0 + 1e-9).contains(&s.top_share) && s.mean_weight_se.is_finite());
    }
}
