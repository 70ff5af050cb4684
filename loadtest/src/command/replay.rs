//! `loadtest replay`

use super::feed::Feed;
use super::finish::{self, finish};
use super::{Verdict, interrupt, knock, run};
use crate::args::ReplayArgs;
use crate::check::{Progress, Watch};
use crate::failure::Failure;
use crate::plan::{Planner, Timing};
use crate::read::{Input, SharedLedger};
use crate::report::{Length, Live, LogReport, Report};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Requests that a dry run shows.
const SHOWN: usize = 5;

pub(super) fn replay(args: &ReplayArgs) -> Result<Verdict, Failure> {
    if (args.timing.again || !args.find_rate.is_empty()) && args.logs.contains(&Input::Stdin) {
        return Err(Failure::Argument {
            argument: "--loop and --find-rate",
            why: "standard input cannot be read again".to_owned(),
        });
    }
    if args.dry_run {
        return dry_run(args);
    }
    let stop = interrupt::flag()?;
    knock(&args.send.targets()?, args.send.timeout)?;
    finish::try_files(&args.output)?;
    if !args.find_rate.is_empty() {
        return super::find::find(args, &stop);
    }
    let report = once(args, args.timing.timing(args.send.grain), args.timing.again, &stop)?;
    finish(&report, &args.output, args.send.patience)
}

/// One run over the logs.
pub(super) fn once(args: &ReplayArgs, timing: Timing, again: bool, stop: &Arc<AtomicBool>) -> Result<Report, Failure> {
    let ledger = SharedLedger::default();
    let feed = feed(args, &ledger, again)?;
    let mut live = Live::new(length(args, timing.duration), args.output.quiet, ledger.clone());
    let progress: Progress = Box::new(move |stats, waiting, now_ns| live.tick(stats, waiting, now_ns));
    let watch = Watch::new(feed.mapping.base.clone(), args.map.reward_model()?, args.send.compare.is_some(), progress);
    let (prepared, outbox) = run::prepare(&args.send, args.send.targets()?, watch, stop.clone(), None)?;
    let mut planner = Planner::new(timing);
    let read = move || feed.run(&mut planner, outbox);
    let reader = std::thread::Builder::new().name("reader".into()).spawn(read);
    let reader = reader.map_err(|error| Failure::System { what: "start a thread", error })?;
    let report = prepared.run(&command_line(), &ledger)?;
    // One that waits for standard input may never end, and is not waited for.
    if reader.is_finished()
        && let Ok(Err(failure)) = reader.join()
    {
        return Err(failure);
    }
    Ok(report)
}

fn feed(args: &ReplayArgs, ledger: &SharedLedger, again: bool) -> Result<Feed, Failure> {
    let mapping = args.map.mapping(&args.send)?;
    Ok(Feed { logs: args.logs.clone(), stamps: args.stamps, mapping, ledger: ledger.clone(), again })
}

fn length(args: &ReplayArgs, duration: Option<Duration>) -> Length {
    if let Some(duration) = duration {
        return Length::Time(duration);
    }
    let sizes: Option<Vec<u64>> = args.logs.iter().map(Input::size).collect();
    sizes.map_or(Length::Unknown, |sizes| Length::Bytes(sizes.iter().sum()))
}

fn dry_run(args: &ReplayArgs) -> Result<Verdict, Failure> {
    let ledger = SharedLedger::default();
    let mut shown = 0;
    feed(args, &ledger, false)?.dry_run(&mut |made| {
        if shown < SHOWN {
            shown += 1;
            let text = String::from_utf8_lossy(&made.bytes).trim_end().replace("\r\n", "\n  ");
            // What a log holds must not command the terminal.
            let plain = |c: char| if c.is_control() && c != '\n' { '·' } else { c };
            finish::tell(&(text.chars().map(plain).collect::<String>() + "\n"));
        }
    })?;
    let report = Report::of_log(&command_line(), LogReport::new(&ledger.lock()));
    finish::write(&report, &args.output, &[])?;
    Ok(Verdict::Good)
}

/// As it was typed, but for what is secret.
pub(super) fn command_line() -> String {
    let mut secret = false;
    let words = std::env::args().map(|word| {
        let hidden = std::mem::replace(&mut secret, matches!(word.as_str(), "--header" | "--hash-users"));
        match word.split_once('=') {
            _ if hidden => "…".to_owned(),
            Some((name @ ("--header" | "--hash-users"), _)) => format!("{name}=…"),
            _ => word,
        }
    });
    words.collect::<Vec<_>>().join(" ")
}
