//! The rules of a policy and of the features that it learns from.

use super::{Findings, share};
use crate::context::{MAX_FEATURES, link_of};
use crate::experiment::Experiment;
use crate::id::check_id;
use crate::policy::{OnChange, PolicyKind};

pub(super) fn floor(e: &Experiment, f: &mut Findings) {
    #[expect(clippy::cast_precision_loss, reason = "at most 100 arms")]
    let most = 1.0 / e.arms.len().max(1) as f64;
    let fits = (0.0..=most).contains(&e.policy.floor);
    f.check(fits, "policy.floor", format!("must be 0 to {most:.4} (1 / number of arms)"));
}

pub(super) fn policy(e: &Experiment, f: &mut Findings) {
    let p = &e.policy;
    if let Some(epsilon) = p.epsilon {
        f.check(share(epsilon), "policy.epsilon", "must be 0 to 1");
        f.check(p.kind == PolicyKind::EpsilonGreedy, "policy.epsilon", "belongs to the kind 'epsilon_greedy' only");
    }
    if let Some(hours) = p.half_life_hours {
        f.check((1.0..=1e6).contains(&hours), "policy.half_life_hours", "must be 1 to 1000000");
    }
    if let Some(hours) = p.window_hours {
        f.check((1..=1_000_000).contains(&hours), "policy.window_hours", "must be 1 to 1000000");
    }
    if let Some(scale) = p.posterior_scale {
        f.check((0.01..=10.0).contains(&scale), "policy.posterior_scale", "must be 0.01 to 10");
        f.check(
            !matches!(p.kind, PolicyKind::EpsilonGreedy | PolicyKind::BayesUcb | PolicyKind::Fixed),
            "policy.posterior_scale",
            format!("belongs to kinds that draw from posteriors, as 'thompson': '{}' does not", policy_name(p.kind)),
        );
    }
    if let Some(optimism) = p.optimism {
        f.check((0.0..=10.0).contains(&optimism), "policy.optimism", "must be 0 to 10");
        f.check(
            p.kind.is_contextual(),
            "policy.optimism",
            "belongs to the kinds 'logistic_thompson' and 'linear_thompson'",
        );
    }
    f.check(
        !(p.on_change == OnChange::Forget && p.kind.is_contextual()),
        "policy.on_change",
        "must be 'keep' for contextual kinds: their arms' rates move with whom they are dealt to",
    );
    if let Some(pace) = p.pace_rewards {
        f.check((0.0..=1e6).contains(&pace), "policy.pace_rewards", "must be 0 to 1000000");
        f.check(
            matches!(p.kind, PolicyKind::Thompson | PolicyKind::TopTwoThompson),
            "policy.pace_rewards",
            "belongs to the kinds 'thompson' and 'top_two_thompson'",
        );
    }
    if let Some(leader) = p.leader_share {
        f.check(share(leader), "policy.leader_share", "must be 0 to 1");
        f.check(
            p.kind == PolicyKind::TopTwoThompson,
            "policy.leader_share",
            "belongs to the kind 'top_two_thompson' only",
        );
    }
    f.check(
        p.kind != PolicyKind::Fixed || e.candidates.is_some() || e.arms.iter().any(|a| a.enabled && a.weight > 0.0),
        "arms",
        "the policy 'fixed' needs an enabled arm with a positive weight",
    );
    features(e, f);
}

fn features(e: &Experiment, f: &mut Findings) {
    let kind = policy_name(e.policy.kind);
    if link_of(e.policy.kind).is_none() {
        f.check(e.features.is_empty(), "features", format!("must be empty: the policy '{kind}' does not use features"));
        return;
    }
    f.check(
        (1..=MAX_FEATURES).contains(&e.features.len()),
        "features",
        format!("must name 1 to {MAX_FEATURES} context attributes, which the policy '{kind}' learns from"),
    );
    for (i, feature) in e.features.iter().enumerate() {
        let at = format!("features[{i}].name");
        if let Err(why) = check_id(&feature.name) {
            f.add(&at, why.to_string());
        }
        let twice = e.features[..i].iter().any(|other| other.name == feature.name);
        f.check(!twice, at, format!("'{}' is named twice", feature.name.escape_debug()));
    }
}

fn policy_name(kind: PolicyKind) -> &'static str {
    match kind {
        PolicyKind::Thompson => "thompson",
        PolicyKind::TopTwoThompson => "top_two_thompson",
        PolicyKind::EpsilonGreedy => "epsilon_greedy",
        PolicyKind::BayesUcb => "bayes_ucb",
        PolicyKind::Fixed => "fixed",
        PolicyKind::LogisticThompson => "logistic_thompson",
        PolicyKind::LinearThompson => "linear_thompson",
    }
}
