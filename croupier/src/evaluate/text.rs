//! The answer for people.

use super::report::mean;
use super::{Answer, Report};
use bandit::evaluate::{Estimate, Estimator, Evaluation, Warning};
use std::fmt::Write;

pub(super) fn write(report: &Report) -> String {
    let mut out = head(report);
    for answer in &report.answers {
        out.push_str(&one(answer));
    }
    if report.answers.len() > 1 {
        out.push_str(&beside(report));
    }
    out.truncate(out.trim_end().len());
    out
}

/// Thousands apart, so that 10,000 and 100,000 differ at a glance.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and far below 2^64")]
fn rounded(x: f64) -> String {
    if x < 9.95 { format!("{x:.1}") } else { grouped(x.round() as u64) }
}

fn head(report: &Report) -> String {
    let (trials, mut out) = (&report.trials, String::new());
    // Writing to a string cannot fail; so everywhere below.
    let _ = write!(out, "{}: {} trials of {} arms", report.log, grouped(trials.len() as u64), trials.arms.len());
    if trials.segments.len() > 1 {
        let _ = write!(out, " in {} segments", trials.segments.len());
    }
    if let (Some(from), Some(to)) = (trials.at.first(), trials.at.last()) {
        let _ = write!(out, ", {from:.0} to {to:.0}");
    }
    let _ = writeln!(out, "\nmean reward of the policy that dealt them: {:.6}", mean(&trials.rewards));
    if trials.open > 0 {
        let _ = writeln!(out, "{} more are left out: their rewards may still come", grouped(trials.open));
    }
    out
}

/// Digits after the point that show two figures of a standard error.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
fn decimals(evaluation: &Evaluation) -> usize {
    let se = evaluation.estimate(Estimator::Ips).map_or(0.0, |e| e.se);
    if se > 0.0 { (1.0 - se.log10().floor()).clamp(1.0, 9.0) as usize } else { 6 }
}

/// Without a sign before nothing.
fn number(x: f64, decimals: usize) -> String {
    let shown = format!("{x:.decimals$}");
    let nothing = shown.bytes().all(|b| matches!(b, b'-' | b'0' | b'.'));
    if nothing { shown.trim_start_matches('-').to_owned() } else { shown }
}

fn one(answer: &Answer) -> String {
    let (evaluation, mut out) = (&answer.evaluation, String::new());
    let s = &evaluation.support;
    let _ = writeln!(out, "\npolicy {}", answer.policy);
    let trusted = evaluation.trustworthy();
    let mut warnings = evaluation.warnings.iter();
    if !trusted {
        let why = warnings.next().map_or_else(String::new, ToString::to_string);
        let _ = writeln!(out, "  not estimable: {why}");
    }
    let _ = writeln!(
        out,
        "  effective sample size {} of {}; weights: mean {:.3} ± {:.3}, largest {}; the heaviest 1 % hold {:.0} %",
        rounded(s.effective_rows),
        grouped(s.rows as u64),
        s.mean_weight,
        s.mean_weight_se,
        rounded(s.max_weight),
        s.top_share * 100.0,
    );
    for warning in warnings {
        let _ = writeln!(out, "  warning: {warning}");
    }
    let d = decimals(evaluation);
    if trusted {
        out.push_str(&table(evaluation, d));
    }
    out.push_str(&sequence(answer, d));
    if !trusted {
        out.push_str("  no value is shown, since none would be an answer; --format json has what was computed\n");
    }
    out
}

fn table(evaluation: &Evaluation, d: usize) -> String {
    let mut out = String::new();
    let range = |[low, high]: [f64; 2]| format!("{} to {}", number(low, d), number(high, d));
    // Rewards may be amounts of any size.
    let widest = |cell: &dyn Fn(&Estimate) -> String, least: usize| {
        evaluation.estimates.iter().map(|e| cell(e).len()).fold(least, usize::max)
    };
    let w = widest(&|e| number(e.value, d), (d + 3).max("value".len()));
    let width = widest(&|e| range(e.normal), (2 * d + 8).max("95 % normal".len())) + 4;
    let bootstrapped = evaluation.estimates.iter().any(|e| e.bootstrap.is_some());
    let _ = write!(out, "  {:<12} {:>w$}   {:<width$}", "estimator", "value", "95 % normal");
    out.push_str(if bootstrapped { "95 % bootstrap\n" } else { "\n" });
    let mut notes: Vec<(&str, Vec<&str>)> = Vec::new();
    for e in &evaluation.estimates {
        let mark = match e.estimator.caveat() {
            None => String::new(),
            Some(caveat) => {
                let place = notes.iter().position(|(c, _)| *c == caveat).unwrap_or_else(|| {
                    notes.push((caveat, Vec::new()));
                    notes.len() - 1
                });
                notes[place].1.push(e.estimator.as_str());
                format!(" [{}]", place + 1)
            }
        };
        let bootstrap = e.bootstrap.map_or_else(String::new, range);
        let line = format!(
            "  {:<12} {:>w$}   {:<width$}{bootstrap}{mark}",
            e.estimator.as_str(),
            number(e.value, d),
            range(e.normal),
        );
        let _ = writeln!(out, "{}", line.trim_end());
    }
    for (i, (caveat, _)) in notes.iter().enumerate() {
        let _ = writeln!(out, "  [{}] {caveat}", i + 1);
    }
    out
}

/// Bounds that hold whenever one looks; silent where they rest on what is not so.
fn sequence(answer: &Answer, d: usize) -> String {
    let broken = |w: &Warning| {
        matches!(w, Warning::NoOverlap | Warning::MeanWeight { .. })
            || matches!(w, Warning::Unsupported { .. } if w.disqualifies())
    };
    if answer.evaluation.warnings.iter().any(broken) {
        return String::new();
    }
    match &answer.sequence.interval {
        Ok([low, high]) => format!(
            "  {low:.d$} to {high:.d$} holds with 95 % whenever one looks, however the log was dealt{}\n",
            if answer.sequence.max_weight.is_none() { " (narrower with --floor)" } else { "" }
        ),
        Err(why) => format!("  no confidence sequence: {why}\n"),
    }
}

/// The policies under one another, by one estimator.
fn beside(report: &Report) -> String {
    let mut out = String::from("\nside by side, doubly robust where possible\n");
    let name = report.answers.iter().map(|a| a.policy.chars().count()).max().unwrap_or(0).max(8);
    for answer in &report.answers {
        let evaluation = &answer.evaluation;
        let best = evaluation.estimate(Estimator::Dr).or_else(|| evaluation.estimate(Estimator::Snips));
        let policy = &answer.policy;
        let _ = match best.filter(|_| evaluation.trustworthy()) {
            None => writeln!(out, "  {policy:<name$}  not estimable"),
            Some(e) => {
                let ([low, high], d) = (e.bootstrap.unwrap_or(e.normal), decimals(evaluation));
                let [value, low, high] = [e.value, low, high].map(|x| number(x, d));
                writeln!(out, "  {policy:<name$}  {value}   {low} to {high}   ({})", e.estimator)
            }
        };
    }
    out
}
