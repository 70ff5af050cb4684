//! Asking stores with a deadline: a page about what is broken must come although it is.

use std::time::{Duration, Instant};
use store::Result;

/// Longest that a part of the page waits.
const DEADLINE: Duration = Duration::from_secs(1);
/// From here on an answer is called slow.
const SLOW: Duration = Duration::from_millis(250);

/// How a store answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    Ok,
    Slow,
    /// It failed, or did not answer in time.
    Away,
}

/// What came back, and how long it took.
pub(crate) struct Asked<T> {
    pub(crate) answer: Option<T>,
    pub(crate) took: Duration,
}

impl<T> Asked<T> {
    pub(crate) fn health(&self) -> Health {
        match &self.answer {
            None => Health::Away,
            Some(_) if self.took >= SLOW => Health::Slow,
            Some(_) => Health::Ok,
        }
    }
}

/// Asks; why there is no answer is logged.
pub(crate) async fn ask<T>(what: &str, question: impl Future<Output = Result<T>>) -> Asked<T> {
    let began = Instant::now();
    let answer = match tokio::time::timeout(DEADLINE, question).await {
        Ok(Ok(answer)) => Some(answer),
        Ok(Err(error)) => {
            tracing::error!(%error, "the pipeline page cannot read {what}");
            None
        }
        Err(_) => {
            tracing::error!("the pipeline page waits no longer for {what}");
            None
        }
    };
    Asked { answer, took: began.elapsed() }
}
