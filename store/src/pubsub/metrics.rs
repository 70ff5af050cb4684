//! What is measured of the spool.

use super::room::Load;
use metrics::{counter, describe_counter, describe_gauge, gauge};

/// Tells the recorder what each metric means.
pub(crate) fn describe_metrics() {
    describe_gauge!("croupier_spool_events", "Events that wait in the spool for Pub/Sub.");
    describe_gauge!("croupier_spool_bytes", "Bytes of the events that wait in the spool.");
    describe_counter!("croupier_spooled_total", "Events put into the spool since Pub/Sub did not answer in time.");
    describe_counter!("croupier_replayed_total", "Events that Pub/Sub took from the spool.");
    describe_counter!("croupier_spool_refused_total", "Events refused since the spool had no room.");
}

#[expect(clippy::cast_precision_loss, reason = "exact up to petabytes")]
pub(super) fn waiting(load: Load) {
    gauge!("croupier_spool_events").set(load.events as f64);
    gauge!("croupier_spool_bytes").set(load.bytes as f64);
}

pub(super) fn spooled(load: Load) {
    counter!("croupier_spooled_total").increment(load.events);
}

pub(super) fn replayed(load: Load) {
    counter!("croupier_replayed_total").increment(load.events);
}

pub(super) fn refused(load: Load) {
    counter!("croupier_spool_refused_total").increment(load.events);
}
