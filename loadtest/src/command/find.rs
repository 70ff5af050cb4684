//! `loadtest replay --find-rate`: doubles the rate while conditions hold, then halves the gap.

use super::Verdict;
use super::finish::{finish, tell};
use super::replay::once;
use crate::args::ReplayArgs;
use crate::failure::Failure;
use crate::plan::{Rate, Timing};
use crate::report::Report;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Requests per second to begin with.
const FIRST: f64 = 50.0;
/// Where doubling ends.
const MOST: f64 = 1e6;
/// The answer is within so much of the truth, as far as the truth keeps still.
const CLOSE: f64 = 1.05;
/// Share of the rate that must have been achieved.
const KEPT: f64 = 0.98;

/// What a rate came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tried {
    Met,
    Missed,
    /// This machine could not.
    Invalid,
}

/// The highest rate that was met, and the lowest that was not.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bracket {
    met: f64,
    missed: Option<f64>,
}

impl Bracket {
    /// The rate to try next; none if it is close enough.
    fn next(self) -> Option<f64> {
        match self.missed {
            None if self.met >= MOST => None,
            None => Some((self.met * 2.0).max(FIRST)),
            // Down to one a second, below which nothing is called a rate.
            Some(missed) if self.met == 0.0 => Some(missed / 2.0).filter(|rate| *rate >= 1.0),
            Some(missed) if missed / self.met <= CLOSE => None,
            Some(missed) => Some((missed * self.met).sqrt()),
        }
    }
}

pub(super) fn find(args: &ReplayArgs, stop: &Arc<AtomicBool>) -> Result<Verdict, Failure> {
    let (mut bracket, mut best, mut limited) = (Bracket { met: 0.0, missed: None }, None, false);
    while let Some(rate) = bracket.next().filter(|_| !stop.load(Ordering::Relaxed)) {
        let mut told = attempt(args, rate, stop)?;
        if told.1 != Tried::Met && !stop.load(Ordering::Relaxed) {
            // Once more: a machine does other things now and then.
            told = attempt(args, rate, stop)?;
        }
        match told {
            _ if stop.load(Ordering::Relaxed) => {}
            (report, Tried::Met) => (bracket.met, best) = (rate, Some(report)),
            (_, tried) => {
                bracket.missed = Some(rate);
                limited = tried == Tried::Invalid;
            }
        }
    }
    let Some(report) = best else {
        let why = format!("no rate meets {}: not even {:.1}/s did", conditions(args), bracket.missed.unwrap_or(FIRST));
        return Err(Failure::Nothing { why });
    };
    let verdict = finish(&report, &args.output, args.send.patience)?;
    tell(&format!("found     {:.0}/s is the highest rate that met {}\n", bracket.met, conditions(args)));
    if limited {
        tell("          beyond it this machine was the limit, not the target\n");
        return Ok(Verdict::Invalid);
    }
    Ok(verdict)
}

fn attempt(args: &ReplayArgs, rate: f64, stop: &Arc<AtomicBool>) -> Result<(Report, Tried), Failure> {
    let timing = Timing {
        rate: Some(Rate::constant(rate)),
        duration: Some(args.find_step),
        ..args.timing.timing(args.send.grain)
    };
    let report = once(args, timing, true, stop)?;
    let achieved = report.targets.first().map_or(0.0, |target| target.rate_achieved);
    let tried = if report.invalid.is_some() {
        Tried::Invalid
    } else if achieved >= rate * KEPT && args.find_rate.iter().all(|condition| condition.holds(&report)) {
        Tried::Met
    } else {
        Tried::Missed
    };
    let told: Vec<String> = args.find_rate.iter().map(|condition| condition.told(&report)).collect();
    tell(&format!("tried     {rate:.1}/s, achieved {achieved:.1}/s: {tried:?}; {}\n", told.join("; ")));
    Ok((report, tried))
}

fn conditions(args: &ReplayArgs) -> String {
    args.find_rate.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// A target with a limit is found out within 5 %, in few runs.
        #[test]
        fn the_limit_is_found(limit in 1.0..5e5_f64) {
            let (mut bracket, mut runs) = (Bracket { met: 0.0, missed: None }, 0);
            while let Some(rate) = bracket.next() {
                runs += 1;
                if rate <= limit { bracket.met = rate } else { bracket.missed = Some(rate) }
            }
            prop_assert!(bracket.met <= limit && limit <= bracket.met.max(1.0) * 2.0);
            prop_assert!(bracket.met < 1.0 || limit <= bracket.met * CLOSE, "{bracket:?} {limit}");
            prop_assert!(runs <= 22, "{runs}");
        }
    }
}
