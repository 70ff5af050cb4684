//! An experiment on a catalog with what was learnt, ready to deal lists.

use super::policy::{BaseRate, CandidatePolicy};
use super::{CandidateArms, OTHER_CANDIDATES};
use crate::decide::Source;
use crate::event::DecisionRecord;
use crate::experiment::{Experiment, Status};
use crate::key::{AssignmentKey, DecisionId, participation};
use crate::posterior::PosteriorSet;
use crate::segment::WHOLE;
use jiff::civil::Date;
use jiff::{Timestamp, tz::TimeZone};
use std::collections::HashMap;

/// Deals lists of a catalog's items.
#[derive(Debug, Clone)]
pub struct Explorer {
    experiment: Experiment,
    spec: CandidateArms,
    status: Status,
    revision: u64,
    version: u64,
    zone: TimeZone,
    base: BaseRate,
    /// Weighted successes and failures by item.
    counts: HashMap<String, [f64; 2]>,
    frozen: bool,
}

/// An item of a dealt list.
#[derive(Debug, Clone, PartialEq)]
pub struct DealtItem {
    /// Its place in the pool.
    pub index: usize,
    /// Its probability at its position.
    pub propensity: f64,
}

/// A list as it was dealt.
#[derive(Debug, Clone, PartialEq)]
pub struct DealtList {
    /// What the list is dealt, and kept, under.
    pub key: AssignmentKey,
    /// The day in the experiment's time zone.
    pub day: Date,
    /// Who chose: the policy or the holdout.
    pub source: Source,
    /// First place first.
    pub items: Vec<DealtItem>,
}

impl Explorer {
    /// Compiles a valid definition at `revision`, with the newest posterior set if one was published.
    ///
    /// # Errors
    /// What makes the definition unusable: it was not validated, or takes no candidates.
    pub fn new(
        experiment: Experiment,
        status: Status,
        revision: u64,
        set: Option<&PosteriorSet>,
    ) -> Result<Self, String> {
        let zone = TimeZone::get(&experiment.sticky.time_zone).map_err(|e| e.to_string())?;
        let spec = experiment.candidates.clone().ok_or("it takes no candidates")?;
        let list = set.and_then(|s| Some((s, s.segments.get(WHOLE)?)));
        // The published prior is flat: what lies above it was learnt.
        let mut counts: HashMap<String, [f64; 2]> = list
            .iter()
            .flat_map(|(s, list)| s.arms.iter().zip(*list))
            .map(|(id, p)| (id.clone(), [(p.alpha - 1.0).max(0.0), (p.beta - 1.0).max(0.0)]))
            .collect();
        // In the set's order, so that replicas agree to the bit.
        let learnt = list.iter().flat_map(|(_, list)| list.iter());
        let (successes, failures) =
            learnt.fold((0.0, 0.0), |(s, f), p| (s + (p.alpha - 1.0).max(0.0), f + (p.beta - 1.0).max(0.0)));
        counts.remove(OTHER_CANDIDATES);
        let version = set.map_or(0, |s| s.version);
        let base = BaseRate::of(successes, failures);
        Ok(Self { experiment, spec, status, revision, version, zone, base, counts, frozen: false })
    }

    /// The same, leaving lists as they are if `frozen`.
    #[must_use]
    pub fn frozen(self, frozen: bool) -> Self {
        Self { frozen, ..self }
    }

    /// Whether lists are left as they are.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// The definition.
    #[must_use]
    pub fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    /// What it says of its arms.
    #[must_use]
    pub fn spec(&self) -> &CandidateArms {
        &self.spec
    }

    /// Where the experiment is in its life.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// Version of the posteriors that it deals from.
    #[must_use]
    pub fn posterior_version(&self) -> u64 {
        self.version
    }

    /// Revision of the definition that it deals by.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// How often anything of the catalog succeeds.
    #[must_use]
    pub fn base_rate(&self) -> BaseRate {
        self.base
    }

    /// Who orders a visitor's lists; none if they stay as they are: it is not running, or the visitor is outside its
    /// traffic.
    #[must_use]
    pub fn source(&self, user: &str) -> Option<Source> {
        let (enrolment, holdout) = participation(&self.experiment.id, user);
        let deals = self.status == Status::Running && !self.frozen && enrolment < self.experiment.traffic;
        deals.then_some(if holdout < self.experiment.holdout { Source::Holdout } else { Source::Policy })
    }

    /// What a visitor's list at `now` is dealt under, and its day in the experiment's time zone; `place` tells apart
    /// lists that stand beside each other.
    #[must_use]
    pub fn list_key(&self, user: &str, place: &[&str], now: Timestamp) -> (AssignmentKey, Date) {
        let day = self.zone.to_datetime(now).date();
        (AssignmentKey::of_list(&self.experiment.id, user, place, day), day)
    }

    /// The key of an item that is shown to a visitor: that of any decision about it.
    #[must_use]
    pub fn item_key(&self, user: &str, item: &str, day: Date) -> AssignmentKey {
        AssignmentKey::new(&self.experiment.id, &self.experiment.sticky, user, Some(item), day)
    }

    /// How a pool is put in order: each item's id and similarity, in the order that it has without the experiment.
    #[must_use]
    pub fn policy(&self, pool: &[(&str, f64)]) -> Option<CandidatePolicy> {
        let known = |id: &str| self.counts.get(id).copied().unwrap_or_default();
        let pool: Vec<(f64, [f64; 2])> = pool.iter().map(|(id, similarity)| (*similarity, known(id))).collect();
        CandidatePolicy::new(&self.experiment, self.base, &pool)
    }

    /// Deals the first `length` places of a list from a pool; none for whom lists stay as they are.
    #[must_use]
    pub fn deal(
        &self,
        user: &str,
        place: &[&str],
        pool: &[(&str, f64)],
        length: usize,
        now: Timestamp,
    ) -> Option<DealtList> {
        let source = self.source(user)?;
        let (key, day) = self.list_key(user, place, now);
        let policy = self.policy(pool)?;
        // Seeded by the pool too: the second pool of a day depends on what the first draw showed, and must not be dealt by
        // the same luck.
        let seed = self.list_id(&key, self.version, pool.iter().map(|(id, _)| *id));
        let order = policy.draw(seed, self.version, source == Source::Holdout, length);
        let propensities = policy.propensities(&order);
        let items = order.into_iter().zip(propensities).map(|(index, propensity)| DealtItem { index, propensity });
        Some(DealtList { key, day, source, items: items.collect() })
    }

    /// The name of a list by what it shows: ids in order.
    #[must_use]
    pub fn list_id<'a>(&self, key: &AssignmentKey, version: u64, ids: impl Iterator<Item = &'a str>) -> DecisionId {
        DecisionId::of_list(key, version, ids)
    }

    /// The record of an item at its position of a list, for the event log.
    #[must_use]
    #[expect(clippy::too_many_arguments, reason = "a record has as many fields")]
    pub fn record(
        &self,
        user: &str,
        item: &str,
        day: Date,
        list: DecisionId,
        position: u32,
        propensity: f64,
        version: u64,
        source: Source,
        at: Timestamp,
    ) -> DecisionRecord {
        DecisionRecord {
            decision_id: self.item_key(user, item, day).id,
            experiment: self.experiment.id.clone(),
            user: user.into(),
            item: Some(item.into()),
            day,
            segment: WHOLE.into(),
            features: None,
            arm: item.into(),
            propensity,
            position: Some(position),
            list: Some(list),
            posterior_version: version,
            revision: self.revision,
            source,
            at,
        }
    }
}
