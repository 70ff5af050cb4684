//! Vectors of texts by a static model: one vector for each token, and the mean of a text's tokens for the text.

use super::RecommendationsError;
use half::f16;
use kitoken::Kitoken;
use kitoken::convert::convert_tokenizers;
use safetensors::{Dtype, SafeTensors};
use std::path::Path;

/// A table of token vectors and what makes tokens of text.
pub(super) struct StaticModel {
    tokenizer: Kitoken,
    /// Row after row.
    table: Vec<f32>,
    pub(super) dimension: usize,
}

impl StaticModel {
    /// Reads `model.safetensors`, which holds one table, and `tokenizer.json`.
    pub(super) fn open(folder: &Path) -> Result<Self, RecommendationsError> {
        let read = |name: &str| {
            let path = folder.join(name);
            let refuse = |why: String| RecommendationsError::Model { path: path.clone(), why };
            let bytes = std::fs::read(&path).map_err(|e| refuse(format!("cannot be read: {e}")))?;
            Ok::<_, RecommendationsError>((path, bytes))
        };
        let (path, bytes) = read("tokenizer.json")?;
        let refuse = |why: String| RecommendationsError::Model { path: path.clone(), why };
        let definition = convert_tokenizers(&bytes).map_err(|e| refuse(e.to_string()))?;
        let tokenizer = Kitoken::try_from(definition).map_err(|e| refuse(e.to_string()))?;
        let (path, bytes) = read("model.safetensors")?;
        let (table, dimension) = table(&bytes).map_err(|why| RecommendationsError::Model { path, why })?;
        Ok(Self { tokenizer, table, dimension })
    }

    /// The mean of a text's tokens; none if it has none that the table knows.
    pub(super) fn vector(&self, text: &str) -> Option<Vec<f32>> {
        let tokens = self.tokenizer.encode(text, false).ok()?;
        let mut sum = vec![0.0_f32; self.dimension];
        for token in tokens {
            let start = usize::try_from(token).ok()?.checked_mul(self.dimension)?;
            let Some(row) = self.table.get(start..start + self.dimension) else { continue };
            for (s, v) in sum.iter_mut().zip(row) {
                *s += v;
            }
        }
        // Only the direction counts.
        recommend::index::unit(&sum)
    }
}

/// The numbers of the file's one table, and how many are in a row.
fn table(bytes: &[u8]) -> Result<(Vec<f32>, usize), String> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    let mut tables = file.iter().filter(|(_, tensor)| tensor.shape().len() == 2);
    let (Some((_, tensor)), None) = (tables.next(), tables.next()) else {
        return Err("must hold one table of vectors".into());
    };
    let dimension = tensor.shape()[1];
    if dimension == 0 || dimension > recommend::MAX_DIMENSION {
        return Err(format!("has vectors of {dimension} numbers: must be 1 to {}", recommend::MAX_DIMENSION));
    }
    let data = tensor.data();
    let numbers = match tensor.dtype() {
        Dtype::F32 => data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        Dtype::F16 => data.as_chunks::<2>().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
        other => return Err(format!("holds numbers of type {other:?}: must be F32 or F16")),
    };
    Ok((numbers, dimension))
}
