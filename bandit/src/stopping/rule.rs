//! The stopping rules.

use super::value::ValueRemaining;
use crate::beta::Beta;
use crate::experiment::{Experiment, Stopping};
use serde::{Deserialize, Serialize};

/// Points of the curve of the value remaining.
const POINTS: u32 = 41;

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A guardrail is breached.
    Guardrail,
    /// Not long enough to know a week's rhythm.
    TooEarly,
    /// There is little left to gain beyond the champion.
    Winner,
    /// No arm is likely to beat the control by what is worth it.
    Futile,
    /// There is something left to learn.
    Continue,
}

/// Advice, and what it rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoppingAdvice {
    /// What to do.
    pub verdict: Verdict,
    /// Index of the arm that is most probably best.
    pub champion: usize,
    /// P(some arm beats the champion by more than the tolerated share of its rate).
    pub p_remaining: f64,
    /// The value that remains at most with the rule's confidence, relative to the champion's rate.
    pub remaining: f64,
    /// (value, probability that more remains), for a plot.
    pub curve: Vec<(f64, f64)>,
    /// One sentence.
    pub advice: String,
}

/// The value remaining by one set of posteriors.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Remaining {
    /// Index of the arm that is most probably best.
    pub champion: usize,
    /// P(some arm beats the champion by more than the tolerated share of its rate).
    pub p_remaining: f64,
    /// The value that remains at most with the rule's confidence, relative to the champion's rate.
    pub remaining: f64,
    /// That confidence; earlier releases did not write it down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
}

impl Remaining {
    /// The probability with which no more remains. Where nobody wrote it down the rule of `experiment` stands in, which may
    /// have changed since.
    #[must_use]
    pub fn confidence(&self, experiment: &Experiment) -> f64 {
        self.confidence.unwrap_or_else(|| experiment.stopping.clone().unwrap_or_default().confidence)
    }
}

/// What the rule looks at, without its advice: see [`advise`].
#[must_use]
pub fn value_remaining(experiment: &Experiment, posteriors: &[Beta]) -> Option<Remaining> {
    let rule = experiment.stopping.clone().unwrap_or_default();
    let live: Vec<usize> = (0..posteriors.len()).filter(|&i| experiment.arms[i].enabled).collect();
    let value = ValueRemaining::new(&live.iter().map(|&i| posteriors[i]).collect::<Vec<_>>())?;
    Some(Remaining {
        champion: live[value.champion],
        p_remaining: value.exceeds(rule.value_remaining),
        remaining: value.quantile(rule.confidence),
        confidence: Some(rule.confidence),
    })
}

/// A share in percent, without the digits that only its binary form has.
fn percent(share: f64) -> f64 {
    (share * 1e6).round() / 1e4
}

/// Advises on an experiment that has run for `hours`. `posteriors` are those of all arms in the definition's order;
/// disabled arms are no candidates. `breached` says that a guardrail is. None without enabled arms.
#[must_use]
pub fn advise(experiment: &Experiment, posteriors: &[Beta], hours: u32, breached: bool) -> Option<StoppingAdvice> {
    let rule = experiment.stopping.clone().unwrap_or_default();
    let Judged { verdict, champion, value, p_remaining } = judge(experiment, &rule, posteriors, hours, breached)?;
    let remaining = value.quantile(rule.confidence);
    let name = &experiment.arms[champion].id;
    let (sure, little) = (percent(rule.confidence), percent(rule.value_remaining));
    let advice = match verdict {
        Verdict::Guardrail => "A guardrail is breached: pause, or disable the arms that break it.".to_owned(),
        Verdict::TooEarly => format!("Wait until {} hours have passed: {hours} have.", rule.min_hours),
        Verdict::Winner => {
            format!("Stop with '{name}': with {sure} % probability no arm beats it by more than {little} %.")
        }
        Verdict::Futile => {
            format!("Stop and keep the control: with {sure} % probability no arm beats it by more than {little} %.")
        }
        Verdict::Continue => {
            format!("Go on: another arm may still beat '{name}' by up to {:.1} % of its rate.", remaining * 100.0)
        }
    };
    Some(StoppingAdvice { verdict, champion, p_remaining, remaining, curve: value.curve(0.999, POINTS), advice })
}

/// The verdict alone with its champion, for whoever asks often.
#[must_use]
pub fn verdict(experiment: &Experiment, posteriors: &[Beta], hours: u32, breached: bool) -> Option<(Verdict, usize)> {
    let rule = experiment.stopping.clone().unwrap_or_default();
    judge(experiment, &rule, posteriors, hours, breached).map(|judged| (judged.verdict, judged.champion))
}

struct Judged {
    verdict: Verdict,
    champion: usize,
    value: ValueRemaining,
    p_remaining: f64,
}

fn judge(experiment: &Experiment, rule: &Stopping, posteriors: &[Beta], hours: u32, breached: bool) -> Option<Judged> {
    let live: Vec<usize> = (0..posteriors.len()).filter(|&i| experiment.arms[i].enabled).collect();
    let betas: Vec<Beta> = live.iter().map(|&i| posteriors[i]).collect();
    let value = ValueRemaining::new(&betas)?;
    let champion = live[value.champion];
    let p_remaining = value.exceeds(rule.value_remaining);
    let futile = live.iter().position(|&i| i == experiment.control()).is_some_and(|control| {
        ValueRemaining::of(&betas, control).exceeds(rule.value_remaining) <= 1.0 - rule.confidence
    });
    let leads = p_remaining <= 1.0 - rule.confidence;
    let verdict = if breached {
        Verdict::Guardrail
    } else if hours < rule.min_hours {
        Verdict::TooEarly
    } else if leads && !(futile && champion == experiment.control()) {
        Verdict::Winner
    } else if futile {
        Verdict::Futile
    } else {
        Verdict::Continue
    };
    Some(Judged { verdict, champion, value, p_remaining })
}
