//! A model for tests: quick, with vectors that say which text and version they are of, and failures on demand.

use crate::{EmbedError, Embedder};
use async_trait::async_trait;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::time::Duration;

/// Reads what an embeddings endpoint may have answered to two texts, of a model with vectors of three numbers.
///
/// # Panics
/// If what it takes are not two such vectors.
#[doc(hidden)]
pub fn answer(bytes: &[u8]) {
    if let Ok(vectors) = crate::endpoint::vectors(bytes, 2, 3) {
        assert!(vectors.len() == 2 && vectors.iter().all(|v| v.len() == 3 && v.iter().all(|x| x.is_finite())));
    }
}

/// Vectors of length 1 from a hash of version and text.
#[derive(Debug)]
pub struct Hashed {
    version: String,
    dimension: usize,
    batch: usize,
    delay: Duration,
    spoiled: Option<String>,
    /// Of the next calls.
    failures: Mutex<VecDeque<EmbedError>>,
    /// How many texts each call had.
    calls: Mutex<Vec<usize>>,
}

impl Hashed {
    /// Vectors of `dimension` numbers.
    #[must_use]
    pub fn new(version: impl Into<String>, dimension: usize) -> Self {
        Self {
            version: version.into(),
            dimension,
            batch: 32,
            delay: Duration::ZERO,
            spoiled: None,
            failures: Mutex::default(),
            calls: Mutex::default(),
        }
    }

    /// Asks for `batch` texts at once.
    #[must_use]
    pub fn with_batch(mut self, batch: usize) -> Self {
        self.batch = batch;
        self
    }

    /// Answers each call after `delay`.
    #[must_use]
    pub fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Refuses every call with a text that contains `spoiled`.
    #[must_use]
    pub fn refusing(mut self, spoiled: impl Into<String>) -> Self {
        self.spoiled = Some(spoiled.into());
        self
    }

    /// Fails the next call that nothing else fails yet.
    pub fn fail_next(&self, failure: EmbedError) {
        self.failures.lock().push_back(failure);
    }

    /// How many texts each call had so far.
    #[must_use]
    pub fn calls(&self) -> Vec<usize> {
        self.calls.lock().clone()
    }

    /// The vector of a text.
    #[must_use]
    pub fn vector(&self, text: &str) -> Vec<f32> {
        let block = |n: u32| {
            let mut hash = Sha256::new_with_prefix(n.to_le_bytes());
            hash.update((self.version.len() as u64).to_le_bytes());
            hash.update(&self.version);
            hash.update(text);
            hash.finalize()
        };
        let mut vector: Vec<f32> = (0..)
            .flat_map(|n| block(n).into_iter().map(|byte| f32::from(byte) - 127.5).collect::<Vec<_>>())
            .take(self.dimension)
            .collect();
        crate::numbers::normalise(&mut vector);
        vector
    }
}

#[async_trait]
impl Embedder for Hashed {
    fn version(&self) -> &str {
        &self.version
    }

    fn dimension(&self) -> usize {
        self.dimension
    }

    fn batch(&self) -> usize {
        self.batch
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        self.calls.lock().push(texts.len());
        tokio::time::sleep(self.delay).await;
        if let Some(failure) = self.failures.lock().pop_front() {
            return Err(failure);
        }
        if let Some(text) = self.spoiled.as_ref().and_then(|s| texts.iter().find(|t| t.contains(s.as_str()))) {
            return Err(EmbedError::Refused { why: format!("no vector of '{text}'") });
        }
        Ok(texts.iter().map(|text| self.vector(text)).collect())
    }
}
