//! A visitor's vector, from what they looked at last.

use crate::{CatalogError, Metric, index::unit};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How views become one vector.
///
/// Where both half-lives of `recent` are given, a view's weight is the product of both; with neither, all weigh alike.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Profile {
    /// Their mean, newer views weighing more.
    Recent {
        /// Places after which a view weighs half, above 0; none: places do not matter.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        half_life_views: Option<f64>,
        /// Hours after which a view weighs half, above 0; none: hours do not matter.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        half_life_hours: Option<f64>,
    },
    /// Softmax attention: views weigh more the nearer they are to the newest ones.
    Attention {
        /// Newest views whose mean direction the others are compared with, 1 or more.
        #[serde(default = "queries")]
        queries: usize,
        /// Difference in cosine that makes one view weigh e times another, above 0.
        #[serde(default = "temperature")]
        temperature: f64,
    },
}

fn queries() -> usize {
    3
}

fn temperature() -> f64 {
    0.1
}

/// On MovieLens 100K, by titles and genres, recall does not tell half-lives of 1 to 20 views, or attention, from each other:
/// all are within two standard errors.
impl Default for Profile {
    fn default() -> Self {
        Self::Recent { half_life_views: Some(10.0), half_life_hours: None }
    }
}

/// One view. The newest has place 0.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The item's vector; all of a history have one length.
    pub vector: &'a [f32],
    /// Since the view, in seconds; what is below 0 counts as 0.
    pub age_seconds: f64,
    /// Its place in the whole history, of which some items may be gone.
    pub place: usize,
}

/// Oldest age that is told from older ones: 30,000 years.
const OLDEST_SECONDS: f64 = 1e12;
/// Length of a sum, as a part of what was added, under which it is rounding and not a direction.
const NOTHING: f64 = 1e-5;

impl Profile {
    /// Checks ranges.
    ///
    /// # Errors
    /// The first field that is out of its range.
    pub fn check(&self) -> Result<(), CatalogError> {
        let positive = |field, value: f64| {
            let right = value > 0.0 && value.is_finite();
            if right { Ok(()) } else { Err(CatalogError { field, why: "must be above 0".into() }) }
        };
        match *self {
            Self::Recent { half_life_views, half_life_hours } => {
                half_life_views.map_or(Ok(()), |h| positive("profile.half_life_views", h))?;
                half_life_hours.map_or(Ok(()), |h| positive("profile.half_life_hours", h))
            }
            Self::Attention { queries: 0, .. } => {
                Err(CatalogError { field: "profile.queries", why: "must be 1 or more".into() })
            }
            Self::Attention { temperature, .. } => positive("profile.temperature", temperature),
        }
    }

    /// The vector of a history, newest view first. Under [`Metric::Cosine`] views count by their direction alone, and
    /// the vector has length 1; else it is the weighted mean of theirs. None if there is no view that has a direction,
    /// or if they cancel each other.
    #[must_use]
    pub fn vector(&self, history: &[View<'_>], metric: Metric) -> Option<Vec<f32>> {
        let mut sum = vec![0.0_f64; history.first()?.vector.len()];
        let (mut added, weights) = (0.0, self.weights(history));
        for (view, weight) in history.iter().zip(weights) {
            let length = length(view.vector);
            if length == 0.0 {
                continue;
            }
            let factor = if metric == Metric::Cosine { weight / length } else { weight };
            for (s, v) in sum.iter_mut().zip(view.vector) {
                *s += factor * f64::from(*v);
            }
            added += factor * length;
        }
        let total = sum.iter().map(|s| s * s).sum::<f64>().sqrt();
        if !total.is_finite() || total <= added * NOTHING {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "vectors are of single precision")]
        let mean: Vec<f32> = sum.iter().map(|s| *s as f32).collect();
        match metric {
            Metric::Cosine => unit(&mean),
            Metric::InnerProduct => mean.iter().any(|v| *v != 0.0).then_some(mean),
        }
    }

    /// What each view weighs; together 1, unless there is none.
    #[must_use]
    pub fn weights(&self, history: &[View<'_>]) -> Vec<f64> {
        match *self {
            Self::Recent { half_life_views, half_life_hours } => {
                let halvings = |x: f64, half_life: Option<f64>| half_life.map_or(0.0, |h| x / h);
                softmax(history.iter().map(|view| {
                    #[expect(clippy::cast_precision_loss, reason = "places are few")]
                    let places = halvings(view.place as f64, half_life_views);
                    // The second maximum is for what is not a number, which `clamp` keeps.
                    let hours = view.age_seconds.clamp(0.0, OLDEST_SECONDS).max(0.0) / 3600.0;
                    -(places + halvings(hours, half_life_hours)) * std::f64::consts::LN_2
                }))
            }
            Self::Attention { queries, temperature } => {
                let newest = history.get(..queries.min(history.len())).unwrap_or_default();
                let even = Self::Recent { half_life_views: None, half_life_hours: None };
                let query = even.vector(newest, Metric::Cosine).unwrap_or_default();
                softmax(history.iter().map(|view| cosine(&query, view.vector) / temperature))
            }
        }
    }
}

/// e to each, in shares of their sum. The largest is taken off first, so that nothing overflows and not all underflow.
fn softmax(logits: impl Iterator<Item = f64>) -> Vec<f64> {
    let logits: Vec<f64> = logits.collect();
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let raised: Vec<f64> = logits.iter().map(|l| (l - most).exp()).collect();
    let sum: f64 = raised.iter().sum();
    raised.iter().map(|r| r / sum).collect()
}

fn length(vector: &[f32]) -> f64 {
    vector.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt()
}

/// With a query of length 1, or an empty one, to which nothing is near.
fn cosine(query: &[f32], vector: &[f32]) -> f64 {
    let product: f64 = query.iter().zip(vector).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
    let length = length(vector);
    if length > 0.0 { product / length } else { 0.0 }
}

#[cfg(test)]
mod tests;
