//! What a decision counts for, given the events that claim it: the one rule, for new arrivals and for recounts.

use crate::ClaimStanding;
use bandit::{CLOCK_SKEW, Experiment, Exposure, Source, UserEventKind};

/// A decision as it is kept.
#[derive(Clone, Copy)]
pub(super) struct Decided {
    pub(super) source: Source,
    /// Whether it is a trial only once it was seen, whatever the definition says.
    pub(super) offered: bool,
    /// Milliseconds.
    pub(super) at: i64,
}

/// An event that claims a decision.
pub(super) struct Claim {
    pub(super) kind: String,
    pub(super) name: String,
    /// The only experiment that it is for.
    pub(super) experiment: Option<String>,
    pub(super) value: f64,
    /// Milliseconds.
    pub(super) at: i64,
}

/// What a decision adds to its row of outcomes, and to the delays of its hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) trial: bool,
    pub(super) reward: bool,
    /// Milliseconds to the first reward; none without one.
    pub(super) delay: Option<i64>,
}

impl Decided {
    /// A trial is an exposed assignment that the policy or the holdout dealt. It is rewarded by a positive reward of
    /// the experiment's name from its moment (less the clocks' tolerance) to the end of its window; the earliest says
    /// how long it took, whenever it arrives.
    ///
    /// What was `counted` stays so; of what counts in full only claims that are earlier than the counted reward matter.
    pub(super) fn counts(&self, experiment: &Experiment, claims: &[Claim], counted: Counts) -> Counts {
        let stands = |as_what: ClaimStanding| move |c: &&Claim| self.standing(experiment, c) == as_what;
        let exposed = match experiment.exposure {
            Exposure::Decide if !self.offered => true,
            _ => claims.iter().any(|c| stands(ClaimStanding::Exposes)(&c)),
        };
        let trial = counted.trial || (exposed && self.source.is_trial());
        let rewards = claims.iter().filter(stands(ClaimStanding::Rewards));
        let paid = rewards.map(|c| c.at - self.at).chain(counted.delay).min();
        let delay = paid.filter(|_| trial);
        Counts { trial, reward: counted.reward || delay.is_some(), delay }
    }

    /// What an event is for this decision.
    pub(super) fn standing(&self, experiment: &Experiment, claim: &Claim) -> ClaimStanding {
        let skew = i64::try_from(CLOCK_SKEW.as_millis()).unwrap_or(0);
        let window = i64::from(experiment.reward.window_hours) * 3_600_000;
        let reward = claim.kind == UserEventKind::Reward.as_str();
        if claim.experiment.as_ref().is_some_and(|id| *id != experiment.id) {
            ClaimStanding::OtherExperiment
        } else if claim.kind == UserEventKind::Exposure.as_str() {
            if claim.at >= self.at - skew { ClaimStanding::Exposes } else { ClaimStanding::Early }
        } else if !reward || claim.name != experiment.reward.event {
            ClaimStanding::OtherEvent
        } else if claim.value <= 0.0 {
            ClaimStanding::Worthless
        } else if claim.at < self.at - skew {
            ClaimStanding::Early
        } else if claim.at > self.at + window {
            ClaimStanding::Late
        } else {
            ClaimStanding::Rewards
        }
    }
}

const SOURCES: [Source; 5] = [Source::Policy, Source::Holdout, Source::NotEnrolled, Source::Paused, Source::Fallback];

/// The number of a source in the table of decisions.
pub(super) fn source_number(source: Source) -> i64 {
    SOURCES.iter().position(|s| *s == source).map_or(-1, |i| i64::try_from(i).unwrap_or(-1))
}

/// What is added to the number of a source while its decision is an offer.
pub(super) const OFFERED: i64 = 5;

/// The source of a number, of an offer too.
pub(super) fn source_of(number: i64) -> Option<Source> {
    usize::try_from(number % OFFERED).ok().and_then(|i| SOURCES.get(i)).copied().filter(|_| number < 2 * OFFERED)
}

/// Whether a number is of an offer.
pub(super) fn is_offer(number: i64) -> bool {
    number >= OFFERED
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reward(at: i64, value: f64) -> Claim {
        Claim { kind: "reward".into(), name: "buy".into(), experiment: None, value, at }
    }

    #[test]
    fn rewards_count_inside_the_window_only() {
        let json = r#"{"id":"e","arms":[{"id":"a"},{"id":"b"}],"reward":{"event":"buy","window_hours":1}}"#;
        let mut e: Experiment = serde_json::from_str(json).unwrap();
        let at = 10_000_000;
        let d = Decided { source: Source::Policy, offered: false, at };
        let counts = |d: &Decided, e: &Experiment, claims: &[Claim]| d.counts(e, claims, Counts::default());
        let rewarded = |delay| Counts { trial: true, reward: true, delay: Some(delay) };
        let no_reward = Counts { trial: true, ..Counts::default() };
        for (late, value, counted) in [
            (0, 1.0, true),
            (3_600_000, 1.0, true),
            (3_600_001, 1.0, false),
            (-60_000, 1.0, true),
            (-60_001, 1.0, false),
            (0, 0.0, false),
        ] {
            let expected = if counted { rewarded(late) } else { no_reward };
            assert_eq!(counts(&d, &e, &[reward(at + late, value)]), expected, "{late} {value}");
        }
        let other = Claim { name: "click".into(), ..reward(at, 1.0) };
        assert!(!counts(&d, &e, &[other]).reward);
        for (id, counted) in [("e", true), ("f", false)] {
            let only = Claim { experiment: Some(id.into()), ..reward(at, 1.0) };
            assert_eq!(counts(&d, &e, &[only]).reward, counted, "for {id}");
        }
        let control = Decided { source: Source::Paused, ..d };
        assert_eq!(counts(&control, &e, &[reward(at, 1.0)]), Counts::default());
        let offered = Decided { offered: true, ..d };
        assert_eq!(
            counts(&offered, &e, &[reward(at, 1.0)]),
            Counts::default(),
            "not seen, whatever the definition says"
        );
        e.exposure = Exposure::Event;
        assert_eq!(counts(&d, &e, &[reward(at, 1.0)]), Counts::default(), "not seen, no trial");
        let seen = Claim { kind: "exposure".into(), ..reward(at, 1.0) };
        assert_eq!(counts(&d, &e, &[reward(at, 1.0), seen]), rewarded(0));
        // Of what counts in full, only what is new is looked at.
        for (claims, delay) in
            [(vec![], 50), (vec![reward(at + 7, 1.0), reward(at + 9, 1.0)], 7), (vec![reward(at, 0.0)], 50)]
        {
            assert_eq!(d.counts(&e, &claims, rewarded(50)), rewarded(delay));
        }
    }

    #[test]
    fn numbers_of_sources_never_change() {
        for (n, source) in [
            (0, Source::Policy),
            (1, Source::Holdout),
            (2, Source::NotEnrolled),
            (3, Source::Paused),
            (4, Source::Fallback),
        ] {
            assert_eq!((source_number(source), source_of(n)), (n, Some(source)));
        }
        assert_eq!((source_of(5), is_offer(5), is_offer(4)), (Some(Source::Policy), true, false));
        assert_eq!((source_of(6), source_of(10), source_of(-1)), (Some(Source::Holdout), None, None));
    }
}
