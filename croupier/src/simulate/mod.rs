//! `croupier simulate`: policies tried in a made-up world, which knows what the best arm would have earned.
//!
//! [`world`] reads the environment, [`crate::rule`] the policies; `bandit::simulate` runs them; [`text`], [`report`] and
//! [`plot`] say what came of it.

mod error;
mod plot;
mod report;
mod text;
mod world;

pub use error::SimulateError;

use crate::evaluate::Output;
use crate::import::Shown;
use crate::import::progress::Progress;
use crate::rule::rule;
use bandit::PolicySpec;
use bandit::simulate::{Environment, Simulation, simulate};
use std::path::PathBuf;

/// Try policies in a made-up world and compare their regret.
///
/// ENV is a JSON file: arms and their rates, segments or features of visitors, changes, how late rewards come. Each seed
/// is a run of its own and brings every policy the same visitors, delays and luck, so that differences between policies
/// are known better than their regrets. Regret is what the best arm's rate was above the dealt arm's, summed over trials:
/// the rewards missed.
#[derive(Debug, Clone, clap::Args)]
#[command(after_long_help = HELP)]
pub struct SimulateArgs {
    /// The environment
    #[arg(value_name = "ENV")]
    pub environment: PathBuf,
    /// A policy to try; may be given several times (see below) [default: recommended, and thompson beside it]
    #[arg(long, value_name = "POLICY")]
    pub policy: Vec<String>,
    /// How many seeds, from 0 on, 1 to 10000
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub seeds: u64,
    /// How the answer is written
    #[arg(long, value_enum, default_value = "text")]
    pub format: Output,
    /// Also write a page with the mean cumulative regret by day
    #[arg(long, value_name = "FILE.html")]
    pub plot: Option<PathBuf>,
}

const HELP: &str = "\
Policies:
  recommended           settings that do well where rates stand still, where they change, where segments are many
  thompson              a kind with nothing else set; also top_two_thompson, epsilon_greedy, bayes_ucb, fixed,
                        logistic_thompson, linear_thompson
  '{\"kind\":\"thompson\",\"floor\":0.01}'
                        a policy as an experiment defines it
  @FILE                 such JSON in a file

Environment, with what may be left out in brackets:
  days, trials_per_hour, arms
  [name, about]         for people
  [update_hours]        from one update of posteriors to the next; 1
  [window_hours]        within which rewards count; 24
  [segments]            relative shares of segments, which policies without features learn apart
  [features]            [{\"name\":…,\"probability\":…}], which contextual policies learn from
  [delay]               {\"median_minutes\":…,\"sigma\":…} of rewards, log-normal
  phases                [{\"from_day\":0,\"drift\":\"abrupt\" or \"linear\",\"rates\":…}], with rates one of
    {\"arms\":[…]}        a rate for each arm
    {\"segments\":[[…]]}  for each segment, a rate for each arm
    {\"logit\":[[…]]}     for each arm the intercept and a slope for each feature, of the log-odds
    {\"beta\":[a,b]}      drawn for each seed and arm
    {\"effects\":{\"mean\":…,\"segments\":…,\"arms\":…,\"both\":…}}
                        log-odds drawn for each seed: their mean, and standard deviations";

/// A policy with the name it was given.
struct Named {
    name: String,
    spec: PolicySpec,
}

/// What came of it.
struct Report {
    environment: Environment,
    /// As on the command line, or the environment's.
    title: String,
    seeds: u64,
    names: Vec<String>,
    simulations: Vec<Simulation>,
}

const TAKEN: &str = "must be recommended, a kind, as thompson, JSON, as {\"kind\":\"thompson\",\"floor\":0.01}, or @FILE \
                     with such JSON";

/// Simulates what `args` ask for and gives the text to print. `progress` draws a bar on standard error.
///
/// # Errors
/// When the environment or a policy cannot be read or used, or the plot not be written.
pub fn run(args: &SimulateArgs, progress: bool) -> Result<String, SimulateError> {
    let environment = world::read(&args.environment)?;
    let policies = policies(&args.policy, &environment)?;
    // Before the work, so that it is not lost.
    let page = args.plot.as_deref().map(plot::Page::open).transpose()?;
    let specs: Vec<PolicySpec> = policies.iter().map(|p| p.spec.clone()).collect();
    let bar = Progress::new(progress).count("runs", args.seeds * specs.len() as u64);
    let simulations = simulate(&environment, &specs, args.seeds, || bar.inc(1))
        .map_err(|errors| SimulateError::policy(&args.policy.join(", "), &errors))?;
    bar.finish_and_clear();
    let title =
        if environment.name.is_empty() { args.environment.display().to_string() } else { environment.name.clone() };
    let names = policies.into_iter().map(|p| p.name).collect();
    let report = Report { environment, title, seeds: args.seeds, names, simulations };
    if let Some(page) = page {
        page.write(&report)?;
    }
    Ok(match args.format {
        Output::Text => text::write(&report),
        Output::Json => report::json(&report).to_string(),
    })
}

/// What was given, or what is worth comparing; each can run in the environment.
fn policies(given: &[String], environment: &Environment) -> Result<Vec<Named>, SimulateError> {
    let usual = ["recommended".to_owned(), "thompson".to_owned()];
    let given = if given.is_empty() { &usual } else { given };
    let named = |name: &String| {
        let spec = if name == "recommended" {
            PolicySpec::recommended(!environment.features.is_empty())
        } else {
            let unknown = || SimulateError::Policy { given: Shown::new(name), why: TAKEN.into() };
            rule(name)?.ok_or_else(unknown)?
        };
        environment.experiment(&spec).map_err(|errors| SimulateError::policy(name, &errors))?;
        Ok(Named { name: name.clone(), spec })
    };
    given.iter().map(named).collect()
}
