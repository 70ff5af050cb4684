//! The command line.

mod run;
mod target;

pub(crate) use run::{MapArgs, OutputArgs, SendArgs, TimingArgs};

use crate::read::{Input, Stamps};
use crate::report::Assertion;
use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Sends real traffic to an HTTP service, as it really was, and says how it answered.
///
/// Latency counts from the moment a request was due, whether earlier ones were answered or not. Exit codes: 0 done,
/// 1 failed or an assertion not met, 2 unusable arguments, 3 invalid, since this machine could not keep up.
#[derive(Debug, Parser)]
#[command(name = "loadtest", version, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send a log again
    ///
    /// Formats are told apart by themselves: common and combined logs of Apache and nginx, JSON logs of nginx, Envoy,
    /// Caddy and ALB, text logs of ALB and Envoy, GoReplay files, HAR, and decision logs; packed with gzip or
    /// Zstandard or not.
    ///
    ///   loadtest replay access.log.gz --target http://127.0.0.1:8080 --speed 10x --html report.html
    ///       --set experiment=product-page --map 'path:^/products/(?<item>[^/]+)' --map 'client:(?<user>.+)'
    #[command(verbatim_doc_comment)]
    Replay(Box<ReplayArgs>),
    /// Take requests that a proxy mirrors here, and send them on
    ///
    /// Receives what nginx `mirror`, Envoy `request_mirror_policies` or GoReplay sends, answers at once, and sends the
    /// mapped requests to a target. The source is never slowed: what does not fit into the queue is dropped and
    /// counted. See deploy/mirror/ for the proxies' settings.
    #[command(verbatim_doc_comment)]
    Mirror(Box<MirrorArgs>),
    /// Compare the reports of two runs
    Diff(DiffArgs),
}

/// Of `replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Logs in their order; - is standard input
    #[arg(required = true, value_name = "LOG")]
    pub(crate) logs: Vec<Input>,
    #[command(flatten)]
    pub(crate) send: SendArgs,
    #[command(flatten)]
    pub(crate) map: MapArgs,
    #[command(flatten)]
    pub(crate) timing: TimingArgs,
    /// Which end of a request the log's stamps are of; where it is the end, durations in the log are subtracted
    #[arg(long, value_enum, default_value_t, help_heading = "Timing")]
    pub(crate) stamps: Stamps,
    /// Only read and map: count lines, and show the first requests
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Look for the highest rate that meets these conditions, as in 'p99<10ms,errors<0.1%'
    #[arg(long, value_delimiter = ',', value_name = "CONDITIONS", conflicts_with_all = ["rate", "duration"])]
    pub(crate) find_rate: Vec<Assertion>,
    /// How long each rate is tried
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = crate::plan::duration)]
    pub(crate) find_step: std::time::Duration,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Of `mirror`.
#[derive(Debug, Args)]
pub(crate) struct MirrorArgs {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8090", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    /// Requests that may wait to be sent
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    pub(crate) queue: usize,
    /// Stop after so long; else with Ctrl-C
    #[arg(long, value_name = "TIME", value_parser = crate::plan::duration)]
    pub(crate) duration: Option<std::time::Duration>,
    #[command(flatten)]
    pub(crate) send: SendArgs,
    #[command(flatten)]
    pub(crate) map: MapArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// Report of a run, as --json wrote it
    pub(crate) a: PathBuf,
    /// Report of the other
    pub(crate) b: PathBuf,
}
