//! Texts of items, and the vectors that models made of them.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Longest text, in bytes.
pub const MAX_TEXT: usize = 32 << 10;

/// What an item is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Text {
    /// As it was sent.
    pub text: String,
    /// What models made of it, or of the text before; one for each model.
    #[serde(default)]
    pub vectors: Vec<TextVector>,
}

/// What a model made of a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextVector {
    /// The model's version.
    pub model: String,
    /// [`text_hash`] of the text.
    pub of: u64,
    /// The vector.
    pub vector: Vec<f32>,
}

/// Tells a text from another: the first 64 bits of its SHA-256.
#[must_use]
pub fn text_hash(text: &str) -> u64 {
    Sha256::digest(text).first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

impl Text {
    /// A text without vectors yet.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self { text, vectors: Vec::new() }
    }

    /// What a model made of it, or of the text that was there before and is not replaced yet.
    #[must_use]
    pub fn vector(&self, model: &str) -> Option<&TextVector> {
        self.vectors.iter().find(|made| made.model == model)
    }

    /// Whether a model has yet to make its vector of this text.
    #[must_use]
    pub fn needs(&self, model: &str) -> bool {
        self.vector(model).is_none_or(|made| made.of != text_hash(&self.text))
    }

    /// Whether it has yet to get a vector of one of these models, or to lose one of others.
    #[must_use]
    pub fn is_due(&self, models: &[&str]) -> bool {
        models.iter().any(|model| self.needs(model)) || self.vectors.iter().any(|made| !models.contains(&&*made.model))
    }

    /// Keeps what a model made of it.
    pub fn set(&mut self, model: &str, vector: Vec<f32>) {
        self.vectors.retain(|made| made.model != model);
        self.vectors.push(TextVector { model: model.into(), of: text_hash(&self.text), vector });
    }

    /// Lets go of what others made of it.
    pub fn keep_only(&mut self, models: &[&str]) {
        self.vectors.retain(|made| models.contains(&&*made.model));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// It is due until each model has made a vector of the very text, and no other's vector is left.
        #[test]
        fn due_until_each_model_has_seen_the_text(first in ".{1,9}", second in ".{1,9}", both in any::<bool>()) {
            let models: &[&str] = if both { &["a", "b"] } else { &["a"] };
            let mut text = Text::new(first.clone());
            for model in models {
                prop_assert!(text.needs(model) && text.is_due(models));
                text.set(model, vec![1.0]);
                text.set(model, vec![2.0]);
            }
            prop_assert!(!text.is_due(models));
            prop_assert_eq!(text.vectors.len(), models.len());
            let again = Text { text: second.clone(), ..text.clone() };
            prop_assert_eq!(again.is_due(models), first != second);
            prop_assert!(again.vector("a").is_some(), "lists show it by what it was until then");
            text.set("old", vec![1.0]);
            prop_assert!(text.is_due(models));
            text.keep_only(models);
            prop_assert!(!text.is_due(models));
        }
    }
}
