//! Text to vectors: one trait, [`Embedder`], and the models behind it. [`StaticModel`] and [`SentenceModel`] are read from a folder
//! and run here, [`Endpoint`] is asked over HTTP. [`Models`] are those that an operator has.

mod endpoint;
mod error;
mod find;
mod folder;
mod models;
mod numbers;
mod sentence;
mod static_model;
mod tensors;
pub mod testing;
mod threads;
mod tokens;

pub use endpoint::{Endpoint, EndpointSettings};
pub use error::{EmbedError, ModelError};
pub use find::Find;
pub use models::{Kind, Models};
pub use sentence::SentenceModel;
pub use static_model::StaticModel;
pub use threads::{Model, Threaded, Threads};

use async_trait::async_trait;

/// Most numbers in a vector.
pub const MAX_DIMENSION: usize = 4_096;

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
