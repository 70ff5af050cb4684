//! Contextual Thompson sampling, compiled to deal.

use super::cells::ContextOutcome;
use super::cholesky::Lower;
use super::features::Columns;
use super::logistic::dot;
use super::model::{Coefficients, ContextModel};
use super::propensity::{Normal, highest};
use crate::experiment::Experiment;
use crate::key::DecisionId;
use crate::policy::{Step, generator};
use crate::segment::Context;
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

/// Hours of decision back from the newest whose contexts the mean is over.
const RECENT_HOURS: i64 = 24 * 7;
/// Contexts in the mean, times arms squared, as the work grows.
const MEAN_WORK: usize = 20_000;

/// A contextual policy, ready to deal.
///
/// Arms' posteriors are independent, so that for one context x the predictor of arm a is N(xᵀm + o √(xᵀΣx), s² xᵀΣx), s being
/// the policy's `posterior_scale` and o its `optimism`: a draw takes one normal variate for each arm. With s = 1 and o = 0 that
/// is Thompson sampling; with o > 0 a randomised upper confidence bound, whose noise each arm has to itself so that trials
/// that are dealt before the next update spread (Vaswani, Mehrabian, Durand & Kveton 2020, "Old dog learns new tricks",
/// share one noise among arms). The probability of an enabled arm is
/// h/K + (1 − h)(f + (1 − K f) π), with holdout share h, floor f, K enabled arms, and π the probability that its
/// predictor is the highest, by quadrature to 1e-9 under the Gaussian posterior.
#[derive(Debug, Clone)]
pub struct ContextPolicy {
    columns: Columns,
    /// Enabled arms: index in the definition and posterior.
    arms: Vec<(usize, Posterior)>,
    order: usize,
    scale: f64,
    optimism: f64,
    floor: f64,
    holdout: f64,
}

#[derive(Debug, Clone)]
struct Posterior {
    mean: Vec<f64>,
    factor: Lower,
}

impl ContextPolicy {
    /// Compiles a published model for the definition's arms; `model_arms` are the ids in the model's order. An arm that
    /// it does not know is dealt from what the others have in common.
    #[must_use]
    pub fn new(experiment: &Experiment, model: &ContextModel, model_arms: &[String]) -> Self {
        let order = model.features.columns();
        let posterior = |c: &Coefficients| {
            let factor = Lower::from_packed(order, c.factor.clone()).unwrap_or_else(|| Lower::zeros(order));
            let mut mean = c.mean.clone();
            mean.resize(order, 0.0);
            Posterior { mean, factor }
        };
        let known = |id: &String| model_arms.iter().position(|known| known == id).and_then(|i| model.arms.get(i));
        let arms: Vec<(usize, Posterior)> = experiment
            .arms
            .iter()
            .enumerate()
            .filter(|(_, arm)| arm.enabled)
            .map(|(i, arm)| (i, posterior(known(&arm.id).unwrap_or(&model.prior))))
            .collect();
        Self {
            columns: model.features.compile(),
            order,
            scale: experiment.policy.posterior_scale(),
            optimism: experiment.policy.optimism(),
            floor: experiment.policy.floor.min(1.0 / count(arms.len())),
            holdout: experiment.holdout,
            arms,
        }
    }

    /// The distribution of every enabled arm's predictor in a context, scaled as it is drawn from.
    fn predictors(&self, context: &Context) -> Vec<Normal> {
        let row = self.columns.encode(context);
        let mut scratch = vec![0.0; self.order];
        self.arms
            .iter()
            .map(|(_, arm)| {
                let sd = arm.factor.norm2(&row, &mut scratch).sqrt();
                Normal::new(dot(&row, &arm.mean) + self.optimism * sd, self.scale * sd)
            })
            .collect()
    }

    /// Deals an arm of the definition in a context, with its probability. The generator is seeded by the assignment and
    /// the posterior version alone, so that a draw can be repeated from the log.
    #[must_use]
    pub fn deal(&self, context: &Context, id: DecisionId, version: u64, holdout: bool) -> (usize, f64) {
        self.deal_seen(context, id, version, holdout, &mut |_| ())
    }

    /// The same, telling each step.
    pub(crate) fn deal_seen(
        &self,
        context: &Context,
        id: DecisionId,
        version: u64,
        holdout: bool,
        see: &mut impl FnMut(Step),
    ) -> (usize, f64) {
        let predictors = self.predictors(context);
        let place = self.pick(&predictors, id, version, holdout, see);
        (self.arms[place].0, self.share(highest(&predictors, place)))
    }

    /// What each enabled arm's predictor is drawn from in a context.
    pub(crate) fn beliefs(&self, context: &Context) -> Vec<(usize, Normal)> {
        self.arms.iter().map(|(i, _)| *i).zip(self.predictors(context)).collect()
    }

    /// The arm that [`ContextPolicy::deal`] deals, without its probability.
    #[must_use]
    pub fn draw(&self, context: &Context, id: DecisionId, version: u64, holdout: bool) -> usize {
        self.arms[self.pick(&self.predictors(context), id, version, holdout, &mut |_| ())].0
    }

    /// Probability that each of the definition's `arms` arms is dealt to a participant in a context.
    #[must_use]
    pub fn propensities(&self, context: &Context, arms: usize) -> Vec<f64> {
        let predictors = self.predictors(context);
        let mut all = vec![0.0; arms];
        for (place, (i, _)) in self.arms.iter().enumerate() {
            all[*i] = self.share(highest(&predictors, place));
        }
        all
    }

    /// Mean probability of each arm over the contexts of the latest outcomes, weighted by trials: what the policy deals
    /// now, on such visitors as came last. Without outcomes, of a context without features.
    pub(crate) fn mean_propensities(&self, outcomes: &[ContextOutcome], arms: usize) -> Vec<f64> {
        let mut latest: Vec<(i64, String, &ContextOutcome)> = Vec::new();
        if let Some(newest) = outcomes.iter().filter(|o| o.trials > 0).map(|o| o.hour).max() {
            let recent = outcomes.iter().filter(|o| o.trials > 0 && newest - o.hour < RECENT_HOURS);
            latest = recent.map(|o| (-o.hour, serde_json::to_string(&o.features).unwrap_or_default(), o)).collect();
            // Whatever order they came in; of one context, one suffices.
            latest.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        }
        let mut sums = vec![0.0; arms];
        let (mut total, mut left) = (0.0, MEAN_WORK / (arms * arms).max(1) + 8);
        for same in latest.chunk_by(|a, b| (a.0, &a.1) == (b.0, &b.1)) {
            let trials = same.iter().fold(0u64, |sum, (_, _, o)| sum.saturating_add(o.trials));
            #[expect(clippy::cast_precision_loss, reason = "a weight")]
            let weight = trials as f64;
            for (sum, p) in sums.iter_mut().zip(self.propensities(&same[0].2.features, arms)) {
                *sum += weight * p;
            }
            total += weight;
            left -= 1;
            if left == 0 {
                break;
            }
        }
        if total > 0.0 { sums.iter().map(|s| s / total).collect() } else { self.propensities(&Context::new(), arms) }
    }

    fn share(&self, best: f64) -> f64 {
        let k = count(self.arms.len());
        self.holdout / k + (1.0 - self.holdout) * (self.floor + (1.0 - k * self.floor) * best)
    }

    /// Place among the enabled arms.
    fn pick(
        &self,
        predictors: &[Normal],
        id: DecisionId,
        version: u64,
        holdout: bool,
        see: &mut impl FnMut(Step),
    ) -> usize {
        let mut rng = generator(id, version);
        let explore = count(self.arms.len()) * self.floor;
        if holdout {
            see(Step::Holdout);
            return rng.random_range(0..predictors.len());
        }
        if explore > 0.0 {
            let drawn = rng.random::<f64>();
            see(Step::Floor { drawn, below: explore });
            if drawn < explore {
                return rng.random_range(0..predictors.len());
            }
        }
        let mut best = (0, f64::NEG_INFINITY);
        for (place, arm) in predictors.iter().enumerate() {
            let draw = arm.mean() + arm.sd() * standard(&mut rng);
            see(Step::Value { arm: self.arms[place].0, value: draw });
            if draw > best.1 {
                best = (place, draw);
            }
        }
        best.0
    }
}

fn standard(rng: &mut impl Rng) -> f64 {
    rng.sample(StandardNormal)
}

#[expect(clippy::cast_precision_loss, reason = "at most 100 arms")]
fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::super::{ContextOutcome, recompute_model};
    use super::*;
    use crate::segment::ContextValue;
    use jiff::Timestamp;

    fn experiment(policy: &str) -> Experiment {
        serde_json::from_str(&format!(
            r#"{{"id":"e","arms":[{{"id":"a"}},{{"id":"b"}},{{"id":"off","enabled":false}},{{"id":"c"}}],
                "policy":{policy},"reward":{{"event":"r"}},"holdout":0.1,
                "features":[{{"name":"x","kind":"numeric"}},{{"name":"d","kind":"categorical"}}]}}"#
        ))
        .unwrap()
    }

    fn context(x: u32, d: &str) -> Context {
        [("x".into(), ContextValue::Number(x.into())), ("d".into(), ContextValue::Text(d.into()))].into()
    }

    /// Arm b wins where d is "m", arm a elsewhere.
    fn outcomes() -> Vec<ContextOutcome> {
        let one =
            |x, d, arm, trials, rewards| ContextOutcome { hour: 0, features: context(x, d), arm, trials, rewards };
        vec![
            one(1, "m", 0, 60, 3),
            one(2, "m", 1, 80, 12),
            one(3, "m", 3, 50, 5),
            one(1, "w", 0, 70, 11),
            one(4, "w", 1, 90, 5),
            one(2, "w", 3, 40, 4),
        ]
    }

    fn compiled(policy: &str) -> ContextPolicy {
        let e = experiment(policy);
        let model = recompute_model(&e, &outcomes(), Timestamp::UNIX_EPOCH, &|_| 1.0).unwrap();
        let ids: Vec<String> = e.arms.iter().map(|a| a.id.clone()).collect();
        ContextPolicy::new(&e, &model, &ids)
    }

    #[test]
    fn propensities_are_the_frequencies_of_draws() {
        let n = 40_000u32;
        for policy in [
            r#"{"kind":"logistic_thompson"}"#,
            r#"{"kind":"logistic_thompson","floor":0.1,"posterior_scale":0.5}"#,
            r#"{"kind":"logistic_thompson","posterior_scale":0.25,"optimism":1.2}"#,
            r#"{"kind":"linear_thompson"}"#,
        ] {
            let compiled = compiled(policy);
            for c in [context(2, "m"), Context::new()] {
                let p = compiled.propensities(&c, 4);
                assert!(p[2] == 0.0 && (p.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{p:?}");
                let mut seen = [0u32; 4];
                for i in 0..n {
                    let id =
                        DecisionId(u128::from(i).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_0C95_3D2B_4E11).to_be_bytes());
                    let arm = compiled.draw(&c, id, 7, i % 10 == 0);
                    if i % 50 == 0 {
                        assert_eq!(compiled.deal(&c, id, 7, i % 10 == 0), (arm, p[arm]));
                    }
                    seen[arm] += 1;
                }
                for (p, seen) in p.iter().zip(seen) {
                    let (got, error) = (f64::from(seen) / f64::from(n), (p * (1.0 - p) / f64::from(n)).sqrt());
                    assert!((got - p).abs() <= 4.0 * error, "{policy} {c:?}: {got} is not {p}");
                }
            }
        }
    }

    #[test]
    fn each_context_gets_its_own_arm() {
        for kind in ["logistic_thompson", "linear_thompson"] {
            let policy = compiled(&format!(r#"{{"kind":"{kind}"}}"#));
            let (m, w) = (policy.propensities(&context(2, "m"), 4), policy.propensities(&context(2, "w"), 4));
            assert!(m[1] > m[0] && w[0] > w[1], "{kind}: {m:?} {w:?}");
        }
    }

    #[test]
    fn a_new_arm_is_dealt_from_what_the_others_share() {
        let e = experiment(r#"{"kind":"logistic_thompson"}"#);
        let model = recompute_model(&e, &outcomes(), Timestamp::UNIX_EPOCH, &|_| 1.0).unwrap();
        let mut more = e.clone();
        more.arms.push(crate::Arm { id: "new".into(), ..e.arms[1].clone() });
        let ids: Vec<String> = e.arms.iter().map(|a| a.id.clone()).collect();
        let p = ContextPolicy::new(&more, &model, &ids).propensities(&context(2, "m"), 5);
        assert!(p[4] > 0.05 && (p.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{p:?}");
    }
}
