//! One layer of the encoder: attention, and two linear maps with GELU between them, each added to what it came from.

use super::config::Bert;
use super::encoder::Weights;
use crate::numbers::{gelu, softmax, standardise};
use crate::tensors::Wrong;
use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, Axis, Slice, concatenate};

/// `x · weightᵀ + bias`.
pub(super) struct Linear {
    pub(super) weight: Array2<f32>,
    pub(super) bias: Array1<f32>,
}

impl Linear {
    fn apply(&self, x: &Array2<f32>) -> Array2<f32> {
        let mut y = Array2::zeros((x.nrows(), self.weight.nrows()));
        y += &self.bias;
        general_mat_mul(1.0, x, &self.weight.t(), 1.0, &mut y);
        y
    }
}

/// `LayerNorm`: rows at mean 0 and variance 1, then scaled and moved.
pub(super) struct Norm {
    pub(super) weight: Array1<f32>,
    pub(super) bias: Array1<f32>,
    pub(super) epsilon: f32,
}

impl Norm {
    pub(super) fn apply(&self, x: &mut Array2<f32>) {
        for mut row in x.rows_mut() {
            if let Some(row) = row.as_slice_mut() {
                standardise(row, self.epsilon);
            }
        }
        *x *= &self.weight;
        *x += &self.bias;
    }
}

pub(super) struct Layer {
    heads: usize,
    /// Queries, keys and values, side by side.
    attention: Linear,
    attended: Linear,
    attention_norm: Norm,
    wider: Linear,
    narrower: Linear,
    norm: Norm,
}

impl Layer {
    pub(super) fn read(weights: &Weights<'_>, bert: &Bert) -> Result<Self, Wrong> {
        let (hidden, wide) = (bert.hidden_size, bert.intermediate_size);
        let [q, k, v] =
            ["query", "key", "value"].map(|part| weights.linear(&format!("attention.self.{part}"), hidden, hidden));
        let (q, k, v) = (q?, k?, v?);
        let weight = concatenate(Axis(0), &[q.weight.view(), k.weight.view(), v.weight.view()]);
        let bias = concatenate(Axis(0), &[q.bias.view(), k.bias.view(), v.bias.view()]);
        Ok(Self {
            heads: bert.num_attention_heads,
            attention: Linear { weight: weight.map_err(|e| e.to_string())?, bias: bias.map_err(|e| e.to_string())? },
            attended: weights.linear("attention.output.dense", hidden, hidden)?,
            attention_norm: weights.norm("attention.output.LayerNorm", hidden)?,
            wider: weights.linear("intermediate.dense", hidden, wide)?,
            narrower: weights.linear("output.dense", wide, hidden)?,
            norm: weights.norm("output.LayerNorm", hidden)?,
        })
    }

    /// Changes states; `texts` are the first row of each text and the one behind its last.
    pub(super) fn apply(&self, states: &mut Array2<f32>, texts: &[(usize, usize)]) {
        let context = self.attend(states, texts);
        *states += &self.attended.apply(&context);
        self.attention_norm.apply(states);
        let mut wide = self.wider.apply(states);
        wide.iter_mut().for_each(|x| *x = gelu(*x));
        *states += &self.narrower.apply(&wide);
        self.norm.apply(states);
    }

    /// Each token's mean of the values in its text, by how well its query fits their keys; each head has its own columns.
    fn attend(&self, states: &Array2<f32>, texts: &[(usize, usize)]) -> Array2<f32> {
        let all = self.attention.apply(states);
        let (hidden, width) = (states.ncols(), states.ncols() / self.heads);
        #[expect(clippy::cast_precision_loss, reason = "a few thousand at most")]
        let scale = 1.0 / (width as f32).sqrt();
        let mut context = Array2::zeros(states.raw_dim());
        for &(start, end) in texts {
            let rows = Slice::from(start..end);
            let (all, mut context) = (all.slice_axis(Axis(0), rows), context.slice_axis_mut(Axis(0), rows));
            let mut fit = Array2::zeros((end - start, end - start));
            for head in (0..hidden).step_by(width) {
                let part = |first: usize| all.slice_axis(Axis(1), Slice::from(first + head..first + head + width));
                let (queries, keys, values) = (part(0), part(hidden), part(2 * hidden));
                general_mat_mul(scale, &queries, &keys.t(), 0.0, &mut fit);
                for mut row in fit.rows_mut() {
                    row.as_slice_mut().map(softmax);
                }
                let mut mean = context.slice_axis_mut(Axis(1), Slice::from(head..head + width));
                general_mat_mul(1.0, &fit, &values, 0.0, &mut mean);
            }
        }
        context
    }
}
