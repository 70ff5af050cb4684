//! What is told when a run is over.

use super::Verdict;
use super::run::verdict;
use crate::args::OutputArgs;
use crate::failure::Failure;
use crate::report::{Report, page, text};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// Prints the summary, writes the files, and judges.
pub(super) fn finish(report: &Report, output: &OutputArgs, patience: Duration) -> Result<Verdict, Failure> {
    let conditions: Vec<String> = output.assert.iter().map(|condition| condition.told(report)).collect();
    write(report, output, &conditions)?;
    if report.about.ended == "silent" {
        let target = report.targets.iter().find(|target| !target.lost.is_empty()).or(report.targets.first());
        let why = target.and_then(|t| t.refused.as_ref()).map(|why| format!(" ({why})")).unwrap_or_default();
        let target = target.map(|t| t.target.clone()).unwrap_or_default();
        return Err(Failure::Silent { target, seconds: patience.as_secs_f64(), why });
    }
    if report.targets.iter().all(|target| target.asked == 0) {
        let why = match report.log.lines {
            0 => "the log has no lines".to_owned(),
            n if report.about.ended == "stopped" => format!("the run was stopped before any of {n} lines was due"),
            n => format!("of {n} lines none became a request; see --map, --set and --as-is"),
        };
        return Err(Failure::Nothing { why });
    }
    if let Some(why) = &report.invalid {
        eprintln!("loadtest: INVALID: {why}");
    }
    Ok(verdict(report, output.assert.iter().all(|condition| condition.holds(report))))
}

/// Prints the summary and writes the files.
pub(super) fn write(report: &Report, output: &OutputArgs, conditions: &[String]) -> Result<(), Failure> {
    let told: String = conditions.iter().map(|condition| format!("assert    {condition}\n")).collect();
    tell(&(text(report) + &told));
    if let Some(file) = &output.json {
        let json = serde_json::to_string_pretty(report).map_err(|e| at(file, e))?;
        std::fs::write(file, json + "\n").map_err(|e| at(file, e))?;
    }
    if let Some(file) = &output.html {
        std::fs::write(file, page(report, conditions)).map_err(|e| at(file, e))?;
    }
    Ok(())
}

/// Prints. Who reads may have left, as `head` does, which is no reason to leave the rest undone.
pub(super) fn tell(text: &str) {
    drop(std::io::stdout().write_all(text.as_bytes()));
}

/// Finds out before a run whether its report can be written; what the files hold stays until there is one.
pub(super) fn try_files(output: &OutputArgs) -> Result<(), Failure> {
    for file in [&output.json, &output.html].into_iter().flatten() {
        std::fs::OpenOptions::new().append(true).create(true).open(file).map_err(|e| at(file, e))?;
    }
    Ok(())
}

fn at(file: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::Report { file: file.display().to_string(), why: error.to_string() }
}
