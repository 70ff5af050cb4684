//! How a load ended, for the person who asked for it.

use super::refusal::Refusal;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use store::Import;

/// Refusals that are told one by one.
const TOLD: usize = 20;

/// How a load ended.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportSummary {
    /// The load's name.
    pub name: String,
    /// The experiment.
    pub experiment: String,
    /// What was loaded; or when it had been, if it was not for the first time.
    pub loaded: Result<Box<Loaded>, Timestamp>,
    /// Set when the experiment is paused now and was not before.
    pub paused: Option<Created>,
}

/// What an experiment was that is paused now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It was made for the log.
    New {
        /// With how many arms.
        arms: usize,
    },
    /// It was a draft.
    Draft,
}

/// What a load did.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// Rows read.
    pub rows: u64,
    /// Decisions that are new.
    pub decisions: u64,
    /// Rows of decisions that were there already, in this log or before it.
    pub repeats: u64,
    /// Rewards and exposures.
    pub events: u64,
    /// Decisions that the experiment no longer had an arm for.
    pub set_aside: u64,
    /// Rows that could not be taken.
    pub refused: Refused,
    /// Rewards outside the window of the decision on their row.
    pub outside_window: u64,
    /// That window.
    pub window_hours: u32,
    /// Whether rows of users are in another order than that of time.
    pub unordered: bool,
    /// What the experiment had counted before.
    pub before: Counted,
    /// What it has counted now.
    pub after: Counted,
}

/// What an experiment has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Exposed assignments.
    pub trials: u64,
    /// Those with a reward in their window.
    pub rewards: u64,
}

/// Rows that could not be taken.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Refused {
    /// How many.
    pub count: u64,
    /// How many by reason.
    pub reasons: BTreeMap<String, u64>,
    /// The first ones.
    pub first: Vec<Refusal>,
}

impl Refused {
    pub(super) fn add(&mut self, refusal: Refusal) {
        self.count += 1;
        *self.reasons.entry(refusal.why.kind()).or_default() += 1;
        if self.first.len() < TOLD {
            self.first.push(refusal);
        }
    }
}

impl ImportSummary {
    pub(super) fn repeated(import: &Import, at: Timestamp) -> Self {
        Self { name: import.name.clone(), experiment: import.experiment.clone(), loaded: Err(at), paused: None }
    }

    pub(super) fn loaded(import: &Import, loaded: Loaded) -> Self {
        Self {
            name: import.name.clone(),
            experiment: import.experiment.clone(),
            loaded: Ok(Box::new(loaded)),
            paused: None,
        }
    }
}

impl Display for ImportSummary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { name, experiment, .. } = self;
        match &self.loaded {
            Err(at) => write!(f, "'{name}' was already imported on {at}, nothing to do")?,
            Ok(loaded) => write!(f, "'{name}' is imported into experiment '{experiment}'\n{loaded}")?,
        }
        match self.paused {
            None => return Ok(()),
            Some(Created::New { arms }) => {
                write!(f, "\nexperiment '{experiment}' was made with {arms} arms from the log. ")?
            }
            Some(Created::Draft) => write!(f, "\nexperiment '{experiment}' was a draft. ")?,
        }
        f.write_str("It is paused: nobody is dealt an arm of it until its owner starts it")
    }
}

impl Display for Loaded {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut line = |label: &str, n: u64, note: &str| writeln!(f, "  {label:<12}{n:>12}{note}");
        line("rows read", self.rows, "")?;
        line("decisions", self.decisions, &format!(" new; {} rows are repeats, which count once", self.repeats))?;
        line("events", self.events, " rewards and exposures")?;
        line("refused", self.refused.count, "")?;
        for (reason, n) in &self.refused.reasons {
            writeln!(f, "    {n:>22}  {reason}")?;
        }
        for refusal in &self.refused.first {
            writeln!(f, "    {refusal}")?;
        }
        if self.refused.first.len() as u64 != self.refused.count {
            writeln!(f, "    … and {} more", self.refused.count - self.refused.first.len() as u64)?;
        }
        if self.outside_window > 0 {
            let (n, hours) = (self.outside_window, self.window_hours);
            writeln!(f, "  {n} rewards do not count: they are outside the {hours} hours after their decision")?;
        }
        if self.unordered && self.repeats > 0 {
            writeln!(f, "  rows are not in order of time: of repeats the first row counts, with rewards from then on")?;
        }
        if self.set_aside > 0 {
            let n = self.set_aside;
            writeln!(f, "  {n} decisions were set aside: the experiment lost their arms while they were loaded")?;
        }
        let Counted { trials, rewards } = self.after;
        write!(f, "  the experiment counts {trials} trials and {rewards} rewards now")?;
        write!(f, " ({} and {} before)", self.before.trials, self.before.rewards)
    }
}
