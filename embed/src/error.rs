//! Why there is no vector, or no model.

use std::path::PathBuf;
use std::time::Duration;

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

/// Why a model cannot be used; each is one line that says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// A file of it is missing or broken.
    #[error("{}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// There is no folder of that name.
    #[error("there is no model '{name}': {}", if there.is_empty() { "the directory of models has no folders".into() } else { format!("there are {}", there.join(", ")) })]
    Unknown {
        /// Which was asked for.
        name: String,
        /// The folders that there are.
        there: Vec<String>,
    },
    /// That is no folder's name, whatever there is.
    #[error("'{0}' is not the name of a model: a letter or digit, then letters, digits, '.', '_' or '-', 128 at most")]
    Name(String),
    /// Models of that kind are not set up.
    #[error("no {0} is set: models of this kind need one")]
    NotSet(&'static str),
    /// The model has vectors of another size.
    #[error("model '{name}' makes vectors of {has} numbers, not {wanted}")]
    Dimension {
        /// Which model.
        name: String,
        /// Numbers in its vectors.
        has: usize,
        /// Numbers that were asked for.
        wanted: usize,
    },
    /// The model's service does not say how long its vectors are, and neither did the caller, or not one that can be.
    #[error("vectors of '{0}' need a dimension, 1 to {max}", max = crate::MAX_DIMENSION)]
    NoDimension(String),
    /// The endpoint's settings cannot be used.
    #[error("the embeddings endpoint: {0}")]
    Endpoint(String),
}
