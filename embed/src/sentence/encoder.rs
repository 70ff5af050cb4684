//! Tokens to states: the embeddings, and the layers over them.
//!
//! The tokens of all texts are the rows of one matrix, text after text, and only attention looks at texts apart. So nothing is
//! padded, and what a text becomes does not hang on the texts beside it.

use super::config::Bert;
use super::layer::{Layer, Linear, Norm};
use crate::tensors::{Wrong, shaped};
use ndarray::{Array1, Array2, Axis, Slice};
use safetensors::SafeTensors;

pub(super) struct Encoder {
    words: Array2<f32>,
    /// Of each position; that of the first type of tokens is added, since texts have no other.
    positions: Array2<f32>,
    norm: Norm,
    layers: Vec<Layer>,
}

/// Tensors by their names, which begin alike.
pub(super) struct Weights<'a> {
    file: &'a SafeTensors<'a>,
    prefix: String,
    epsilon: f32,
}

impl Weights<'_> {
    fn below(&self, prefix: &str) -> Weights<'_> {
        Weights { file: self.file, prefix: format!("{}{prefix}", self.prefix), epsilon: self.epsilon }
    }

    pub(super) fn vector(&self, name: &str, length: usize) -> Result<Array1<f32>, Wrong> {
        shaped(self.file, &format!("{}{name}", self.prefix), &[length]).map(Array1::from)
    }

    pub(super) fn table(&self, name: &str, rows: usize, columns: usize) -> Result<Array2<f32>, Wrong> {
        let numbers = shaped(self.file, &format!("{}{name}", self.prefix), &[rows, columns])?;
        Array2::from_shape_vec((rows, columns), numbers).map_err(|e| e.to_string())
    }

    pub(super) fn linear(&self, name: &str, inputs: usize, outputs: usize) -> Result<Linear, Wrong> {
        let weight = self.table(&format!("{name}.weight"), outputs, inputs)?;
        Ok(Linear { weight, bias: self.vector(&format!("{name}.bias"), outputs)? })
    }

    pub(super) fn norm(&self, name: &str, length: usize) -> Result<Norm, Wrong> {
        let weight = self.vector(&format!("{name}.weight"), length)?;
        Ok(Norm { weight, bias: self.vector(&format!("{name}.bias"), length)?, epsilon: self.epsilon })
    }
}

impl Encoder {
    pub(super) fn read(file: &SafeTensors<'_>, bert: &Bert) -> Result<Self, Wrong> {
        // Models that were saved with a head of their own have the encoder one level deeper.
        let deeper = file.tensor("bert.embeddings.word_embeddings.weight").is_ok();
        let prefix = if deeper { "bert." } else { "" }.to_owned();
        let all = Weights { file, prefix, epsilon: bert.layer_norm_eps };
        let hidden = bert.hidden_size;
        let embeddings = all.below("embeddings.");
        let types = embeddings.table("token_type_embeddings.weight", bert.type_vocab_size, hidden)?;
        let positions = embeddings.table("position_embeddings.weight", bert.max_position_embeddings, hidden)?;
        let layers = (0..bert.num_hidden_layers).map(|i| Layer::read(&all.below(&format!("encoder.layer.{i}.")), bert));
        Ok(Self {
            words: embeddings.table("word_embeddings.weight", bert.vocab_size, hidden)?,
            positions: positions + types.row(0),
            norm: embeddings.norm("LayerNorm", hidden)?,
            layers: layers.collect::<Result<_, _>>()?,
        })
    }

    /// The last states of each text's tokens, a row each. Every token is in the vocabulary, and no text has more tokens than
    /// there are positions.
    pub(super) fn states(&self, texts: &[Vec<u32>]) -> Vec<Array2<f32>> {
        let rows = texts.iter().map(Vec::len).sum();
        let mut states = Array2::zeros((rows, self.words.ncols()));
        let places = texts.iter().flat_map(|tokens| tokens.iter().zip(self.positions.rows()));
        for (mut state, (token, position)) in states.rows_mut().into_iter().zip(places) {
            state.assign(&self.words.row(*token as usize));
            state += &position;
        }
        self.norm.apply(&mut states);
        let texts: Vec<(usize, usize)> = texts
            .iter()
            .scan(0, |end, tokens| {
                let start = *end;
                *end += tokens.len();
                Some((start, *end))
            })
            .collect();
        for layer in &self.layers {
            layer.apply(&mut states, &texts);
        }
        let of = |&(start, end): &(usize, usize)| states.slice_axis(Axis(0), Slice::from(start..end)).to_owned();
        texts.iter().map(of).collect()
    }
}
