//! A plan of an experiment that has not begun: what its form asks, within bounds, and what its simulation says.

use crate::address;
use crate::lang::{Lang, Phrase};
use crate::reasons::reason;
use axum::http::Uri;
use bandit::simulate::{Delay, Drift, Environment, Outlook, Phase, Rates};
use bandit::{PolicyKind, PolicySpec};
use std::str::FromStr;

/// Microseconds that the runs of both policies may take together, as [`cost`] reckons.
const BUDGET: f64 = 2_500_000.0;
/// Fewest and most runs of each policy.
const RUNS: [f64; 2] = [8.0, 100.0];
/// Widest spread of delays: a standard deviation of their logarithm.
const SIGMA: f64 = 0.8;

/// Everything that a plan is made from. Percentages are as they are typed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    pub(crate) arms: usize,
    pub(crate) base: f64,
    pub(crate) lift: f64,
    pub(crate) per_day: u32,
    pub(crate) delay_hours: f64,
    pub(crate) policy: String,
    pub(crate) days: u32,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            arms: 2,
            base: 5.0,
            lift: 20.0,
            per_day: 1_000,
            delay_hours: 2.0,
            policy: "recommended".into(),
            days: 28,
        }
    }
}

/// What was typed, and what is wrong with it.
pub(crate) struct Typed {
    pub(crate) values: [(&'static str, String); 7],
    pub(crate) errors: Vec<(&'static str, Phrase)>,
}

/// What the simulation says: the policy that was chosen, after an A/B test.
pub(crate) struct Plan {
    pub(crate) asked: Asked,
    pub(crate) environment: Environment,
    pub(crate) test: Outlook,
    pub(crate) chosen: Outlook,
}

impl Asked {
    /// Reads a query; what is not in it stands at its default.
    pub(crate) fn read(uri: &Uri, lang: Lang) -> (Typed, Option<(Self, PolicySpec)>) {
        let pairs = address::pairs(uri);
        let usual = Self::default();
        let given = |name: &str, usual: String| {
            let found = pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim().to_owned());
            found.unwrap_or(usual)
        };
        let values = [
            ("arms", given("arms", usual.arms.to_string())),
            ("base", given("base", usual.base.to_string())),
            ("lift", given("lift", usual.lift.to_string())),
            ("per_day", given("per_day", usual.per_day.to_string())),
            ("delay_hours", given("delay_hours", usual.delay_hours.to_string())),
            ("policy", given("policy", usual.policy)),
            ("days", given("days", usual.days.to_string())),
        ];
        let mut errors = Vec::new();
        let [arms, base, lift, per_day, delay, policy, days] = &values;
        let arms = within(arms, 2, 20, lang, &mut errors);
        let base = within(base, 0.01, 99.0, lang, &mut errors);
        let lift = within(lift, -90.0, 1_000.0, lang, &mut errors);
        let per_day = within(per_day, 24, 10_000_000, lang, &mut errors);
        let delay_hours = within(delay, 0.0, 168.0, lang, &mut errors);
        let days = within(days, 7, 90, lang, &mut errors);
        let spec = spec(&policy.1, lang, &mut errors);
        let policy = policy.1.clone();
        let read = (|| {
            let asked = Self {
                arms: arms?,
                base: base?,
                lift: lift?,
                per_day: per_day?,
                delay_hours: delay_hours?,
                policy,
                days: days?,
            };
            Some((asked, spec?))
        })();
        let read = read.filter(|(asked, spec)| asked.is_possible(spec, lang, &mut errors));
        (Typed { values, errors }, read)
    }

    /// What no field alone can tell.
    fn is_possible(&self, spec: &PolicySpec, lang: Lang, errors: &mut Vec<(&'static str, Phrase)>) -> bool {
        if self.base * (1.0 + self.lift / 100.0) > 100.0 {
            errors.push(("lift", lang.say("The better arm’s rate would be above 100%.", &[])));
        }
        let most = self.most_per_day();
        if most == 0 {
            errors.push((
                "days",
                lang.say(
                    "So many days with so many arms take too long to simulate. Plan fewer days, or fewer arms.",
                    &[],
                ),
            ));
        } else if self.per_day > most {
            let most = crate::format::Num::count(most.into());
            errors.push((
                "per_day",
                lang.say(
                    "At most {most} with so many arms and days, so that the simulation ends in seconds. With fewer days there is room for more; or plan for a part of the traffic.",
                    &[("most", (&most).into())],
                ),
            ));
        }
        let world = self.environment();
        if let Err(wrong) = world.experiment(spec) {
            let why = wrong.first().map_or_else(String::new, |e| reason(lang, &e.why));
            errors
                .push(("policy", lang.say("This policy cannot be simulated: {why}", &[("why", why.as_str().into())])));
        }
        errors.is_empty()
    }

    /// 0 where even the least takes too long.
    fn most_per_day(&self) -> u32 {
        let fits = |per_day: &u32| cost(self, *per_day) * 2.0 * RUNS[0] <= BUDGET;
        let steps = (1..=4_000_u32).map(|n| n * 24);
        steps.take_while(fits).last().unwrap_or(0)
    }

    /// Runs of each policy.
    pub(crate) fn runs(&self) -> u64 {
        let runs = BUDGET / (2.0 * cost(self, self.per_day));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let runs = runs.clamp(RUNS[0], RUNS[1]) as u64;
        runs
    }

    /// The world: one arm is better than the control by the lift, the others are like it.
    pub(crate) fn environment(&self) -> Environment {
        let base = self.base / 100.0;
        let mut rates = vec![base; self.arms];
        if let Some(last) = rates.last_mut() {
            *last = base * (1.0 + self.lift / 100.0);
        }
        Environment {
            name: String::new(),
            about: String::new(),
            days: self.days,
            trials_per_hour: hourly(self.per_day),
            update_hours: update_hours(self.days),
            window_hours: self.window_hours(),
            arms: self.arms,
            segments: Vec::new(),
            features: Vec::new(),
            phases: vec![Phase { from_day: 0.0, drift: Drift::default(), rates: Rates::Arms(rates) }],
            delay: Delay { median_minutes: self.delay_hours * 60.0, sigma: SIGMA },
        }
    }

    /// Hours within which rewards count: beyond six medians come one in eighty.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked before")]
    fn window_hours(&self) -> u32 {
        (6.0 * self.delay_hours).ceil().max(24.0) as u32
    }
}

fn hourly(per_day: u32) -> u32 {
    (per_day + 12) / 24
}

/// Longer runs learn less often, or recomputing would take most of the time.
fn update_hours(days: u32) -> u32 {
    if days <= 28 { 4 } else { 24 }
}

/// Microseconds of one run, as measured in a debug build: each trial draws from every arm, each update reads the hours whose
/// windows are open, each verdict takes quadrature.
fn cost(asked: &Asked, per_day: u32) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "at most 20")]
    let arms = asked.arms as f64;
    let updates = f64::from(asked.days * 24 / update_hours(asked.days));
    let open = f64::from((asked.window_hours() + 1).min(asked.days * 12));
    let days = f64::from(asked.days);
    let trials = 24.0 * f64::from(hourly(per_day)) * days;
    trials * (1.4 + 0.2 * arms) + updates * arms * (30.0 + 0.25 * open) + days * arms * 100.0
}

/// A policy that can be simulated where rates stand still: what it does when they change plays no part, and looking for
/// changes would take most of the time.
fn spec(given: &str, lang: Lang, errors: &mut Vec<(&'static str, Phrase)>) -> Option<PolicySpec> {
    let unknown = |errors: &mut Vec<(&'static str, Phrase)>, why: Phrase| errors.push(("policy", why));
    match PolicySpec::named(given) {
        Ok(Some(spec)) if !spec.kind.is_contextual() => Some(PolicySpec { on_change: bandit::OnChange::Keep, ..spec }),
        Ok(Some(_)) => {
            unknown(
                errors,
                lang.say("A contextual policy learns from features, which this simulation does not have.", &[]),
            );
            None
        }
        Ok(None) => {
            unknown(
                errors,
                lang.say(
                    "Write a kind such as thompson, or JSON as in an experiment’s policy, such as {example}.",
                    &[("example", r#"{"kind":"thompson","floor":0.01}"#.into())],
                ),
            );
            None
        }
        Err(why) => {
            unknown(errors, lang.say("This is not a policy: {why}", &[("why", reason(lang, &why).as_str().into())]));
            None
        }
    }
}

/// A number of a field.
fn within<T: FromStr + PartialOrd + Copy + std::fmt::Display>(
    (name, value): &(&'static str, String),
    low: T,
    high: T,
    lang: Lang,
    errors: &mut Vec<(&'static str, Phrase)>,
) -> Option<T> {
    let number = value.parse().ok().filter(|n| (low..=high).contains(n));
    if number.is_none() {
        let (low, high) = (low.to_string(), high.to_string());
        errors.push((
            name,
            lang.say(
                "Must be a number from {low} to {high}.",
                &[("low", low.as_str().into()), ("high", high.as_str().into())],
            ),
        ));
    }
    number
}

impl Plan {
    /// Simulates; none if the policy cannot be, which was asked before.
    pub(crate) fn simulated(asked: Asked, spec: PolicySpec) -> Option<Self> {
        let environment = asked.environment();
        let test = PolicySpec { kind: PolicyKind::Fixed, ..PolicySpec::default() };
        let mut found = environment.outlook(&[test, spec], asked.runs()).ok()?.into_iter();
        let (test, chosen) = (found.next()?, found.next()?);
        Some(Self { asked, environment, test, chosen })
    }
}
