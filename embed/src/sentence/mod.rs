//! Vectors of texts by an encoder.

use crate::threads::Model;
use crate::{EmbedError, ModelError};
use std::path::Path;

/// Not built yet.
pub struct SentenceModel(());

impl SentenceModel {
    /// Not built yet.
    ///
    /// # Errors
    /// Always.
    pub fn open(_: &Path) -> Result<Self, ModelError> {
        Err(ModelError::NotSet("sentence model"))
    }
}

impl Model for SentenceModel {
    fn version(&self) -> &'static str {
        ""
    }

    fn dimension(&self) -> usize {
        0
    }

    fn batch(&self) -> usize {
        0
    }

    fn vectors(&self, _: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        Ok(Vec::new())
    }
}
