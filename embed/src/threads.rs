//! Models that compute here, off the threads that answer requests.

use crate::{EmbedError, Embedder};
use async_trait::async_trait;
use std::num::NonZeroUsize;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Texts that are worth a thread of their own.
const PIECE: usize = 8;

/// A model that computes on the thread that calls it.
pub trait Model: Send + Sync {
    /// As [`Embedder::version`].
    fn version(&self) -> &str;

    /// As [`Embedder::dimension`].
    fn dimension(&self) -> usize;

    /// As [`Embedder::batch`].
    fn batch(&self) -> usize;

    /// As [`Embedder::embed`].
    ///
    /// # Errors
    /// When there is no vector for one of the texts.
    fn vectors(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError>;
}

/// Threads that models may keep busy at once, all of them together; callers wait in turn.
#[derive(Debug, Clone)]
pub struct Threads {
    most: NonZeroUsize,
    free: Arc<Semaphore>,
}

impl Threads {
    /// `most` threads.
    #[must_use]
    pub fn new(most: NonZeroUsize) -> Self {
        Self { most, free: Arc::new(Semaphore::new(most.get())) }
    }
}

/// A model on threads of its own.
pub struct Threaded<M> {
    model: Arc<M>,
    threads: Threads,
}

impl<M: Model> Threaded<M> {
    /// `model` on `threads`.
    #[must_use]
    pub fn new(model: M, threads: Threads) -> Self {
        Self { model: Arc::new(model), threads }
    }
}

/// Which texts go to which thread: shares of about equal work, since the long ones are dealt out first.
fn shares(texts: &[&str], threads: usize) -> Vec<Vec<usize>> {
    let shares = threads.min(texts.len().div_ceil(PIECE));
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|i| std::cmp::Reverse(texts[*i].len()));
    (0..shares).map(|share| order.iter().skip(share).step_by(shares).copied().collect()).collect()
}

#[async_trait]
impl<M: Model + 'static> Embedder for Threaded<M> {
    fn version(&self) -> &str {
        self.model.version()
    }

    fn dimension(&self) -> usize {
        self.model.dimension()
    }

    fn batch(&self) -> usize {
        self.model.batch()
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let ending = || EmbedError::Later { why: "the process is ending".into(), after: None };
        let mut running = Vec::new();
        for share in shares(texts, self.threads.most.get()) {
            let free = Arc::clone(&self.threads.free).acquire_owned().await.map_err(|_| ending())?;
            let model = Arc::clone(&self.model);
            let mine: Vec<String> = share.iter().map(|i| texts[*i].to_owned()).collect();
            let task = tokio::task::spawn_blocking(move || {
                // Whoever asked may be gone; the thread is busy all the same.
                let _busy = free;
                model.vectors(&mine)
            });
            running.push((share, task));
        }
        let mut vectors = vec![Vec::new(); texts.len()];
        for (share, task) in running {
            let broke = |e: tokio::task::JoinError| match e.is_panic() {
                true => EmbedError::Refused { why: "the model failed on the text".into() },
                false => ending(),
            };
            for (i, vector) in share.into_iter().zip(task.await.map_err(broke)??) {
                vectors[i] = vector;
            }
        }
        Ok(vectors)
    }
}

#[cfg(test)]
mod tests {
    use super::shares;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_text_is_in_one_share(texts in proptest::collection::vec("[a-z]{0,9}", 0..80), threads in 1..5_usize) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let shares = shares(&texts, threads);
            prop_assert!(shares.len() <= threads && shares.iter().all(|s| !s.is_empty()));
            let mut all: Vec<usize> = shares.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..texts.len()).collect::<Vec<_>>());
        }
    }
}
