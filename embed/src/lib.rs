//! Text to vectors.

mod find;

pub use find::Find;

use async_trait::async_trait;
use std::time::Duration;

/// A model that makes vectors of texts.
#[async_trait]
pub trait Embedder: Send + Sync {
    /// Which model this is, exactly: vectors of two that differ in it are never compared.
    fn version(&self) -> &str;

    /// Numbers in each vector.
    fn dimension(&self) -> usize;

    /// Texts that are best given at once.
    fn batch(&self) -> usize;

    /// One vector of [`Embedder::dimension`] finite numbers for each text, in their order.
    ///
    /// # Errors
    /// When there is none for any of them.
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError>;
}

/// Why texts have no vectors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmbedError {
    /// They may have some later: a service is away, slow, or asks to wait.
    #[error("{why}")]
    Later {
        /// What failed.
        why: String,
        /// How long it asks to wait.
        after: Option<Duration>,
    },
    /// Trying again would change nothing. One text may spoil the others of its batch.
    #[error("{why}")]
    Refused {
        /// What is wrong with them, or with the model.
        why: String,
    },
}
