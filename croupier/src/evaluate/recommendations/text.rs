//! The answer for people.

use super::lists::LISTS;
use super::measure::FIGURES;
use super::report::{PAIRS, Report};
use recommend::quality::Mean;
use std::fmt::Write;

pub(super) fn write(report: &Report<'_>) -> String {
    let mut out = head(report);
    let _ = write!(out, "\n{:<17}", "");
    for figure in FIGURES {
        let _ = write!(
            out,
            " {:>15}",
            if figure.len() > 6 { figure.into() } else { format!("{figure}@{}", report.args.k) }
        );
    }
    let _ = writeln!(out, " {:>8} {:>8}", "coverage", "µs/list");
    for (kind, measured) in LISTS.iter().zip(&report.replayed.measured) {
        let _ = write!(out, "{:<17}", kind.as_str());
        for figure in 0..FIGURES.len() {
            let _ = write!(out, " {:>15}", cell(measured.mean(figure), false));
        }
        let coverage = measured.coverage().unwrap_or(0.0) * 100.0;
        let _ = writeln!(out, " {:>6.1} % {:>7.0}", coverage, measured.microseconds());
    }
    let _ = writeln!(out, "\nin pairs, over the same users");
    for (a, b) in PAIRS {
        let (Some(mine), Some(theirs)) = (report.of(a), report.of(b)) else { continue };
        let _ = write!(out, "{:<17}", format!("{} - {}", a.as_str(), b.as_str()));
        for figure in 0..FIGURES.len() {
            let _ = write!(out, " {:>15}", cell(mine.above(theirs, figure), true));
        }
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out
}

fn head(report: &Report<'_>) -> String {
    let (log, replayed, mut out) = (report.log, report.replayed, String::new());
    // Writing to a string cannot fail; so everywhere here.
    let _ = write!(out, "{}: {} rows", report.args.file.display(), log.rows);
    if log.disliked > 0 {
        let _ = write!(out, ", {} below --min-value", log.disliked);
    }
    if log.unknown > 0 {
        let _ = write!(out, ", {} of unknown items", log.unknown);
    }
    if let (Some(from), Some(to)) = (log.views.first(), log.views.last()) {
        let _ = write!(out, "; {:.0} to {:.0}", from.at, to.at);
    }
    let sample = if replayed.tried < replayed.moments { format!(", of {}", replayed.moments) } else { String::new() };
    let _ = writeln!(
        out,
        "\n{} items; lists at {} moments of {} users{sample}\nmean over users of what each user's lists have, ± one standard error",
        report.items.len(),
        replayed.tried,
        report.users(),
    );
    out
}

fn cell(mean: Option<Mean>, signed: bool) -> String {
    let Some(Mean { mean, se, .. }) = mean else { return "-".into() };
    let mean = if signed { format!("{mean:+.4}") } else { format!("{mean:.4}") };
    se.map_or(mean.clone(), |se| format!("{mean} ± {se:.4}"))
}
