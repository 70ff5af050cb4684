//! What a catalog is: the space that its items' vectors are in, and how lists are made from it.

use crate::profile::Profile;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Longest vector.
pub const MAX_DIMENSION: usize = 4_096;

/// Most views of a visitor that a list is made from.
pub const MAX_HISTORY: usize = 200;

/// What nearness means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The cosine of the angle between two vectors, from -1 to 1; a vector of zeros has none.
    #[default]
    Cosine,
    /// Their inner product.
    InnerProduct,
}

/// Where vectors come from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Embedder {
    /// Items bring them.
    #[default]
    None,
    /// Of a table with a vector for each token, in a folder of that name among the models.
    Static {
        /// The folder.
        model: String,
    },
    /// Of a sentence encoder, in a folder of that name among the models.
    Sentence {
        /// The folder.
        model: String,
    },
    /// Of a service, which knows the model by that name.
    Endpoint {
        /// Its name there.
        model: String,
    },
}

impl Embedder {
    /// The kind's name and the model's; none if items bring their vectors.
    #[must_use]
    pub fn model(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::None => None,
            Self::Static { model } => Some(("static", model)),
            Self::Sentence { model } => Some(("sentence", model)),
            Self::Endpoint { model } => Some(("endpoint", model)),
        }
    }
}

/// The model whose vectors a catalog's lists go by. While another is wanted, items get vectors of both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Serving {
    /// Where it is.
    pub embedder: Embedder,
    /// Which it is, exactly.
    pub version: String,
    /// Numbers in its vectors.
    pub dimension: usize,
}

/// A catalog as its owner defines it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CatalogDefinition {
    /// Numbers in each vector, 1 to [`MAX_DIMENSION`]. With an embedder that of its model, also when it is left out; else fixed
    /// while there are items.
    #[serde(default)]
    pub dimension: usize,
    /// What nearness means. Fixed while there are items.
    #[serde(default)]
    pub metric: Metric,
    /// Where vectors come from. Whether there is an embedder is fixed while there are items; which, is not.
    #[serde(default)]
    pub embedder: Embedder,
    /// The model that lists go by, where there is an embedder. The server sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving: Option<Serving>,
    /// Views of a visitor that lists are made from, newest first, 1 to [`MAX_HISTORY`].
    #[serde(default = "history_length")]
    pub history_length: usize,
    /// How these become the vector that lists are near to.
    #[serde(default)]
    pub profile: Profile,
    /// Hours after which a view counts half for what is popular, 0.1 to 2,400.
    #[serde(default = "popular_half_life_hours")]
    pub popular_half_life_hours: f64,
    /// Variety of lists where a request does not say: 0 takes the nearest, 1 those most unlike each other.
    #[serde(default = "diversity")]
    pub diversity: f64,
    /// Items of one tag that a list has before further ones lose ground, where a request does not say; none: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_tag: Option<usize>,
    /// Minutes after which lists of visitors are made anew ahead of their requests, 0 to 1,440; 0 makes none ahead.
    #[serde(default = "refresh_minutes")]
    pub refresh_minutes: u32,
    /// Hours within which a visitor looked at something for whom lists are made ahead, 1 to 2,160.
    #[serde(default = "active_hours")]
    pub active_hours: u32,
}

fn refresh_minutes() -> u32 {
    30
}

fn active_hours() -> u32 {
    168
}

fn history_length() -> usize {
    50
}

fn popular_half_life_hours() -> f64 {
    24.0
}

fn diversity() -> f64 {
    0.3
}

/// Why a catalog cannot be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct CatalogError {
    /// The field at fault.
    pub field: &'static str,
    /// What it may be.
    pub why: String,
}

impl CatalogDefinition {
    /// Numbers in the vectors that lists go by now.
    #[must_use]
    pub fn indexed_dimension(&self) -> usize {
        self.serving.as_ref().map_or(self.dimension, |serving| serving.dimension)
    }

    /// What cannot change while there are items: what nearness means, and the dimension of vectors that they bring.
    #[must_use]
    pub fn fixed(&self) -> (Option<usize>, Metric) {
        (self.embedder.model().is_none().then_some(self.dimension), self.metric)
    }

    /// Checks ranges.
    ///
    /// # Errors
    /// Every field that is out of its range.
    pub fn check(&self) -> Result<(), Vec<CatalogError>> {
        let mut wrong: Vec<CatalogError> = self.profile.check().err().into_iter().collect();
        let mut need = |right: bool, field, why: String| {
            if !right {
                wrong.push(CatalogError { field, why });
            }
        };
        need((1..=MAX_DIMENSION).contains(&self.dimension), "dimension", format!("must be 1 to {MAX_DIMENSION}"));
        need((1..=MAX_HISTORY).contains(&self.history_length), "history_length", format!("must be 1 to {MAX_HISTORY}"));
        let hours = (0.1..=2_400.0).contains(&self.popular_half_life_hours);
        need(hours, "popular_half_life_hours", "must be 0.1 to 2400".into());
        need((0.0..=1.0).contains(&self.diversity), "diversity", "must be 0 to 1".into());
        need(self.refresh_minutes <= 1_440, "refresh_minutes", "must be 0 (none ahead) to 1440".into());
        need((1..=2_160).contains(&self.active_hours), "active_hours", "must be 1 to 2160".into());
        need(self.max_per_tag != Some(0), "max_per_tag", "must be 1 or more".into());
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}
