//! The summary in a terminal.

use super::summary::{LineReport, Report, TargetReport, Times};
use std::fmt::Write;

/// The report in some twenty lines.
pub(crate) fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing into memory does not fail.
    let _ = write(report, &mut out);
    out
}

fn write(report: &Report, out: &mut String) -> std::fmt::Result {
    if let Some(why) = &report.invalid {
        writeln!(out, "INVALID: {why}")?;
    }
    for target in &report.targets {
        about(target, out)?;
    }
    let log = &report.log;
    writeln!(out, "log       {} lines, {} requests", log.lines, log.requests)?;
    for (lines, word) in [(&log.refused, "refused"), (&log.noted, "noted")] {
        for LineReport { count, why, first_line, sample } in lines {
            write!(out, "  {count} {word}: {why}")?;
            match first_line {
                0 => writeln!(out)?,
                _ => writeln!(out, "; the first is line {first_line}: {sample}")?,
            }
        }
    }
    for (field, count) in &log.lacking {
        writeln!(out, "  {count} without a request: no rule gives '{field}'")?;
    }
    let found = &report.findings;
    if found.decisions + found.malformed > 0 {
        let sources: Vec<String> = found.sources.iter().map(|(source, n)| format!("{n} {source}")).collect();
        writeln!(out, "decisions {}: {}; {} malformed", found.decisions, sources.join(", "), found.malformed)?;
        write!(out, "sticky    {} repeats, {} with another arm", found.repeats, found.unsticky)?;
        match found.not_remembered {
            0 => writeln!(out)?,
            n => writeln!(out, "; {n} not looked at, since too many users are remembered")?,
        }
    }
    for (what, first) in [("malformed", &found.first_malformed), ("another arm", &found.first_unsticky)] {
        if let Some(first) = first {
            writeln!(out, "  first {what}: {first}")?;
        }
    }
    if let Some(differences) = &report.differences {
        writeln!(
            out,
            "compared  {} answers, {} different, {} answered by one alone",
            differences.compared, differences.different, differences.one_sided
        )?;
        for (what, count) in &differences.by {
            writeln!(out, "  {count} by {what}: {}", differences.examples.get(what).map_or("", String::as_str))?;
        }
    }
    match report.about.ended.as_str() {
        "stopped" => writeln!(out, "ended     early, as asked")?,
        "silent" => writeln!(out, "ended     early: the target fell silent")?,
        _ => {}
    }
    Ok(())
}

fn about(target: &TargetReport, out: &mut String) -> std::fmt::Result {
    writeln!(out, "target    {}", target.target)?;
    let (asked, got) = (target.rate_asked, target.rate_achieved);
    writeln!(
        out,
        "sent      {} of {} in {:.2} s: {got:.1}/s of {asked:.1}/s asked",
        target.sent, target.asked, target.seconds
    )?;
    write!(out, "answered  {}", target.answered)?;
    for (status, n) in &target.statuses {
        write!(out, ", {n} × {status}")?;
    }
    writeln!(out, "; {} errors ({:.3} %)", target.errors, target.error_share() * 100.0)?;
    for (why, n) in &target.lost {
        writeln!(out, "  {n}: {why}")?;
    }
    if let Some(why) = &target.refused {
        writeln!(out, "  last refused connection: {why}")?;
    }
    writeln!(out, "ms          mean      p50      p90      p95      p99    p99.9      max")?;
    for (name, times) in [("response", &target.response), ("service", &target.service), ("send lag", &target.lag)] {
        let Times { mean, p50, p90, p95, p99, p999, max, .. } = times;
        writeln!(out, "{name:<8}{mean:>8.3} {p50:>8.3} {p90:>8.3} {p95:>8.3} {p99:>8.3} {p999:>8.3} {max:>8.3}")?;
    }
    if !target.arms.is_empty() {
        let arms: Vec<String> = target.arms.iter().map(|(arm, n)| format!("{arm} {n}")).collect();
        writeln!(out, "arms      {}", arms.join(", "))?;
    }
    Ok(())
}
