//! A contextual policy's model as it is published, and made from evidence.

use super::cells::{Cells, ContextOutcome};
use super::cholesky::{Lower, packed};
use super::features::Encoder;
use super::hierarchy::{Fit, Shared, linear, logistic};
use crate::experiment::Experiment;
use crate::policy::PolicyKind;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Posteriors of every arm's coefficients, independent across arms: β ~ N(mean, MᵀM).
///
/// M = L⁻¹ with L the Cholesky factor of the posterior's precision. It is kept rather than L because a draw needs the
/// deviation of xᵀβ, which is ‖M x‖: products without divisions, over the columns where x is not 0; and rather than the
/// covariance or a factor of that, because it comes from the precision without squaring its condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ContextModel {
    /// What xᵀβ is.
    pub link: Link,
    /// How contexts become vectors x.
    pub features: Encoder,
    /// What arms have in common: the posterior of one that nothing is known of.
    pub prior: Coefficients,
    /// Noise variance of the linear model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<f64>,
    /// One per arm, in the set's order.
    pub arms: Vec<Coefficients>,
}

/// What the linear predictor of an arm is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// The log-odds of a reward.
    Logistic,
    /// Its rate.
    Linear,
}

/// A normal distribution of one arm's coefficients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Coefficients {
    /// Mean of each column's coefficient, the intercept first.
    pub mean: Vec<f64>,
    /// M: lower triangle by columns; column j holds rows j to d − 1.
    pub factor: Vec<f64>,
}

impl Coefficients {
    fn of(fit: &Fit) -> Self {
        Self { mean: fit.mean.clone(), factor: fit.factor.inverse().into_values() }
    }

    fn is_sound(&self, columns: usize) -> bool {
        self.mean.len() == columns
            && self.factor.len() == packed(columns)
            && self.mean.iter().chain(&self.factor).all(|v| v.is_finite())
    }
}

impl ContextModel {
    /// What a contextual experiment deals from before it has evidence; none for other kinds of policy.
    #[must_use]
    pub fn prior(experiment: &Experiment) -> Option<Self> {
        recompute_model(experiment, &[], Timestamp::UNIX_EPOCH, &|_| 1.0)
    }

    /// Whether its lists have the lengths they must have for `arms` arms, and finite numbers.
    pub(crate) fn is_sound(&self, arms: usize) -> bool {
        let columns = self.features.columns();
        self.features.is_sound()
            && self.arms.len() == arms
            && self.arms.iter().chain([&self.prior]).all(|c| c.is_sound(columns))
    }
}

/// The model of a contextual experiment from all its evidence; none for other kinds of policy.
///
/// An hour's outcomes weigh 2^(−age / half-life), and nothing outside the window. `arrived` gives the share of its
/// rewards that an hour of decision has had time to bring, by which trials without a reward count. The order of
/// `outcomes` and how they are split does not matter: they are added in a fixed one, so the bytes are the same.
#[must_use]
pub fn recompute_model(
    experiment: &Experiment,
    outcomes: &[ContextOutcome],
    as_of: Timestamp,
    arrived: &dyn Fn(i64) -> f64,
) -> Option<ContextModel> {
    let link = link_of(experiment.policy.kind)?;
    let (features, cells) = Cells::gather(experiment, outcomes, as_of, arrived);
    let groups = features.groups();
    let Shared { fits, prior, noise } = match link {
        Link::Logistic => logistic(&cells, &groups),
        Link::Linear => linear(&cells, &groups),
    };
    let mut factor = Lower::zeros(groups.len());
    for (j, p) in prior.precision.iter().enumerate() {
        factor.column_mut(j)[0] = p.sqrt().recip();
    }
    let prior = Coefficients { mean: prior.mean, factor: factor.into_values() };
    Some(ContextModel { link, features, prior, noise, arms: fits.iter().map(Coefficients::of).collect() })
}

/// What a kind of policy predicts, if it is contextual.
pub(crate) fn link_of(kind: PolicyKind) -> Option<Link> {
    match kind {
        PolicyKind::LogisticThompson => Some(Link::Logistic),
        PolicyKind::LinearThompson => Some(Link::Linear),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{Context, ContextValue};
    use proptest::prelude::*;

    fn experiment(kind: &str, arms: usize) -> Experiment {
        let arms: Vec<_> = (0..arms).map(|i| serde_json::json!({"id": format!("a{i}")})).collect();
        serde_json::from_value(serde_json::json!({
            "id": "e", "arms": arms, "policy": {"kind": kind, "half_life_hours": 100.0, "window_hours": 500},
            "reward": {"event": "r"},
            "features": [{"name": "age", "kind": "numeric"}, {"name": "device", "kind": "categorical"}],
        }))
        .unwrap()
    }

    fn context(age: i32, device: &str) -> Context {
        [("age".into(), ContextValue::Number(age.into())), ("device".into(), ContextValue::Text(device.into()))].into()
    }

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3600).unwrap()
    }

    fn model(e: &Experiment, outcomes: &[ContextOutcome]) -> ContextModel {
        recompute_model(e, outcomes, at(1_000), &|_| 1.0).unwrap()
    }

    fn outcome(hour: i64, age: i32, device: &str, arm: usize, (trials, rewards): (u64, u64)) -> ContextOutcome {
        ContextOutcome { hour, features: context(age, device), arm, trials, rewards }
    }

    fn any_outcome() -> impl Strategy<Value = ContextOutcome> {
        let counts = (0..2_000u64, 0..200u64);
        (400..1_000i64, 0..5i32, "[abc]", 0..4usize, counts)
            .prop_map(|(hour, age, device, arm, counts)| outcome(hour, age, &device, arm, counts))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        /// The same evidence gives the same bytes, in whatever order and pieces it comes.
        #[test]
        fn order_and_splitting_do_not_matter(
            mut outcomes in proptest::collection::vec(any_outcome(), 1..40),
            seed in any::<u64>(),
        ) {
            outcomes.iter_mut().for_each(|o| o.rewards = o.rewards.min(o.trials));
            let mut other: Vec<ContextOutcome> = outcomes
                .iter()
                .flat_map(|o| {
                    let (t, r) = (o.trials / 3, o.rewards.min(o.trials / 3));
                    [
                        ContextOutcome { trials: t, rewards: r, ..o.clone() },
                        ContextOutcome { trials: o.trials - t, rewards: o.rewards - r, ..o.clone() },
                    ]
                })
                .collect();
            let n = other.len();
            for i in 0..n {
                other.swap(i, (seed.rotate_left(u32::try_from(i % 64).unwrap()) % n as u64) as usize);
            }
            for kind in ["logistic_thompson", "linear_thompson"] {
                let e = experiment(kind, 4);
                let [one, two] = [&outcomes, &other].map(|o| serde_json::to_string(&model(&e, o)).unwrap());
                prop_assert_eq!(one, two);
            }
        }
    }

    #[test]
    fn hostile_evidence_gives_sound_models() {
        let cases: Vec<Vec<ContextOutcome>> = vec![
            vec![],
            vec![outcome(999, 1, "a", 0, (0, 0))],
            // Separated: arm 0 is all successes for one device and none for the other, at 1e9 trials.
            vec![outcome(999, 1, "a", 0, (1_000_000_000, 1_000_000_000)), outcome(999, 1, "b", 0, (1_000_000_000, 0))],
            vec![outcome(999, i32::MAX, "a", 1, (1, 1)), outcome(999, i32::MIN, "b", 0, (1, 0))],
            vec![outcome(999, 1, "a", 0, (u64::MAX, u64::MAX)), outcome(999, 2, "a", 1, (u64::MAX, 0))],
            // All rewarded, none rewarded, more rewards than trials, an arm that is not there, the far future.
            vec![outcome(999, 1, "a", 0, (100, 100)), outcome(999, 1, "a", 1, (100, 100))],
            vec![outcome(999, 1, "a", 0, (100, 0)), outcome(999, 1, "a", 1, (1_000_000_000, 0))],
            vec![
                outcome(999, 1, "a", 0, (5, 9)),
                outcome(999, 1, "a", 77, (5, 5)),
                outcome(i64::MAX / 4, 1, "a", 1, (5, 5)),
            ],
        ];
        for kind in ["logistic_thompson", "linear_thompson"] {
            let e = experiment(kind, 3);
            for outcomes in &cases {
                let m = model(&e, outcomes);
                assert!(m.is_sound(3), "{kind} {outcomes:?}: {m:?}");
                let policy = super::super::ContextPolicy::new(&e, &m, &["a0".into(), "a1".into(), "a2".into()]);
                for c in [context(1, "a"), context(i32::MIN, "b"), Context::new()] {
                    let p = policy.propensities(&c, 3);
                    assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-8, "{kind} {outcomes:?} {c:?}: {p:?}");
                }
            }
        }
    }

    #[test]
    fn age_window_and_arrival_weigh() {
        let e = experiment("linear_thompson", 2);
        let counts = |o: &[ContextOutcome], arrived: &dyn Fn(i64) -> f64| {
            Cells::gather(&e, o, at(1_000), arrived)
                .1
                .arms
                .concat()
                .iter()
                .map(|c| (c.trials, c.rewards))
                .collect::<Vec<_>>()
        };
        let one = |hour| [outcome(hour, 1, "a", 0, (100, 20))];
        assert_eq!(counts(&one(999), &|_| 1.0), [(100.0, 20.0)]);
        assert_eq!(counts(&one(899), &|_| 1.0), [(50.0, 10.0)]);
        assert_eq!(counts(&one(499), &|_| 1.0), []);
        // A quarter of the rewards have had time to come: failures count a quarter.
        assert_eq!(counts(&one(999), &|h| if h == 999 { 0.25 } else { 1.0 }), [(40.0, 20.0)]);
    }

    #[test]
    fn other_policies_have_no_model() {
        let mut e = experiment("logistic_thompson", 2);
        e.policy.kind = PolicyKind::Thompson;
        assert_eq!(recompute_model(&e, &[], at(0), &|_| 1.0), None);
    }
}
