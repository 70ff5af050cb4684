//! Lists of several arms, with the probability of every arm at every position.

use super::{bayes_ucb, count, enabled, evidence, generator, means, rank, scaled, shuffled};
use crate::beta::Beta;
use crate::draw::Odds;
use crate::experiment::Experiment;
use crate::key::DecisionId;
use crate::policy::PolicyKind;
use rand::{Rng, RngExt};
use rand_distr::Exp1;

/// The policy of one segment where several arms are shown at once, best first.
///
/// Thompson sampling ranks its draws; `epsilon_greedy` ranks posterior means and `bayes_ucb` quantiles, equal ones in
/// random order; `fixed` takes one arm after another in proportion to the weights of those left. Instead of that, a
/// floor f and exploration give a uniformly random order: with K enabled arms, a share K f of all lists. So the
/// probability of arm i at position j is h/K + (1 − h)(e/K + (1 − e) πᵢⱼ), with holdout share h, random share e
/// (1 − e = (1 − K f)(1 − ε)) and the rule's own πᵢⱼ. Its first position is dealt as a single arm is.
#[derive(Debug, Clone)]
pub struct ListPolicy {
    enabled: Vec<usize>,
    length: usize,
    /// Probability of a random order.
    explore: f64,
    rule: Rule,
    propensities: Vec<Vec<f64>>,
}

#[derive(Debug, Clone)]
enum Rule {
    Thompson(Vec<Odds>),
    Scores(Vec<f64>),
    Weights(Vec<f64>),
}

impl ListPolicy {
    /// Compiles the policy of `experiment` for lists of `length` arms, or of all enabled ones if these are fewer, from
    /// posteriors in the definition's order. None for `top_two_thompson`, a rule for one place: whether its challenger
    /// follows its leader says nothing about the rest of a list.
    #[must_use]
    pub fn new(experiment: &Experiment, posteriors: &[Beta], length: usize) -> Option<Self> {
        let enabled = enabled(experiment);
        let live: Vec<Beta> = enabled.iter().map(|&i| posteriors[i]).collect();
        let (length, k) = (length.min(enabled.len()), count(enabled.len()));
        let policy = &experiment.policy;
        let mut greedy = 1.0 - k * policy.floor.min(1.0 / k);
        let (rule, own) = match policy.kind {
            PolicyKind::Thompson => {
                let arms = scaled(experiment, &live, 1.0);
                (Rule::Thompson(arms.iter().map(Odds::new).collect()), rank::of_betas(&arms, length))
            }
            PolicyKind::EpsilonGreedy => {
                greedy *= 1.0 - policy.epsilon();
                by_score(means(&live), length)
            }
            PolicyKind::BayesUcb => by_score(bayes_ucb::indices(&live, evidence(experiment, posteriors)), length),
            PolicyKind::Fixed => {
                let weights: Vec<f64> = enabled.iter().map(|&i| experiment.arms[i].weight).collect();
                let own = by_weight(&weights, length);
                (Rule::Weights(weights), own)
            }
            // A rule for one place; and rules that need a context.
            PolicyKind::TopTwoThompson | PolicyKind::LogisticThompson | PolicyKind::LinearThompson => return None,
        };
        let h = experiment.holdout;
        let row = |own: &Vec<f64>| {
            let mut all = vec![0.0; experiment.arms.len()];
            for (&i, p) in enabled.iter().zip(own) {
                all[i] = h / k + (1.0 - h) * ((1.0 - greedy) / k + greedy * p);
            }
            all
        };
        let propensities = own.iter().map(row).collect();
        Some(Self { enabled, length, explore: 1.0 - greedy, rule, propensities })
    }

    /// Row j: probability that each arm of the definition is at position j of a participant's list.
    #[must_use]
    pub fn propensities(&self) -> &[Vec<f64>] {
        &self.propensities
    }

    /// Deals a list, seeded as [`crate::SegmentPolicy::draw`] is.
    #[must_use]
    pub fn draw(&self, id: DecisionId, version: u64, holdout: bool) -> Vec<usize> {
        let mut rng = generator(id, version);
        if holdout || (self.explore > 0.0 && rng.random::<f64>() < self.explore) {
            return shuffled(self.enabled.clone(), self.length, &mut rng);
        }
        // Highest first; the second number decides among equals.
        let mut keys: Vec<(f64, f64, usize)> =
            self.enabled.iter().enumerate().map(|(i, &arm)| self.key(i, arm, &mut rng)).collect();
        keys.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1)));
        keys.iter().take(self.length).map(|key| key.2).collect()
    }

    fn key(&self, i: usize, arm: usize, rng: &mut impl Rng) -> (f64, f64, usize) {
        match &self.rule {
            Rule::Thompson(draws) => (draws[i].sample_log(rng), 0.0, arm),
            Rule::Scores(scores) => (scores[i], rng.random(), arm),
            // The earliest arrival; who has no weight never arrives.
            Rule::Weights(weights) => (-rng.sample::<f64, _>(Exp1) / weights[i], rng.random(), arm),
        }
    }
}

fn by_score(scores: Vec<f64>, length: usize) -> (Rule, Vec<Vec<f64>>) {
    let above = |s: f64| scores.iter().filter(|o| **o > s).count();
    let equal = |s: f64| scores.iter().filter(|o| **o == s).count();
    let chance = |j: usize, s: f64| {
        let (first, ties) = (above(s), equal(s));
        if (first..first + ties).contains(&j) { count(ties).recip() } else { 0.0 }
    };
    let own = (0..length).map(|j| scores.iter().map(|&s| chance(j, s)).collect()).collect();
    (Rule::Scores(scores), own)
}

/// Arms without weight follow all others in random order.
fn by_weight(weights: &[f64], length: usize) -> Vec<Vec<f64>> {
    let heavy: Vec<usize> = (0..weights.len()).filter(|&i| weights[i] > 0.0).collect();
    let among = rank::of_weights(&heavy.iter().map(|&i| weights[i]).collect::<Vec<_>>(), length.min(heavy.len()));
    let weightless = count(weights.len() - heavy.len());
    (0..length)
        .map(|j| match among.get(j) {
            Some(row) => {
                let mut all = vec![0.0; weights.len()];
                heavy.iter().zip(row).for_each(|(&i, p)| all[i] = *p);
                all
            }
            None => weights.iter().map(|w| if *w > 0.0 { 0.0 } else { weightless.recip() }).collect(),
        })
        .collect()
}
