//! `croupier check`: every file of the stores on this machine's disk, looked at while no server has them open.

use crate::cli::Failure;
use crate::settings::Settings;
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Take out what is damaged in the middle of a log, and say what that was; the log as it was stays beside it
    #[arg(long)]
    mend: bool,
}

/// Says file by file what is found.
pub(crate) async fn run(args: &CheckArgs, settings: &Settings) -> Result<(), Failure> {
    let findings = store::check_files(&settings.locations, args.mend).await?;
    for finding in &findings {
        println!("{finding}");
    }
    match findings.iter().filter(|finding| !finding.ok).count() {
        0 => Ok(()),
        bad => Err(Failure::Failed(format!("{bad} of {} parts are damaged", findings.len()))),
    }
}
