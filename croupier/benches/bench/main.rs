//! `cargo bench -p croupier --bench bench`: how fast, as ratios measured in one run on one machine.
//!
//! Absolute figures change with the machine and with what else it does; a ratio to a peer that was measured a
//! second earlier beside it does not. Words after `--` choose parts (`http`, `others`, `disk`, `bandit`); `--save` keeps
//! the figures as the baseline that later runs are compared with. A missed goal is reported, not an error.

mod bandit_math;
mod bare;
mod disk;
mod fsync;
mod http;
mod others;
#[expect(dead_code, reason = "shared with the soak test, which uses more of it")]
mod server;
mod table;
mod traffic;

use std::process::ExitCode;
use table::{Baseline, Line};
use tokio::signal::unix::{SignalKind, signal};

/// The server's allocator, so that the bare peer has it too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const PARTS: [&str; 4] = ["http", "others", "disk", "bandit"];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [bare::ARGUMENT] => bare::serve().map(|()| true),
        ref args if args.contains(&"--bench") => measure(args),
        _ => {
            println!("nothing is measured without optimisation: run 'cargo bench -p croupier --bench bench'");
            Ok(true)
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("bench: {e}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything could be measured.
fn measure(args: &[&str]) -> Outcome<bool> {
    let mut save = false;
    let mut chosen = Vec::new();
    for arg in args {
        match *arg {
            "--bench" => {}
            "--save" => save = true,
            part if PARTS.contains(&part) => chosen.push(part),
            other => return Err(format!("'{other}' is not --save or one of {PARTS:?}").into()),
        }
    }
    if chosen.is_empty() {
        chosen = PARTS.to_vec();
    }
    // One thread: the generator shares two or more cores with what it measures.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (lines, complete) = runtime.block_on(async {
        // Servers are ended when they are dropped, which a signal would not do by itself.
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            done = run(&chosen) => Ok(done),
            _ = tokio::signal::ctrl_c() => Err(Box::<dyn std::error::Error>::from("interrupted")),
            _ = terminate.recv() => Err("terminated".into()),
        }
    })?;
    let mut baseline = Baseline::read()?;
    println!("\n{}", table::render(&lines, &baseline));
    if save {
        baseline.take(&lines);
        baseline.write()?;
    }
    Ok(complete)
}

async fn run(chosen: &[&str]) -> (Vec<Line>, bool) {
    let (mut lines, mut complete) = (Vec::new(), true);
    for part in chosen {
        let measured = match *part {
            "http" => http::measure().await,
            "others" => others::measure().await,
            "disk" => disk::measure().await,
            _ => bandit_math::measure(),
        };
        match measured {
            Ok(more) => lines.extend(more),
            Err(e) => {
                eprintln!("{part} could not be measured: {e}");
                complete = false;
            }
        }
    }
    (lines, complete)
}
