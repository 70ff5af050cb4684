//! A world to try policies in, as a file describes it.

use super::streams::{self, DELAY, FEATURE, OUTCOME, PARAMETER, SEGMENT};
use crate::beta::sigmoid;
use crate::id::check_id;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};
use serde::Deserialize;

const MOST_ARMS: usize = 100;
const MOST_SEGMENTS: usize = 100_000;
const MOST_TRIALS: u64 = 100_000_000;
/// Ten years: each run keeps its regret of every day.
const MOST_DAYS: u32 = 3_650;
/// Of all phases, segments and arms.
const MOST_RATES: usize = 10_000_000;

/// Arms, their rates, visitors and how late rewards come.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct Environment {
    /// What it is called.
    #[serde(default)]
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub about: String,
    /// Days that a run lasts.
    pub days: u32,
    /// Trials of every hour.
    pub trials_per_hour: u32,
    /// Hours from one update of the posteriors to the next.
    #[serde(default = "one")]
    pub update_hours: u32,
    /// Hours after its decision within which a reward counts.
    #[serde(default = "day")]
    pub window_hours: u32,
    /// Number of arms.
    pub arms: usize,
    /// Relative shares of the segments that visitors fall into; none for one segment.
    #[serde(default)]
    pub segments: Vec<f64>,
    /// What is known of a visitor.
    #[serde(default)]
    pub features: Vec<SimulatedFeature>,
    /// The rates, and what they change to.
    pub phases: Vec<Phase>,
    /// How late rewards come.
    #[serde(default)]
    pub delay: Delay,
}

fn one() -> u32 {
    1
}

fn day() -> u32 {
    24
}

/// A feature of visitors: 1 with a probability, else 0.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct SimulatedFeature {
    /// Its name.
    pub name: String,
    /// Share of visitors who have it.
    pub probability: f64,
}

/// Rates from a day on.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct Phase {
    /// First day, from 0.
    #[serde(default)]
    pub from_day: f64,
    /// How the rates come to be what they are.
    #[serde(default)]
    pub drift: Drift,
    /// The rates.
    pub rates: Rates,
}

/// How rates get from the phase before to this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drift {
    /// All at once, when it begins.
    #[default]
    Abrupt,
    /// In a straight line from its beginning to the next phase's, or to the end.
    Linear,
}

/// Probabilities of success.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Rates {
    /// One for each arm.
    Arms(Vec<f64>),
    /// For each segment, one for each arm.
    Segments(Vec<Vec<f64>>),
    /// For each arm the intercept and a slope for each feature, of the log-odds.
    Logit(Vec<Vec<f64>>),
    /// Drawn for each seed and arm from Beta(α, β).
    Beta([f64; 2]),
    /// Log-odds drawn for each seed: a mean, and standard deviations of segments, arms and each arm in each segment.
    Effects {
        /// Log-odds of an average arm in an average segment.
        mean: f64,
        /// Standard deviation of the segments' level.
        segments: f64,
        /// Standard deviation of the arms' level.
        arms: f64,
        /// Standard deviation of an arm in a segment.
        both: f64,
    },
}

/// How long after its decision a reward comes: log-normal.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct Delay {
    /// Half of the rewards have come by then; 0 for at once.
    #[serde(default)]
    pub median_minutes: f64,
    /// Standard deviation of the delay's logarithm.
    #[serde(default)]
    pub sigma: f64,
}

/// Why an environment cannot be simulated: field and reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct EnvironmentError {
    /// Where.
    pub field: String,
    /// What it may be.
    pub why: String,
}

impl Environment {
    /// Rounds of a run.
    #[must_use]
    pub fn trials(&self) -> u64 {
        self.hours().saturating_mul(self.trials_per_hour.into())
    }

    /// Hours of a run.
    #[must_use]
    pub fn hours(&self) -> u64 {
        u64::from(self.days) * 24
    }

    /// Checks what came from a file.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self) -> Result<(), EnvironmentError> {
        let fail = |field: &str, why: String| Err(EnvironmentError { field: field.into(), why });
        let share = |x: f64| (0.0..=1.0).contains(&x);
        let within = |n: u64, most: u64| (1..=most).contains(&n);
        if !self.name.is_empty()
            && let Err(why) = check_id(&self.name)
        {
            return fail("name", why.to_string());
        }
        if !within(self.days.into(), MOST_DAYS.into()) {
            return fail("days", format!("must be 1 to {MOST_DAYS}, and is {}", self.days));
        }
        if !within(self.trials(), MOST_TRIALS) {
            return fail(
                "trials_per_hour",
                format!("days × 24 × trials_per_hour must be 1 to {MOST_TRIALS}, and is {}", self.trials()),
            );
        }
        if !within(u64::from(self.update_hours), self.hours()) {
            return fail("update_hours", "must be 1 hour to the run's length".into());
        }
        if !within(u64::from(self.window_hours), 2_160) {
            return fail("window_hours", "must be 1 to 2160".into());
        }
        if !(2..=MOST_ARMS).contains(&self.arms) {
            return fail("arms", format!("must be 2 to {MOST_ARMS}"));
        }
        let sound = self.segments.iter().all(|s| s.is_finite() && *s >= 0.0);
        if self.segments.len() > MOST_SEGMENTS
            || !sound
            || (!self.segments.is_empty() && self.segments.iter().sum::<f64>() <= 0.0)
        {
            return fail("segments", format!("must be at most {MOST_SEGMENTS} shares, 0 or more, and not all 0"));
        }
        for (i, f) in self.features.iter().enumerate() {
            if !share(f.probability)
                || check_id(&f.name).is_err()
                || self.features[..i].iter().any(|g| g.name == f.name)
            {
                return fail(&format!("features[{i}]"), "needs a name of its own and a probability of 0 to 1".into());
            }
        }
        if !(0.0..=1e6).contains(&self.delay.median_minutes) || !(0.0..=10.0).contains(&self.delay.sigma) {
            return fail("delay", "median_minutes must be 0 to 1000000, sigma 0 to 10".into());
        }
        if self.phases.first().is_none_or(|p| p.from_day != 0.0)
            || !self.phases.is_sorted_by(|a, b| a.from_day < b.from_day)
        {
            return fail("phases", "must begin with one from day 0 and be in order".into());
        }
        if self.phases.len().saturating_mul(self.segments.len().max(1) * self.arms) > MOST_RATES {
            return fail("phases", format!("phases × segments × arms must be at most {MOST_RATES}"));
        }
        for (i, phase) in self.phases.iter().enumerate() {
            let rates = |list: &[f64]| list.len() == self.arms && list.iter().all(|&p| share(p));
            let spread = |x: f64| (0.0..=20.0).contains(&x);
            let (ok, why) = match &phase.rates {
                Rates::Arms(list) => (rates(list), "must be one rate of 0 to 1 for each arm"),
                Rates::Segments(lists) => (
                    lists.len() == self.segments.len() && lists.iter().all(|l| rates(l)),
                    "must be a list for each segment, of one rate of 0 to 1 for each arm",
                ),
                Rates::Logit(lists) => (
                    lists.len() == self.arms
                        && lists.iter().all(|l| l.len() == self.features.len() + 1 && l.iter().all(|x| x.abs() <= 1e3)),
                    "must be a list for each arm, of an intercept and a slope for each feature",
                ),
                Rates::Beta([a, b]) => {
                    ([a, b].iter().all(|x| (1e-3..=1e9).contains(*x)), "must be two numbers of 0.001 to 1e9")
                }
                Rates::Effects { mean, segments, arms, both } => (
                    mean.abs() <= 20.0 && spread(*segments) && spread(*arms) && spread(*both),
                    "must be a mean of -20 to 20 and standard deviations of 0 to 20",
                ),
            };
            if !ok {
                return fail(&format!("phases[{i}].rates"), why.into());
            }
        }
        Ok(())
    }

    /// The world of one seed.
    #[must_use]
    pub fn world(&self, seed: u64) -> World<'_> {
        let total: f64 = self.segments.iter().sum();
        let shares = self.segments.iter().scan(0.0, |sum, s| {
            *sum += s;
            Some(*sum / total)
        });
        let phases = self.phases.iter().enumerate().map(|(i, phase)| drawn(self, phase, seed, i as u64)).collect();
        World { environment: self, seed, shares: shares.collect(), phases }
    }
}

/// Rates with nothing left to draw.
enum Known {
    /// Row for each segment.
    Table(Vec<Vec<f64>>),
    Logit(Vec<Vec<f64>>),
}

fn drawn(e: &Environment, phase: &Phase, seed: u64, number: u64) -> Known {
    let mut rng = ChaCha8Rng::seed_from_u64(streams::bits(seed, PARAMETER, number));
    match &phase.rates {
        Rates::Arms(list) => Known::Table(vec![list.clone()]),
        Rates::Segments(lists) => Known::Table(lists.clone()),
        Rates::Logit(lists) => Known::Logit(lists.clone()),
        Rates::Beta([a, b]) => {
            let rate = rand_distr::Beta::new(*a, *b);
            Known::Table(vec![(0..e.arms).map(|_| rate.map_or(0.5, |rate| rate.sample(&mut rng))).collect()])
        }
        Rates::Effects { mean, segments, arms, both } => {
            let mut normal = |sd: f64| Normal::new(0.0, sd).map_or(0.0, |n| n.sample(&mut rng));
            let levels: Vec<f64> = (0..e.arms).map(|_| normal(*arms)).collect();
            let row = |_| {
                let level = mean + normal(*segments);
                levels.iter().map(|arm| sigmoid(level + arm + normal(*both))).collect()
            };
            Known::Table((0..e.segments.len().max(1)).map(row).collect())
        }
    }
}

/// An environment under one seed. Rounds are counted from 0.
pub struct World<'a> {
    environment: &'a Environment,
    seed: u64,
    /// Cumulated shares of segments.
    shares: Vec<f64>,
    phases: Vec<Known>,
}

/// Who comes in a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// Index of the segment.
    pub segment: usize,
    /// Which features they have.
    pub features: Vec<bool>,
}

impl World<'_> {
    /// The visitor of a round.
    #[must_use]
    pub fn visitor(&self, round: u64) -> Visitor {
        let segment = if self.shares.is_empty() {
            0
        } else {
            let u = streams::uniform(self.seed, SEGMENT, round);
            self.shares.partition_point(|&s| s <= u).min(self.shares.len() - 1)
        };
        let has =
            |(j, f): (usize, &SimulatedFeature)| streams::uniform(self.seed, FEATURE + j as u64, round) < f.probability;
        Visitor { segment, features: self.environment.features.iter().enumerate().map(has).collect() }
    }

    /// The rate of each arm for a visitor in a round.
    #[must_use]
    pub fn rates(&self, visitor: &Visitor, round: u64) -> Vec<f64> {
        #[expect(clippy::cast_precision_loss, reason = "rounds are few")]
        let day = round as f64 / (24.0 * f64::from(self.environment.trials_per_hour));
        let phases = &self.environment.phases;
        let now = phases.partition_point(|p| p.from_day <= day).max(1) - 1;
        let rates = self.phases[now].of(visitor);
        if phases[now].drift == Drift::Abrupt || now == 0 {
            return rates;
        }
        let end = phases.get(now + 1).map_or(f64::from(self.environment.days), |p| p.from_day);
        let part = (day - phases[now].from_day) / (end - phases[now].from_day);
        let before = self.phases[now - 1].of(visitor);
        before.iter().zip(&rates).map(|(b, r)| b + part * (r - b)).collect()
    }

    /// Whether an arm of this rate succeeds in a round: better arms succeed whenever worse ones do.
    #[must_use]
    pub fn succeeds(&self, rate: f64, round: u64) -> bool {
        streams::uniform(self.seed, OUTCOME, round) < rate
    }

    /// Minutes from a round's decision to its reward.
    #[must_use]
    pub fn delay_minutes(&self, round: u64) -> f64 {
        let Delay { median_minutes, sigma } = self.environment.delay;
        median_minutes * (sigma * streams::normal(self.seed, DELAY, round)).exp()
    }

    /// Minutes from the beginning of the run to a round.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "rounds are few")]
    pub fn minute(&self, round: u64) -> f64 {
        let hourly = u64::from(self.environment.trials_per_hour);
        60.0 * (round / hourly) as f64 + 60.0 * ((round % hourly) as f64 + 0.5) / hourly as f64
    }
}

impl Known {
    fn of(&self, visitor: &Visitor) -> Vec<f64> {
        match self {
            Self::Table(rows) => rows[visitor.segment.min(rows.len() - 1)].clone(),
            Self::Logit(arms) => arms
                .iter()
                .map(|coefficients| {
                    let slopes = coefficients[1..].iter().zip(&visitor.features);
                    sigmoid(coefficients[0] + slopes.map(|(c, &has)| if has { *c } else { 0.0 }).sum::<f64>())
                })
                .collect(),
        }
    }
}
