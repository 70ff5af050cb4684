//! Each process says every few seconds what it is at, for people who look after it.

use api::App;
use bandit::Clock;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{ReplicaReport, Stores, Tally};

/// How often it speaks, and how long its word holds.
const BEAT: Duration = Duration::from_secs(3);
const LENGTH: Duration = Duration::from_secs(15);
/// What its newest numbers are of.
const MINUTE: Duration = Duration::from_secs(60);

/// Who speaks.
pub(crate) struct Beat {
    pub(crate) stores: Stores,
    pub(crate) clock: Arc<dyn Clock>,
    /// The API, if it is one.
    pub(crate) app: Option<Arc<App>>,
    /// As the updater's lease calls it.
    pub(crate) name: String,
    pub(crate) roles: Vec<String>,
}

impl Beat {
    /// Speaks until the future is dropped. Nothing depends on being heard.
    pub(crate) async fn keep(self) {
        let started_at = Some(self.clock.now());
        let mut tallies: VecDeque<(Instant, Tally)> = VecDeque::new();
        let mut ticks = tokio::time::interval(BEAT);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut heard = true;
        loop {
            ticks.tick().await;
            let own = self.app.as_ref().map_or_else(ReplicaReport::default, |app| app.report());
            let now = Instant::now();
            // The newest that is a minute old stays, to count from.
            while tallies.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= MINUTE) {
                tallies.pop_front();
            }
            let before = tallies.front().map_or_else(Tally::default, |(_, tally)| *tally);
            tallies.push_back((now, own.total));
            let report = ReplicaReport {
                roles: self.roles.clone(),
                started_at,
                last_minute: own.total.since(before),
                spooled: self.stores.events.spooled(),
                trouble: self.stores.events.trouble(),
                ..own
            };
            let said = self.stores.replicas.beat(&self.name, &report, LENGTH).await;
            if let Err(e) = &said
                && heard
            {
                tracing::warn!("this process cannot say that it lives: {e}");
            }
            heard = said.is_ok();
        }
    }
}
