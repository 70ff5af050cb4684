//! `cargo bench -p croupier --bench growth`: what a decision, a pass, a put and a list cost as there is more of everything.
//!
//! Each curve is measured in one run on one machine, its sizes in turns, so that what matters is their ratio to the smallest.
//! Words after `--` choose parts (`decide`, `updater`, `store`, `lists`, `overload`); `--save` writes their tables and pictures
//! into `docs/`. `GROWTH=short` takes small sizes, to see that it works; `GROWTH=long` the largest, which take an hour and
//! gigabytes of disk.

mod assignments;
mod curve;
mod decide;
mod lists;
mod overload;
mod passes;
#[expect(dead_code, reason = "shared with the other bench, which uses more of it")]
#[path = "../bench/server.rs"]
mod server;

use curve::Curve;
use std::process::ExitCode;

/// The server's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const PARTS: [&str; 5] = ["decide", "updater", "store", "lists", "overload"];

/// How large it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Extent {
    Short,
    Usual,
    Long,
}

impl Extent {
    fn read() -> Outcome<Self> {
        match std::env::var("GROWTH").as_deref() {
            Ok("short") => Ok(Self::Short),
            Ok("long") => Ok(Self::Long),
            Err(_) => Ok(Self::Usual),
            Ok(other) => Err(format!("GROWTH must be short or long, is '{other}'").into()),
        }
    }

    /// The sizes up to those that are for this extent.
    fn of<T: Copy>(self, sizes: &[(T, Extent)]) -> Vec<T> {
        sizes.iter().filter(|(_, from)| *from <= self).map(|(size, _)| *size).collect()
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if !args.iter().any(|a| a == "--bench") {
        println!("nothing is measured without optimisation: run 'cargo bench -p croupier --bench growth'");
        return ExitCode::SUCCESS;
    }
    match measure(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("growth: {e}");
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &[String]) -> Outcome<()> {
    let save = args.iter().any(|a| a == "--save");
    let words: Vec<&str> = args.iter().map(String::as_str).filter(|a| !a.starts_with("--")).collect();
    if let Some(other) = words.iter().find(|word| !PARTS.contains(word)) {
        return Err(format!("'{other}' is none of {PARTS:?}").into());
    }
    let extent = Extent::read()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    for part in PARTS.into_iter().filter(|part| words.is_empty() || words.contains(part)) {
        let curves: Vec<Curve> = runtime.block_on(async {
            match part {
                "decide" => decide::measure(extent).await,
                "updater" => passes::measure(extent).await,
                "store" => assignments::measure(extent).await,
                "lists" => lists::measure(extent),
                _ => overload::measure(extent).await,
            }
        })?;
        println!("\n{}", curve::table(&curves));
        if save {
            curve::save(part, &curves)?;
        }
    }
    Ok(())
}
