//! How good one kind of list was.

use super::items::Items;
use super::replay::Moment;
use recommend::diversity::NEAR_DUPLICATE;
use recommend::quality::{Mean, coverage, gini, intra_list_distance, ndcg, recall};
use std::time::Duration;

/// What is said of a list.
pub(super) const FIGURES: [&str; 4] = ["recall", "ndcg", "relevance", "distance"];

/// A sum over a user's lists.
#[derive(Clone, Copy, Default)]
struct Sum {
    sum: f64,
    n: u32,
}

/// Figures of all lists of one kind.
pub(super) struct Measured {
    /// For each user, of each of [`FIGURES`].
    users: Vec<[Sum; FIGURES.len()]>,
    times_listed: Vec<u64>,
    lists: u32,
    took: Duration,
    /// Lists with two items whose cosine is above [`NEAR_DUPLICATE`].
    pub(super) near_duplicates: u64,
}

impl Measured {
    pub(super) fn new(users: usize, items: usize) -> Self {
        let users = vec![Default::default(); users];
        Self { users, times_listed: vec![0; items], lists: 0, took: Duration::ZERO, near_duplicates: 0 }
    }

    pub(super) fn add(
        &mut self,
        items: &Items,
        moment: &Moment<'_>,
        list: &[u32],
        profile: Option<&[f32]>,
        k: usize,
        took: Duration,
    ) {
        let vectors: Vec<&[f32]> = list.iter().map(|slot| items.directions[*slot as usize].as_slice()).collect();
        let figures = [
            recall(list, &moment.wanted, k),
            ndcg(list, &moment.wanted, k),
            profile.and_then(|profile| relevance(items, profile, list)),
            intra_list_distance(&vectors),
        ];
        for (sum, figure) in self.users[moment.user as usize].iter_mut().zip(figures) {
            if let Some(figure) = figure {
                *sum = Sum { sum: sum.sum + figure, n: sum.n + 1 };
            }
        }
        for slot in list {
            self.times_listed[*slot as usize] += 1;
        }
        self.lists += 1;
        self.took += took;
        self.near_duplicates += u64::from(near_duplicates(&vectors));
    }

    /// One of [`FIGURES`], for each user; none for those without.
    fn of_users(&self, figure: usize) -> impl Iterator<Item = Option<f64>> {
        self.users.iter().map(move |sums| {
            let Sum { sum, n } = sums[figure];
            (n > 0).then(|| sum / f64::from(n))
        })
    }

    /// The mean over users of one of [`FIGURES`].
    pub(super) fn mean(&self, figure: usize) -> Option<Mean> {
        Mean::of(&self.of_users(figure).flatten().collect::<Vec<_>>())
    }

    /// By how much it is larger than another's, over the users that have both.
    pub(super) fn above(&self, other: &Self, figure: usize) -> Option<Mean> {
        let both = self.of_users(figure).zip(other.of_users(figure)).filter_map(|(a, b)| a.zip(b));
        let (mine, theirs): (Vec<f64>, Vec<f64>) = both.unzip();
        Mean::of_differences(&mine, &theirs)
    }

    pub(super) fn coverage(&self) -> Option<f64> {
        coverage(&self.times_listed, self.times_listed.len())
    }

    pub(super) fn gini(&self) -> Option<f64> {
        gini(&self.times_listed)
    }

    /// For one list.
    pub(super) fn microseconds(&self) -> f64 {
        self.took.as_secs_f64() * 1e6 / f64::from(self.lists.max(1))
    }

    /// Users with a list.
    pub(super) fn users(&self) -> usize {
        self.of_users(0).flatten().count()
    }
}

fn relevance(items: &Items, profile: &[f32], list: &[u32]) -> Option<f64> {
    let scores: Vec<f64> =
        items.index.score(profile, list.iter().copied()).iter().map(|hit| f64::from(hit.score)).collect();
    Mean::of(&scores).map(|mean| mean.mean)
}

fn near_duplicates(vectors: &[&[f32]]) -> bool {
    let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let most = f64::from(NEAR_DUPLICATE);
    vectors.iter().enumerate().any(|(i, a)| vectors[..i].iter().any(|b| cosine(a, b) > most + 1e-6))
}
