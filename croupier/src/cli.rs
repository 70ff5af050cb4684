//! The command line.

use crate::evaluate::{EvaluateArgs, EvaluateError};
use crate::import::{ImportArgs, ImportError};
use crate::settings::{SettingArgs, Settings};
use crate::simulate::{SimulateArgs, SimulateError};
use crate::{admin, backup, check, demo, evaluate, import, keys, people, serve, simulate, telemetry, update};
use clap::{CommandFactory, Parser, Subcommand};
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;
use std::process::ExitCode;
use store::{RunKind, StoreError};

/// Deals each visitor the variant that is most likely to serve them, and learns from what happens.
#[derive(Parser)]
#[command(
    version,
    after_help = "Settings come from flags, then CROUPIER_* variables, then croupier.toml.\nExit codes: 0 done, 1 failed, 2 unusable arguments or settings."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    settings: SettingArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Everything on a temporary store, with experiments and simulated visitors on a fast clock
    Demo(demo::DemoArgs),
    /// API, updater and dashboard in one process
    Serve,
    /// The HTTP API alone
    Api,
    /// The updater alone: events in, posteriors out
    Updater {
        /// Do everything once, then exit
        #[arg(long)]
        once: bool,
        /// With --once: posteriors, vectors, lists, popular, maps or expired alone; again, for several
        #[arg(long, requires = "once", value_name = "KIND")]
        only: Vec<RunKind>,
    },
    /// The dashboard alone
    Dashboard,
    /// Make, list and revoke API keys
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Who may sign in to the dashboard
    #[command(subcommand)]
    People(people::PeopleCommand),
    /// Load a historic log of decisions and rewards
    Import(ImportArgs),
    /// Estimate what other policies would have earned, from a log
    Evaluate(Box<EvaluateArgs>),
    /// Try policies in a made-up world and compare their regret
    Simulate(SimulateArgs),
    /// Copy the stores on this machine's disk into a file, beside a running server or without one
    Backup(backup::BackupArgs),
    /// Make the stores of the settings from a backup, in an empty directory
    Restore(backup::RestoreArgs),
    /// Look at every file of the stores on this machine's disk, while no server has them open
    Check(check::CheckArgs),
    /// Make and verify tables, topics and subscriptions; ask a server whether it is ready
    #[command(subcommand)]
    Admin(admin::AdminCommand),
}

/// Why a command did not do its work.
#[derive(Debug)]
pub enum Failure {
    /// Arguments or settings cannot be used.
    Unusable(String),
    /// It failed.
    Failed(String),
}

impl Failure {
    pub(crate) fn unusable(setting: &str, value: &str, why: &str) -> Self {
        Self::Unusable(format!("{setting} = '{value}': {why}"))
    }

    /// 1 failed, 2 unusable.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed(_) => 1,
            Self::Unusable(_) => 2,
        })
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // What was given may be in it, and must not make two lines of one, nor command a terminal.
            Self::Unusable(line) | Self::Failed(line) => f.write_str(&line.replace(char::is_control, " ")),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(e: StoreError) -> Self {
        match e {
            StoreError::Setting { .. } => Self::Unusable(e.to_string()),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<ImportError> for Failure {
    fn from(e: ImportError) -> Self {
        if e.is_usage() { Self::Unusable(e.to_string()) } else { Self::Failed(e.to_string()) }
    }
}

impl From<SimulateError> for Failure {
    fn from(e: SimulateError) -> Self {
        if e.is_usage() { Self::Unusable(e.to_string()) } else { Self::Failed(e.to_string()) }
    }
}

impl From<EvaluateError> for Failure {
    fn from(e: EvaluateError) -> Self {
        if e.is_usage() { Self::Unusable(e.to_string()) } else { Self::Failed(e.to_string()) }
    }
}

/// Runs a command to its end.
///
/// # Errors
/// One line for people, and the exit code.
pub fn run(cli: Cli) -> Result<(), Failure> {
    store::choose_cryptography();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::Failed(format!("threads cannot be started: {e}")))?;
    runtime.block_on(dispatch(cli))
}

async fn dispatch(cli: Cli) -> Result<(), Failure> {
    let settings = Settings::load(&cli.settings)?;
    telemetry::log(&settings)?;
    for name in meaningless(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok())) {
        tracing::warn!("the variable {name} is no setting and changes nothing: --help of the command lists them");
    }
    let traces = telemetry::trace(&settings)?;
    let done = work(cli.command, &cli.settings, &settings).await;
    traces.end().await;
    done
}

/// Variables that are named like settings and are none, but for those that Kubernetes sets for a service of this name.
fn meaningless(names: impl Iterator<Item = String>) -> Vec<String> {
    fn add(command: &clap::Command, known: &mut HashSet<OsString>) {
        known.extend(command.get_arguments().filter_map(|argument| argument.get_env().map(OsStr::to_owned)));
        command.get_subcommands().for_each(|command| add(command, known));
    }
    let mut known = HashSet::new();
    add(&Cli::command(), &mut known);
    let services = |name: &str| name.contains("_SERVICE_") || name.contains("_PORT");
    names.filter(|n| n.starts_with("CROUPIER_") && !known.contains(OsStr::new(n)) && !services(n)).collect()
}

async fn work(command: Command, given: &SettingArgs, settings: &Settings) -> Result<(), Failure> {
    match command {
        Command::Demo(args) => demo::run(&args, given).await,
        Command::Serve => serve::run(settings, serve::Roles::ALL).await,
        Command::Api => serve::run(settings, serve::Roles::API).await,
        Command::Updater { once: false, .. } => serve::run(settings, serve::Roles::UPDATER).await,
        Command::Updater { once: true, only } => update::once(settings, &only).await,
        Command::Dashboard => serve::run(settings, serve::Roles::DASHBOARD).await,
        Command::Keys(command) => keys::run(command, settings).await,
        Command::People(command) => people::run(command, settings).await,
        Command::Backup(args) => backup::back_up(&args, settings).await,
        Command::Restore(args) => backup::restore(&args, settings).await,
        Command::Check(args) => check::run(&args, settings).await,
        Command::Admin(command) => admin::run(command, settings).await,
        Command::Import(args) => {
            let stores = store::open_database(&settings.locations).await?;
            let now = bandit::Clock::now(&crate::clock::SystemClock);
            let summary = import::run(&args, &stores, now, std::io::stderr().is_terminal()).await?;
            println!("{summary}");
            Ok(())
        }
        Command::Simulate(args) => {
            println!("{}", simulate::run(&args, std::io::stderr().is_terminal())?);
            Ok(())
        }
        Command::Evaluate(args) => {
            let now = bandit::Clock::now(&crate::clock::SystemClock);
            let stores = || store::open_existing_database(&settings.locations);
            println!("{}", evaluate::run(&args, stores, now, std::io::stderr().is_terminal()).await?);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn variables_that_set_nothing_are_known() {
        let given = ["CROUPIER_DURABLITY", "CROUPIER_DURABILITY", "CROUPIER_KEY", "CROUPIER_PORT_80_TCP", "HOME"];
        let kubernetes = ["CROUPIER_SERVICE_HOST", "CROUPIER_API_SERVICE_PORT", "CROUPIER_API_PORT"];
        let names = given.iter().chain(&kubernetes).map(|&name| name.to_owned());
        assert_eq!(meaningless(names), ["CROUPIER_DURABLITY"]);
    }
}
