//! `croupier evaluate`: what other policies would have earned on the traffic of a log.
//!
//! Trials are the log in columns, read from a file ([`table`]), from the platform's own records ([`records`]) or from
//! the database; [`policy`] says how likely a policy was to deal each arm to each of them, `bandit::evaluate` does the
//! statistics, [`report`] says what came of it.

mod error;
mod policy;
pub mod recommendations;
mod records;
mod report;
mod sequence;
mod shares;
mod table;
mod text;

pub use error::EvaluateError;

use crate::import::Format;
use bandit::evaluate::{ArmRates, Bootstrap, Evaluation, ModelSettings, Trials, Tuning};
use jiff::Timestamp;
use policy::Policy;
use sequence::Sequence;
use std::path::PathBuf;
use store::{DatabaseStores, Span, logged_trials};

/// Estimate what other policies would have earned, from a log of what one policy earned.
///
/// The log is a file of trials (CSV with a header, NDJSON or Parquet; CSV and NDJSON also packed by gzip) with columns
/// for arm, reward and propensity; or the platform's own events, as from BigQuery; or, without LOG, the experiment in
/// the database. A row that cannot be read ends the command, since an estimate from the rest would be another question's.
#[derive(Debug, Clone, clap::Args)]
#[command(after_long_help = HELP, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(disable_help_subcommand = true)]
pub struct EvaluateArgs {
    /// Something else than policies
    #[command(subcommand)]
    pub other: Option<Other>,
    /// The log; without it, trials come from the database
    #[arg(value_name = "LOG", required_unless_present = "experiment")]
    pub file: Option<PathBuf>,
    /// The policy to evaluate; may be given several times (see below)
    #[arg(long, value_name = "POLICY", required = true)]
    pub policy: Vec<String>,
    /// The experiment: in the database, or among those in a log of events
    #[arg(long, value_name = "ID")]
    pub experiment: Option<String>,
    /// Which column holds which field, for those not named like the field: arm, reward, propensity, at, context.NAME
    #[arg(long, value_name = "FIELD=COLUMN", value_delimiter = ',')]
    pub map: Vec<String>,
    /// What the file is; told from its name when absent
    #[arg(long, value_enum)]
    pub input: Option<Format>,
    /// How the answer is written
    #[arg(long, value_enum, default_value = "text")]
    pub format: Output,
    /// Name of the rewards that count, in a log of events that has several
    #[arg(long, value_name = "EVENT")]
    pub reward_event: Option<String>,
    /// Hours after a decision within which rewards count, in a log of events
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    pub window_hours: u32,
    /// Count only trials with an exposure event, in a log of events
    #[arg(long)]
    pub exposed: bool,
    /// Least probability with which the log's policy could deal any arm; makes confidence sequences narrower
    #[arg(long, value_name = "P")]
    pub floor: Option<f64>,
    /// Largest reward there can be, for confidence sequences [default: 1, if no reward is larger]
    #[arg(long, value_name = "R")]
    pub max_reward: Option<f64>,
    /// Bootstrap resamples, 0 for none [default: 10000, fewer from 100,000 rows on, at least 1000]
    #[arg(long, value_name = "N")]
    pub resamples: Option<usize>,
    /// Seed of the bootstrap: equal seeds give equal intervals
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Largest weight of clipped_ips
    #[arg(long, value_name = "W", default_value_t = Tuning::default().clip)]
    pub clip: f64,
    /// Weight above which switch_dr takes the reward model's word
    #[arg(long, value_name = "W", default_value_t = Tuning::default().switch)]
    pub switch: f64,
    /// λ of dr_os, which shrinks a weight w to λw / (w² + λ)
    #[arg(long, value_name = "LAMBDA", default_value_t = Tuning::default().shrinkage)]
    pub shrinkage: f64,
    /// Rows of the overall mean by which the reward model smooths each arm's mean
    #[arg(long, value_name = "ROWS", default_value_t = ModelSettings::default().prior_rows)]
    pub prior_rows: f64,
    /// Parts for cross-fitting the reward model; 1: none
    #[arg(long, value_name = "PARTS", default_value_t = ModelSettings::default().folds)]
    pub folds: usize,
}

/// What else can be evaluated.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Other {
    /// Try lists on a log of what visitors looked at
    Recommendations(Box<recommendations::RecommendationsArgs>),
}

const HELP: &str = "\
Policies:
  uniform               every arm alike
  arm:NAME              always this arm
  fixed:a=0.7,b=0.3     constant shares
  thompson              learnt from the log itself: each hour is dealt by what the hours before it taught;
                        also epsilon_greedy and the other kinds an experiment's policy may have
  '{\"kind\":\"thompson\",\"floor\":0.01}'
                        the same, as an experiment defines it
  @FILE                 such JSON in a file
  column:NAME           the log's column NAME holds the policy's probability of the logged arm
  file:PATH             a CSV table: first column the arm, last its probability, those between attributes of the
                        context, named as in --map context.NAME=…

Estimators (all in reward per trial): ips, clipped_ips, snips, dm, dr, sndr, switch_dr, dr_os. A confidence sequence is
wider than the intervals and holds whenever one looks, also when the log was dealt adaptively.";

/// How the answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Draws of the bootstrap when nobody says how many resamples: about ten seconds.
const DRAWS: usize = 1_000_000_000;

impl EvaluateArgs {
    fn tuning(&self) -> Tuning {
        Tuning { clip: self.clip, switch: self.switch, shrinkage: self.shrinkage }
    }

    fn bootstrap(&self, rows: usize) -> Option<Bootstrap> {
        let resamples = self.resamples.unwrap_or_else(|| (DRAWS / rows.max(1)).clamp(1_000, 10_000));
        (resamples > 0).then_some(Bootstrap { resamples, seed: self.seed })
    }

    fn model(&self) -> ModelSettings {
        ModelSettings { prior_rows: self.prior_rows, folds: self.folds.max(1) }
    }

    /// Says so if a setting cannot be used.
    fn check(&self) -> Result<(), EvaluateError> {
        let refuse = |setting, value: f64, must| Err(EvaluateError::Setting { setting, value, must });
        if let Some(floor) = self.floor.filter(|p| !(*p > 0.0 && *p <= 1.0)) {
            return refuse("floor", floor, "above 0 and at most 1");
        }
        if let Some(most) = self.max_reward.filter(|r| !(*r > 0.0 && *r <= 1e15)) {
            return refuse("max-reward", most, "above 0 and at most 1e15");
        }
        if !(0.0..=1e15).contains(&self.prior_rows) {
            return refuse("prior-rows", self.prior_rows, "from 0 to 1e15");
        }
        for (setting, value) in [("clip", self.clip), ("switch", self.switch), ("shrinkage", self.shrinkage)] {
            if !(value > 0.0 && value <= 1e15) {
                return refuse(setting, value, "above 0 and at most 1e15");
            }
        }
        Ok(())
    }
}

/// One policy's answer.
struct Answer {
    /// As it was given.
    policy: String,
    evaluation: Evaluation,
    sequence: Sequence,
}

/// What came of it.
struct Report {
    /// Where the log is.
    log: String,
    trials: Trials,
    model: ModelSettings,
    answers: Vec<Answer>,
}

/// Evaluates what `args` ask for, as of `now`, and gives the text to print. `stores` is opened only for a log that is in
/// the database; `progress` draws a bar on standard error.
///
/// # Errors
/// When the log cannot be read, or a policy not be understood.
pub async fn run<F>(
    args: &EvaluateArgs,
    stores: impl FnOnce() -> F,
    now: Timestamp,
    progress: bool,
) -> Result<String, EvaluateError>
where
    F: Future<Output = store::Result<DatabaseStores>>,
{
    if let Some(Other::Recommendations(args)) = &args.other {
        return Ok(recommendations::run(args, progress)?);
    }
    args.check()?;
    let policies = args.policy.iter().map(|given| Policy::parse(given)).collect::<Result<Vec<_>, _>>()?;
    let (log, trials) = match &args.file {
        Some(file) => (file.display().to_string(), table::read(args, file, &policies, progress)?),
        None => {
            let id = args.experiment.clone().unwrap_or_default();
            (format!("experiment '{id}'"), of_database(&stores().await?, &id, now).await?)
        }
    };
    if trials.len() < 2 {
        return Err(EvaluateError::NoTrials { log, left_out: trials.open });
    }
    let rates = ArmRates::fit(&trials.arm, &trials.rewards, trials.arms.len(), args.model());
    let answers = policies
        .iter()
        .zip(&args.policy)
        .map(|(policy, given)| answer(args, &trials, &rates, policy, given))
        .collect::<Result<Vec<_>, _>>()?;
    let report = Report { log, trials, model: args.model(), answers };
    Ok(match args.format {
        Output::Text => text::write(&report),
        Output::Json => report::json(&report).to_string(),
    })
}

fn answer(
    args: &EvaluateArgs,
    trials: &Trials,
    rates: &ArmRates,
    policy: &Policy,
    given: &str,
) -> Result<Answer, EvaluateError> {
    let choices = policy.choices(given, trials)?;
    let evaluation = trials.evaluate(&choices, rates, args.tuning(), args.bootstrap(trials.len()))?;
    let evaluated = choices.of_logged(trials);
    let sequence = Sequence::of(args, trials, &choices, &evaluated);
    Ok(Answer { policy: given.to_owned(), evaluation, sequence })
}

/// The trials of an experiment, whose windows are closed `now`.
async fn of_database(stores: &DatabaseStores, id: &str, now: Timestamp) -> Result<Trials, EvaluateError> {
    let Some(record) = stores.experiments.get(id).await? else {
        return Err(EvaluateError::NoExperiment(id.into()));
    };
    if record.definition.candidates.is_some() {
        return Err(EvaluateError::Lists(id.into()));
    }
    Ok(logged_trials(&*stores.outcomes, &record, Span::ALL, now).await?.trials)
}
