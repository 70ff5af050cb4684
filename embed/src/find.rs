//! Where models are found.

use crate::Embedder;
use async_trait::async_trait;
use std::fmt::Debug;
use std::sync::Arc;

/// Finds models by kind and name, as definitions have them.
#[async_trait]
pub trait Find: Debug + Send + Sync {
    /// The model; a `dimension`, where one is given, is that of its vectors.
    ///
    /// # Errors
    /// One line for people: what is missing or wrong, and what to do.
    async fn find(&self, kind: &str, name: &str, dimension: Option<usize>) -> Result<Arc<dyn Embedder>, String>;
}
