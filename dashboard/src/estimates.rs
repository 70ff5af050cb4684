//! What other policies would have earned on an experiment's own log.

use crate::app::App;
use crate::failure::Failure;
use crate::work::computed;
use bandit::evaluate::{ArmRates, Evaluation, ModelSettings, Target, TargetError, Trials, Tuning};
use bandit::{PolicySpec, hour_of};
use jiff::{Span as Days, Timestamp, civil::Date, tz::TimeZone};
use store::{ExperimentRecord, Span, logged_trials};

/// Most trials that are read: the newest ones.
pub(crate) const MOST_TRIALS: u64 = 100_000;
/// Most arms that are each offered alone.
pub(crate) const MOST_ARMS: usize = 30;
/// Policies that learn are computed anew for each hour from all before it: cells (segment and arm) by hours, and by hours
/// squared, are bounded.
const MOST_CELLS: u64 = 15_000;
const MOST_STEPS: u64 = 4_000_000;

/// What is asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Asked {
    pub(crate) from: Option<Date>,
    /// The last day.
    pub(crate) to: Option<Date>,
    /// Policies that somebody typed.
    pub(crate) policies: Vec<String>,
}

/// What came of it.
pub(crate) struct Estimates {
    /// Mean reward of the policy that dealt the trials.
    pub(crate) logged: f64,
    /// Trials that were read.
    pub(crate) trials: u64,
    /// Trials left out since their rewards may still come.
    pub(crate) open: u64,
    /// Trials in the range.
    pub(crate) asked: u64,
    /// Since when trials were read, if not all were.
    pub(crate) cut: Option<Timestamp>,
    pub(crate) rows: Vec<Row>,
}

/// One policy.
pub(crate) struct Row {
    /// As it can be typed.
    pub(crate) given: String,
    pub(crate) kind: Kind,
    pub(crate) answer: Result<Evaluation, Unknown>,
}

/// Where a policy comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Uniform,
    Recommended,
    /// The experiment's own.
    Own,
    /// One arm alone, by its index.
    Arm(usize),
    Typed,
}

/// Why nothing is known of a policy.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Unknown {
    /// There is no such policy for this log.
    Target(TargetError),
    /// It would take too long here.
    TooLong,
    /// There are no two trials.
    NoTrials,
}

impl Estimates {
    /// Reads the log and evaluates every policy that is offered or asked for.
    pub(crate) async fn of(app: App, record: ExperimentRecord, asked: Asked) -> Result<Self, Failure> {
        let span = Span {
            from: asked.from.map_or(Timestamp::MIN, midnight),
            until: asked.to.map_or(Timestamp::MAX, |day| midnight(day.saturating_add(Days::new().days(1)))),
            most: Some(MOST_TRIALS),
        };
        let log = logged_trials(&*app.stores.outcomes, &record, span, app.now()).await?;
        computed(move || {
            let rates = model(&log.trials);
            let offered = offered(&record, &asked.policies);
            let row = |(kind, given): (Kind, String)| {
                let answer = evaluated(&given, &log.trials, &rates);
                Row { given, kind, answer }
            };
            Self {
                logged: log.trials.mean_reward(),
                trials: log.trials.len() as u64,
                open: log.trials.open,
                asked: log.asked,
                cut: log.cut,
                rows: offered.into_iter().map(row).collect(),
            }
        })
        .await
    }
}

fn midnight(day: Date) -> Timestamp {
    day.to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |z| z.timestamp())
}

/// As `croupier evaluate` fits it.
fn model(trials: &Trials) -> ArmRates {
    ArmRates::fit(&trials.arm, &trials.rewards, trials.arms.len(), ModelSettings::default())
}

fn evaluated(given: &str, trials: &Trials, rates: &ArmRates) -> Result<Evaluation, Unknown> {
    let target = Target::parse(given).map_err(Unknown::Target)?;
    if trials.len() < 2 {
        return Err(Unknown::NoTrials);
    }
    if matches!(target, Target::Learnt(_)) && !is_learnt_in_time(trials) {
        return Err(Unknown::TooLong);
    }
    let choices = target.choices(trials).map_err(Unknown::Target)?;
    // Two trials or more, and rows that the database took.
    trials.evaluate(&choices, rates, Tuning::default(), None).map_err(|_| Unknown::NoTrials)
}

fn is_learnt_in_time(trials: &Trials) -> bool {
    let mut hours: Vec<i64> = trials.at.iter().map(|at| hour_of(*at)).collect();
    hours.dedup();
    let (hours, cells) = (hours.len() as u64, (trials.segments.len() * trials.arms.len()) as u64);
    hours * cells <= MOST_CELLS && hours * hours * cells <= MOST_STEPS
}

/// What is offered for an experiment, and then what was typed beyond it.
pub(crate) fn offered(record: &ExperimentRecord, typed: &[String]) -> Vec<(Kind, String)> {
    let e = &record.definition;
    let mut all = vec![(Kind::Uniform, "uniform".to_owned())];
    // Trials in columns have no features.
    if !e.policy.kind.is_contextual() {
        all.push((Kind::Recommended, "recommended".into()));
        if e.policy != PolicySpec::recommended(false) {
            all.extend(serde_json::to_string(&e.policy).ok().map(|json| (Kind::Own, json)));
        }
    }
    let alone = e.arms.iter().enumerate().take(MOST_ARMS).filter(|(_, arm)| !arm.id.is_empty());
    all.extend(alone.map(|(i, arm)| (Kind::Arm(i), format!("arm:{}", arm.id))));
    for given in typed {
        if !all.iter().any(|(_, other)| other == given) {
            all.push((Kind::Typed, given.clone()));
        }
    }
    all
}
