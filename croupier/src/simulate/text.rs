//! The answer for people.

use super::Report;
use crate::import::Shown;
use bandit::simulate::{Paired, Simulation};
use std::fmt::Write;

pub(super) fn write(report: &Report) -> String {
    let mut out = head(report);
    let names: Vec<String> = report.names.iter().map(|n| bare(n)).collect();
    let rows: Vec<[String; 4]> = names.iter().zip(&report.simulations).map(|(name, s)| row(name, s)).collect();
    let against = format!("against {}", names.first().map_or("", String::as_str));
    let heads = ["policy".to_owned(), "regret".to_owned(), "rewarded".to_owned(), against];
    let width = |column: usize| rows.iter().chain([&heads]).map(|row| row[column].chars().count()).max().unwrap_or(0);
    let [name, regret, rate] = [width(0), width(1), width(2)];
    for [a, b, c, d] in [&heads].into_iter().chain(&rows) {
        let line = format!("{a:<name$}   {b:>regret$}   {c:>rate$}   {d}");
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out.push('\n');
    for (mine, s) in names.iter().zip(&report.simulations) {
        if let (Some(difference), Some(first)) = (s.difference, names.first()) {
            let _ = writeln!(out, "{}", verdict(mine, first, difference));
        }
    }
    out.push_str("regret: rewards that a run missed, against the best arm for every trial");
    out.push_str(if report.seeds > 1 {
        ";\n±: standard error over seeds, of differences seed by seed"
    } else {
        ";\none seed has no standard error: --seeds 10 tells luck from merit"
    });
    out
}

fn head(report: &Report) -> String {
    let (e, mut out) = (&report.environment, String::new());
    // Writing to a string cannot fail; so everywhere here.
    let days = if e.days == 1 { "day" } else { "days" };
    let _ = write!(out, "{}: {} trials of {} arms", report.title, e.trials(), e.arms);
    if e.segments.len() > 1 {
        let _ = write!(out, " in {} segments", e.segments.len());
    }
    let seeds = if report.seeds == 1 { "seed" } else { "seeds" };
    let _ = writeln!(out, " over {} {days}, {} {seeds}", e.days, report.seeds);
    if !e.about.is_empty() {
        let _ = writeln!(out, "{}", e.about.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    out.push('\n');
    out
}

/// Short, and in one line.
pub(super) fn bare(name: &str) -> String {
    Shown::new(name).to_string().trim_matches('\'').replace("\\\"", "\"")
}

fn row(name: &str, s: &Simulation) -> [String; 4] {
    let regret = with_error(Paired { mean: s.regret, se: s.regret_se }, "");
    let difference = s.difference.map_or_else(String::new, |d| with_error(d, "+"));
    [name.to_owned(), regret, format!("{:.3} %", 100.0 * s.reward_rate), difference]
}

fn with_error(p: Paired, plus: &str) -> String {
    let sign = if p.mean >= 0.0 { plus } else { "" };
    let error = p.se.map_or_else(String::new, |se| format!(" ± {se:.1}"));
    format!("{sign}{:.1}{error}", p.mean)
}

/// Two standard errors tell policies apart.
fn verdict(mine: &str, first: &str, d: Paired) -> String {
    let amount = with_error(Paired { mean: d.mean.abs(), se: d.se }, "");
    let word = if d.mean < 0.0 { "fewer" } else { "more" };
    match d.se {
        Some(se) if d.mean.abs() <= 2.0 * se => {
            format!("{mine} and {first} cannot be told apart on these seeds ({amount} rewards {word} missed)")
        }
        _ => format!("{mine} misses {amount} rewards {word} than {first} in a run"),
    }
}
