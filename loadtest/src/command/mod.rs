//! What each command does.

mod diff;
mod feed;
mod find;
mod finish;
mod interrupt;
mod listener;
mod mirror;
mod replay;
mod run;

use crate::args::{Cli, Command};
use crate::failure::Failure;
use clap::Parser;
use std::process::ExitCode;

/// How a command that did its work ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Good,
    NotMet,
    Invalid,
}

/// Runs the command line.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Replay(args) => replay::replay(&args),
        Command::Mirror(args) => mirror::mirror(&args),
        Command::Diff(args) => diff::diff(&args),
    };
    match done {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::NotMet) => ExitCode::from(1),
        Ok(Verdict::Invalid) => ExitCode::from(3),
        Err(failure) => {
            eprintln!("loadtest: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

/// Looks whether anybody listens, before anything is read or sent.
fn knock(targets: &[crate::send::Target], timeout: std::time::Duration) -> Result<(), Failure> {
    for target in targets {
        let refused = |e: std::io::Error| Failure::Connect { target: target.name.clone(), why: e.to_string() };
        std::net::TcpStream::connect_timeout(&target.address, timeout).map_err(refused)?;
    }
    Ok(())
}
