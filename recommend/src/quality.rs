//! How good lists are, when it is known what was wanted.

/// Of what was wanted, the share that is among the first `k` of the list; none if nothing was wanted. What is wanted is
/// distinct, and so is what is in a list.
#[must_use]
pub fn recall<I: PartialEq>(list: &[I], wanted: &[I], k: usize) -> Option<f64> {
    let found = list.iter().take(k).filter(|item| wanted.contains(item)).count();
    #[expect(clippy::cast_precision_loss, reason = "lists are short")]
    (!wanted.is_empty()).then(|| found as f64 / wanted.len() as f64)
}

/// Normalised discounted cumulative gain of the first `k`, where an item is wanted or not: each that is wanted gains
/// 1 / log2(1 + place), places from 1, as a share of what the best list gains; none if nothing was wanted. Järvelin and
/// Kekäläinen, Cumulated gain-based evaluation of IR techniques, ACM TOIS 20(4), 2002, with the discount of Burges et
/// al., Learning to rank using gradient descent, ICML 2005, which discounts from the second place on.
#[must_use]
pub fn ndcg<I: PartialEq>(list: &[I], wanted: &[I], k: usize) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "lists are short")]
    let gain = |place: usize| 1.0 / (place as f64 + 2.0).log2();
    let got: f64 =
        list.iter().take(k).enumerate().filter(|(_, item)| wanted.contains(item)).map(|(place, _)| gain(place)).sum();
    let best: f64 = (0..wanted.len().min(k)).map(gain).sum();
    (best > 0.0).then(|| got / best)
}

/// Mean of 1 - cosine over the pairs of a list's vectors, which have length 1 (or are zero, and unlike any other); none
/// for fewer than two. Ziegler et al., Improving recommendation lists through topic diversification, WWW 2005.
#[must_use]
pub fn intra_list_distance(vectors: &[&[f32]]) -> Option<f64> {
    let n = vectors.len();
    if n < 2 {
        return None;
    }
    // All pairs at once: the square of the sum is the squares, and each pair twice.
    let mut sum = vec![0.0_f64; vectors.first()?.len()];
    let mut squares = 0.0;
    for vector in vectors {
        for (s, v) in sum.iter_mut().zip(*vector) {
            *s += f64::from(*v);
            squares += f64::from(*v) * f64::from(*v);
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "lists are short")]
    let pairs = (n * (n - 1)) as f64;
    Some(1.0 - (sum.iter().map(|s| s * s).sum::<f64>() - squares) / pairs)
}

/// The share of a catalog's items that are in any list, given how often each is (an item that never is: 0 or left out);
/// none for an empty catalog.
#[must_use]
pub fn coverage(times_listed: &[u64], catalog: usize) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "catalogs stay below 2^53")]
    (catalog > 0).then(|| times_listed.iter().filter(|n| **n > 0).count() as f64 / catalog as f64)
}

/// Gini coefficient of how often each item of a catalog is listed: 0 if all are alike often, towards 1 if few are always.
/// None if nothing is listed.
#[must_use]
pub fn gini(times_listed: &[u64]) -> Option<f64> {
    let mut sorted = times_listed.to_vec();
    sorted.sort_unstable();
    let all: u64 = sorted.iter().sum();
    #[expect(clippy::cast_precision_loss, reason = "lists stay below 2^53")]
    (all > 0).then(|| {
        let n = sorted.len() as f64;
        let ranked: f64 = sorted.iter().zip(1_u64..).map(|(count, rank)| rank as f64 * *count as f64).sum();
        2.0 * ranked / (n * all as f64) - (n + 1.0) / n
    })
}

/// A mean over users.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// Its standard error; none for one user.
    pub se: Option<f64>,
    /// Users.
    pub n: usize,
}

impl Mean {
    /// The mean of one value a user; none for no users.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "users stay below 2^53")]
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        let mean = (n > 0).then(|| values.iter().sum::<f64>() / n as f64)?;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        let se = (n > 1).then(|| (squares / (n as f64 - 1.0) / n as f64).sqrt());
        Some(Self { mean, se, n })
    }

    /// The mean of `a` less `b` over the same users in the same order, with the standard error of the differences: what
    /// users have in common is no noise in it.
    #[must_use]
    pub fn of_differences(a: &[f64], b: &[f64]) -> Option<Self> {
        Self::of(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<f64>>())
    }
}

#[cfg(test)]
mod tests;
