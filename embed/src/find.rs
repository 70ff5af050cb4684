//! Where models are found.

use crate::{Embedder, Kind, Models};
use async_trait::async_trait;
use std::fmt;
use std::sync::Arc;

/// Finds models by kind and name, as definitions have them.
#[async_trait]
pub trait Find: fmt::Debug + Send + Sync {
    /// The model; a `dimension`, where one is given, is that of its vectors.
    ///
    /// # Errors
    /// One line for people: what is missing or wrong, and what to do.
    async fn find(&self, kind: &str, name: &str, dimension: Option<usize>) -> Result<Arc<dyn Embedder>, String>;
}

/// Models behind an `Arc`, since a folder is read on a thread of its own.
#[async_trait]
impl Find for Arc<Models> {
    async fn find(&self, kind: &str, name: &str, dimension: Option<usize>) -> Result<Arc<dyn Embedder>, String> {
        let known = [Kind::Static, Kind::Sentence, Kind::Endpoint].into_iter().find(|known| known.as_str() == kind);
        let kind = known.ok_or_else(|| format!("there are no models of kind '{}'", kind.escape_debug()))?;
        let (models, name) = (Arc::clone(self), name.to_owned());
        let found = tokio::task::spawn_blocking(move || models.get(kind, &name, dimension)).await;
        found.map_err(|e| format!("the model could not be read: {e}"))?.map_err(|e| e.to_string())
    }
}

impl fmt::Debug for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Models")
    }
}
