//! What can be recommended.

use crate::text::Text;
use crate::{CatalogDefinition, Metric};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Most tags of an item.
pub const MAX_TAGS: usize = 64;

/// A candidate of a catalog.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Its name in the catalog.
    pub id: String,
    /// Where it is, as it was sent: as many numbers as the catalog has dimensions.
    pub vector: Vec<f32>,
    /// What lists are filtered by, and kept varied by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// From when on it is in no list; none: it stays until it is removed.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// What lists bring with it, as it was sent.
    #[serde(default)]
    pub payload: Option<Box<RawValue>>,
    /// When it was first put; none where nobody noted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_at: Option<Timestamp>,
    /// What it is about, where the catalog makes vectors of texts; its own `vector` is empty then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Box<Text>>,
}

impl Item {
    /// Its vector in the space that a catalog's lists are in now; empty while it has none there.
    #[must_use]
    pub fn vector_in(&self, catalog: &CatalogDefinition) -> &[f32] {
        match (&catalog.serving, &self.text) {
            (None, None) => &self.vector,
            (Some(serving), Some(text)) => text.vector(&serving.version).map_or(&[], |made| &made.vector),
            _ => &[],
        }
    }

    /// Whether it has expired.
    #[must_use]
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        let text = |item: &Self| item.payload.as_ref().map(|p| p.get().to_owned());
        (&self.id, &self.vector, &self.tags, self.expires_at, self.added_at, &self.text)
            == (&other.id, &other.vector, &other.tags, other.expires_at, other.added_at, &other.text)
            && text(self) == text(other)
    }
}

/// Why a vector cannot be one of a catalog's.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ItemError {
    /// The wrong length.
    #[error("has {has} numbers, and the catalog's dimension is {needs}")]
    Dimension {
        /// What it has.
        has: usize,
        /// What the catalog needs.
        needs: usize,
    },
    /// Not a number, or endless.
    #[error("has {value} at place {place}: every number must be finite")]
    NotFinite {
        /// Where, from 0.
        place: usize,
        /// What is there.
        value: f32,
    },
    /// No direction.
    #[error(
        "is zero (or too near it, or too long, for a length in single precision), and has no direction for the cosine"
    )]
    NoDirection,
}

/// Checks a vector, of an item or of a search.
///
/// # Errors
/// What is wrong with it.
pub fn check_vector(catalog: &CatalogDefinition, vector: &[f32]) -> Result<(), ItemError> {
    check_in_space(catalog.indexed_dimension(), catalog.metric, vector)
}

/// Checks a vector that is to be in a space.
///
/// # Errors
/// What is wrong with it.
pub fn check_in_space(dimension: usize, metric: Metric, vector: &[f32]) -> Result<(), ItemError> {
    if vector.len() != dimension {
        return Err(ItemError::Dimension { has: vector.len(), needs: dimension });
    }
    if let Some((place, &value)) = vector.iter().enumerate().find(|(_, v)| !v.is_finite()) {
        return Err(ItemError::NotFinite { place, value });
    }
    if metric == Metric::Cosine && crate::index::unit(vector).is_none() {
        return Err(ItemError::NoDirection);
    }
    Ok(())
}
