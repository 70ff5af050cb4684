//! What a run did one after the other.

use std::time::{Duration, Instant};
use store::RunStep;

/// Steps under way, each with the time it took: one that comes again adds to it.
#[derive(Default)]
pub(crate) struct Steps(Vec<(&'static str, Duration)>);

impl Steps {
    /// Does `work` as a part of the step `name`.
    pub(crate) async fn time<T>(&mut self, name: &'static str, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let done = work.await;
        let took = began.elapsed();
        match self.0.iter_mut().find(|(other, _)| *other == name) {
            Some((_, sum)) => *sum += took,
            None => self.0.push((name, took)),
        }
        done
    }

    /// The steps, with what came of each.
    pub(crate) fn told(self, detail: impl Fn(&str) -> String) -> Vec<RunStep> {
        let step = |(name, took): (&'static str, Duration)| RunStep {
            name: name.to_owned(),
            duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            detail: detail(name),
        };
        self.0.into_iter().map(step).collect()
    }
}
