//! What an assignment takes on the disk once the log has been consumed.

use crate::Outcome;
use crate::server::{Server, disk_bytes};
use crate::table::{Against, Goal, Line};
use crate::traffic::{CLASSES, EXPERIMENT, experiment, strangers};
use loadtest::{Extent, Load, closed};
use std::time::{Duration, Instant};

/// Sets the number of assignments.
const VARIABLE: &str = "CROUPIER_BENCH_ASSIGNMENTS";
const ASSIGNMENTS: u64 = 200_000;
/// From so many on, journals of fixed size are a small part, and the goal is judged.
const ENOUGH: u64 = 1_000_000;
/// How long background work on the files may go on after the update.
const SETTLING: Duration = Duration::from_secs(10);

pub(crate) async fn measure() -> Outcome<Vec<Line>> {
    let assignments = match std::env::var(VARIABLE) {
        Ok(n) => n.parse().map_err(|_| format!("{VARIABLE} must be a number, is '{n}'"))?,
        Err(_) => ASSIGNMENTS,
    };
    let server = Server::start(&[]).await?;
    server.begin(&experiment()).await?;
    let report =
        closed(&Load::new(server.address, 256, &CLASSES), Extent::Requests(assignments), strangers("stranger")).await?;
    if report.succeeded() != assignments {
        return Err(format!("not every first decision succeeded: {report}").into());
    }
    println!("first decisions: {:.0}/s", report.rate());
    let begun = Instant::now();
    server.update(EXPERIMENT).await?;
    println!("the update that read them took {:.1} s", begun.elapsed().as_secs_f64());
    let backlog = server.metric("croupier_log_backlog_events", "").await?;
    if backlog > 0.0 {
        return Err(format!("{backlog} records are still in the log after an update").into());
    }
    let bytes = settled(&server).await?;
    #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
    let megabytes = bytes as f64 / assignments as f64;
    if assignments < ENOUGH {
        println!("the goal for the disk is judged from {ENOUGH} assignments on: set {VARIABLE}");
    }
    Ok(vec![Line {
        key: "disk_per_million",
        what: format!("disk per million assignments, after {assignments}"),
        measured: megabytes,
        unit: "MB",
        against: Against::Limit(250.0),
        goal: if assignments >= ENOUGH { Goal::AtMost(1.0) } else { Goal::None },
    }])
}

/// The directory's size once it has stood still for two seconds.
async fn settled(server: &Server) -> Outcome<u64> {
    let begun = Instant::now();
    let mut size = disk_bytes(&server.data())?;
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = disk_bytes(&server.data())?;
        if now == size || begun.elapsed() > SETTLING {
            return Ok(now);
        }
        size = now;
    }
}
