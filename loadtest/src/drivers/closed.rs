//! The closed loop: as fast as the target answers.

use super::error::Error;
use super::report::Report;
use super::request::Request;
use super::run::{Extent, Load, Run};
use std::time::Instant;
use tokio::task::JoinSet;

/// Loads the target with one request after the other on every connection. `source` gives the class and the
/// request for 0, 1, 2 …; it runs in the generator, so let it be cheap.
///
/// # Errors
/// When the target cannot be connected to or falls silent.
pub async fn closed<S>(load: &Load, extent: Extent, source: S) -> Result<Report, Error>
where
    S: Fn(u64) -> (usize, Request) + Send + Sync + 'static,
{
    let (run, connections) = Run::prepare(load, source).await?;
    let begun = Instant::now();
    let mut workers = JoinSet::new();
    for mut connection in connections {
        let run = run.clone();
        workers.spawn(async move {
            loop {
                let (index, now) = (run.claim(), Instant::now());
                let over = match extent {
                    Extent::Duration(duration) => now.duration_since(begun) >= duration,
                    Extent::Requests(requests) => index >= requests,
                };
                if over {
                    return Ok(());
                }
                run.send(&mut connection, index, now).await?;
            }
        });
    }
    run.finish(workers, begun, None).await
}
