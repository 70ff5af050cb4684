//! A clock that steps an hour or a day, back and forth: days come again or are left out, and each keeps its answers.

use crate::support::{Server, croupier, five_arms};
use crate::{decide, not_run};
use jiff::Timestamp;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/clock.c");
const HOUR: i64 = 3_600;

/// The clock of processes that are started with it.
struct Clock {
    dir: tempfile::TempDir,
}

impl Clock {
    /// None without a C compiler.
    fn new() -> Option<Self> {
        let clock = Self { dir: tempfile::tempdir().unwrap() };
        clock.set(0);
        let library = clock.dir.path().join("clock.so");
        let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(library).args([SOURCE, "-ldl"]).status();
        if !compiled.is_ok_and(|status| status.success()) {
            not_run("a test of a clock that steps needs a C compiler, as cc");
            return None;
        }
        Some(clock)
    }

    /// So many seconds off the machine's.
    fn set(&self, seconds: i64) {
        // In place: processes look at these bytes.
        let file = std::fs::File::options().create(true).truncate(false).write(true).open(self.file()).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &seconds.to_le_bytes(), 0).unwrap();
    }

    fn file(&self) -> std::path::PathBuf {
        self.dir.path().join("offset")
    }

    fn serve(&self, data: &Path) -> Server {
        let data = data.display().to_string();
        let mut command = croupier(&["serve", "--log", "warn", "--listen", "127.0.0.1:0", "--data", &data]);
        command.env("LD_PRELOAD", self.dir.path().join("clock.so")).env("CLOCK_OFFSET", self.file());
        Server::of(command)
    }
}

/// Seconds until the next noon in UTC: an hour more or less is the same day.
#[expect(clippy::disallowed_methods, reason = "the machine's clock is what is stepped")]
fn until_noon() -> i64 {
    let now = Timestamp::now().as_second();
    (12 * HOUR - now).rem_euclid(24 * HOUR)
}

async fn dealt(server: &Server) -> Vec<(Value, Value)> {
    let mut all = Vec::new();
    for n in 0..20 {
        let decision = decide(server, &format!("u{n}")).await;
        assert_eq!(decision["source"], "policy");
        all.push((decision["day"].clone(), decision["arm"].clone()));
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_that_come_again_keep_their_answers() {
    let Some(clock) = Clock::new() else { return };
    let dir = tempfile::tempdir().unwrap();
    let noon = until_noon();
    let step = |hours: i64| clock.set(noon + hours * HOUR);
    step(0);
    let server = clock.serve(dir.path());
    server.run(&five_arms("page")).await;
    let today = dealt(&server).await;
    let day: jiff::civil::Date = today[0].0.as_str().unwrap().parse().unwrap();
    for hours in [1, -1, 0] {
        step(hours);
        assert_eq!(dealt(&server).await, today, "{hours} hours off");
        server.update("page").await;
    }
    step(24);
    let tomorrow = dealt(&server).await;
    assert_eq!(tomorrow[0].0, day.tomorrow().unwrap().to_string());
    // The updater lets go of old days here, and has its lease by this clock.
    server.update("page").await;
    step(-24);
    let yesterday = dealt(&server).await;
    assert_eq!(yesterday[0].0, day.yesterday().unwrap().to_string());
    server.update("page").await;
    for (hours, expected) in [(0, &today), (24, &tomorrow), (-24, &yesterday), (0, &today)] {
        step(hours);
        assert_eq!(dealt(&server).await, *expected, "{hours} hours off, again");
    }
    // Its lease would hold for a day more after its end, if the next believed the clock that it was taken by.
    step(24);
    server.update("page").await;
    server.kill();
    step(0);
    let server = clock.serve(dir.path());
    assert_eq!(dealt(&server).await, today, "from the disk");
    server.update("page").await;
    step(24);
    assert_eq!(dealt(&server).await, tomorrow, "from the disk");
    let results = server.get("/v1/experiments/page/results").await;
    assert_eq!(crate::trials(&results), 60, "{results}");
    server.stop();
}
