//! Vectors of texts by a static model: one vector for each token, and the mean of a text's tokens for the text.

use crate::folder::Folder;
use crate::numbers::normalise;
use crate::tensors::{self, WEIGHTS};
use crate::threads::Model;
use crate::tokens::Tokenizer;
use crate::{EmbedError, MAX_DIMENSION, ModelError};
use serde::Deserialize;
use std::path::Path;

const KIND: &str = "static";

/// A table of token vectors and what makes tokens of text, in the layout of model2vec
/// (<https://github.com/MinishLab/model2vec>) or `WordLlama` (<https://github.com/dleemiller/WordLlama>).
pub struct StaticModel {
    tokenizer: Tokenizer,
    /// Row after row.
    table: Vec<f32>,
    dimension: usize,
    normalise: bool,
    /// A token that counts nothing.
    skip: Option<u32>,
    /// Tokens of a text that count, from its beginning.
    most_tokens: usize,
    version: String,
}

/// Of `config.json`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    model_type: String,
    normalize: Option<bool>,
}

impl StaticModel {
    /// Reads `model.safetensors`, which holds one table, `tokenizer.json`, and `config.json` if there is one.
    ///
    /// Without a `normalize` in the last, vectors have the length 1. Where it says `model2vec`, unknown pieces and tokens after
    /// the 512th are left out, as by its own inference.
    ///
    /// # Errors
    /// When a file is missing or broken.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let mut folder = Folder::new(folder, KIND);
        let tokenizer = Tokenizer::read(&mut folder)?;
        let config: Config = folder.json("config.json")?.unwrap_or_default();
        let bytes = folder.read(WEIGHTS)?;
        let (table, dimension) = table(&bytes, tokenizer.tokens).map_err(|why| folder.refuse(WEIGHTS, why))?;
        let model2vec = config.model_type == "model2vec";
        Ok(Self {
            skip: tokenizer.unknown.filter(|_| model2vec),
            most_tokens: if model2vec { 512 } else { usize::MAX },
            normalise: config.normalize.unwrap_or(true),
            version: folder.version(KIND),
            tokenizer,
            table,
            dimension,
        })
    }

    /// The mean of a text's tokens; none if it has none that the table knows.
    #[must_use]
    pub fn vector(&self, text: &str) -> Option<Vec<f32>> {
        let mut sum = vec![0.0_f32; self.dimension];
        let mut rows = 0.0_f32;
        let tokens = self.tokenizer.tokens(text).into_iter().filter(|token| Some(*token) != self.skip);
        for token in tokens.take(self.most_tokens) {
            let start = usize::try_from(token).ok()?.checked_mul(self.dimension)?;
            // Special tokens may have no row.
            let Some(row) = self.table.get(start..start + self.dimension) else { continue };
            rows += 1.0;
            for (s, v) in sum.iter_mut().zip(row) {
                *s += v;
            }
        }
        if self.normalise {
            return normalise(&mut sum).then_some(sum);
        }
        sum.iter_mut().for_each(|s| *s /= rows);
        sum.iter().all(|s| s.is_finite()).then_some(sum)
    }
}

impl Model for StaticModel {
    fn version(&self) -> &str {
        &self.version
    }

    fn dimension(&self) -> usize {
        self.dimension
    }

    fn batch(&self) -> usize {
        256
    }

    fn vectors(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let vector = |text: &String| {
            self.vector(text).ok_or_else(|| EmbedError::Refused { why: "the model knows no word of the text".into() })
        };
        texts.iter().map(vector).collect()
    }
}

/// The numbers of the file's one table, and how many are in a row.
fn table(bytes: &[u8], tokens: usize) -> Result<(Vec<f32>, usize), String> {
    let file = tensors::open(bytes)?;
    let names = file.names();
    let &[name] = names.as_slice() else {
        return Err(format!("holds {} tensors: must hold one, the table of vectors", names.len()));
    };
    let tensor = file.tensor(name).map_err(|e| e.to_string())?;
    let &[rows, dimension] = tensor.shape() else {
        return Err(format!("'{name}' has the shape {:?}: must be a table", tensor.shape()));
    };
    if dimension == 0 || dimension > MAX_DIMENSION {
        return Err(format!("has vectors of {dimension} numbers: must be 1 to {MAX_DIMENSION}"));
    }
    if rows < tokens {
        return Err(format!("has {rows} vectors, and tokenizer.json {tokens} tokens: they are not of one model"));
    }
    Ok((tensors::numbers(name, &tensor)?, dimension))
}
