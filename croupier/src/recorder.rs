//! Where measurements are gathered.

use crate::cli::Failure;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::time::Duration;

/// How often measurements are folded together for the next reading.
const UPKEEP: Duration = Duration::from_secs(5);
/// Bounds in seconds of the histogram of times.
const BUCKETS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// Installs it for this process.
pub(crate) fn install() -> Result<PrometheusHandle, Failure> {
    let handle = PrometheusBuilder::new()
        .set_buckets(&BUCKETS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|e| Failure::Failed(format!("metrics cannot be recorded: {e}")))?;
    api::describe_metrics();
    store::describe_metrics();
    updater::describe_metrics();
    Ok(handle)
}

/// Folds measurements together until it is dropped.
pub(crate) async fn keep_up(recorder: PrometheusHandle) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        ticks.tick().await;
        recorder.run_upkeep();
    }
}
