//! An experiment's results, as the API answers and the dashboard shows them: one computation for both.

mod alone;
mod foremost;
mod report;
mod standing;

pub(crate) use foremost::foremost;
pub use foremost::{ARMS_SHOWN, with_foremost_arms};
pub use report::{Delay, Examined, Group, Health, Holdout, OneForAll, Results, SegmentResult};
pub use standing::{Updates, updates};

use crate::memory::{Memory, fingerprint};
use crate::{ExperimentRecord, Result, StoreError, Stores};
use bandit::{
    ArmPosterior, ArmResult, Beta, DelayCurve, Evidence, Experiment, HourOutcome, INTERVAL_LEVEL, PosteriorSet,
    hour_of, most_context_outcomes, overall, rate_difference, recompute, segment_weights, summarise, summarise_judged,
    trials_by_segment,
};
use foremost::{ids, left_out, of_shown, with_foremost};
use jiff::Timestamp;
use standing::{RECENT_RUNS, context, freshness, updates_of};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows reported for segments, segments times arms: each takes about a millisecond of quadrature.
const MOST_ROWS: usize = 400;

/// How far results go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail<'a> {
    /// The arms over all segments only, for lists of experiments.
    Whole,
    /// Each segment too.
    Segments,
    /// The whole and one segment, if there is one of that name.
    Segment(&'a str),
}

/// Computes the results of `record` as of `now`: counts as they are now, posteriors as last published.
///
/// # Errors
/// When a store cannot be read.
pub async fn results(
    stores: &Stores,
    record: &ExperimentRecord,
    now: Timestamp,
    detail: Detail<'_>,
) -> Result<Results> {
    Ok(results_and_segments(stores, record, now, detail, 0).await?.0)
}

/// The same with the counts of the `most` largest segments, which are read at once.
///
/// # Errors
/// When a store cannot be read.
pub async fn results_and_segments(
    stores: &Stores,
    record: &ExperimentRecord,
    now: Timestamp,
    detail: Detail<'_>,
    most: usize,
) -> Result<(Results, Segments)> {
    let e = &record.definition;
    let open_since = hour_of(now) - i64::from(e.reward.window_hours);
    let all = Evidence { ended: record.stopped_at, ..stores.outcomes.totals(&e.id, open_since).await? };
    let shown = with_foremost(record, &all);
    let record = &shown;
    let e = &record.definition;
    let arms_left_out = e.candidates.as_ref().map(|_| left_out(&all, e.arms.len()));
    let totals = of_shown(e, all.clone());
    let set = stores.memory.newest_set(&*stores.posteriors, &e.id).await?;
    let runs = stores.runs.latest_runs(Some(crate::RunKind::Posteriors), None, RECENT_RUNS).await?;
    let backlog = stores.events.backlog().await?;
    let updated_at = updates_of(&runs).of(record);
    let mut health: Vec<Health> =
        [freshness(record, &runs, backlog), context(e, set.as_deref())].into_iter().flatten().collect();
    if let Some(text) = stores.findings.findings(&e.id).await? {
        let damaged = |error| StoreError::Damaged(format!("findings of '{}': {error}", e.id));
        health.append(&mut serde_json::from_str::<Examined>(&text).map_err(damaged)?.lines);
    }
    let version = set.as_ref().map_or(0, |s| s.version);
    let published = set.is_some();
    let pooled = pooled(stores, record, set, &totals).await?;
    let largest = counted(e, Some(&*pooled.0).filter(|_| published), &totals.outcomes, most);
    let one_for_all = alone::one_for_all(e, &pooled.0, &totals.outcomes);
    let (experiment, memory) = (e.clone(), stores.memory.clone());
    let wanted = match detail {
        Detail::Whole => None,
        Detail::Segments => Some(None),
        Detail::Segment(name) => Some(Some(name.to_owned())),
    };
    // Quadrature over a hundred segments takes a while: not on a thread that answers others.
    let computed = tokio::task::spawn_blocking(move || {
        let (set, sums) = pooled;
        let (e, outcomes) = (&experiment, &totals.outcomes[..]);
        let arms = rows(e, &joined(e, &set, outcomes, &sums), outcomes, open_since, &memory);
        let segments =
            wanted.map_or_else(Vec::new, |only| segments(e, &set, outcomes, open_since, only.as_deref(), &memory));
        (arms, segments, holdout(e, &all.outcomes), delay(e, &totals, now))
    });
    let (arms, segments, holdout, delay) =
        computed.await.map_err(|e| crate::StoreError::Damaged(format!("results: {e}")))?;
    let results = Results {
        experiment: e.id.clone(),
        status: record.status,
        winner: record.winner.clone(),
        posterior_version: version,
        updated_at,
        arms_left_out,
        arms,
        segments,
        one_for_all,
        holdout,
        delay,
        health,
    };
    Ok((results, largest))
}

/// The set that results are of, and the arms' evidence over all its segments, which for pooled ones is counted anew: from
/// every hour, so only when something has come since the last time.
async fn pooled(
    stores: &Stores,
    record: &ExperimentRecord,
    set: Option<Arc<PosteriorSet>>,
    totals: &Evidence,
) -> Result<(Arc<PosteriorSet>, Arc<Vec<Beta>>)> {
    let (e, revision) = (&record.definition, record.revision);
    let set = match set {
        Some(set) if e.candidates.is_some() => Some(Arc::new(set.of_candidates(&ids(e)))),
        set => set,
    };
    let current = set.as_ref().is_none_or(|s| s.revision == revision);
    // An id may be used again once a draft is deleted.
    let made = record.created_at.as_nanosecond().to_string();
    let key = |s: &PosteriorSet| (format!("{} {made}", e.id), revision, s.version, fingerprint(totals));
    if current {
        let set = set.unwrap_or_else(|| Arc::new(prior(e, revision)));
        if set.shared.is_none() {
            let sums = Arc::new(added_up(e, &set));
            return Ok((set, sums));
        }
        if let Some(sums) = stores.memory.sums(&key(&set)) {
            return Ok((set, sums));
        }
        let evidence = Evidence { ended: record.stopped_at, ..stores.outcomes.evidence(&e.id).await? };
        let sums = Arc::new(overall(e, &evidence, set.as_of));
        stores.memory.keep_sums(key(&set), sums.clone());
        return Ok((set, sums));
    }
    let evidence = Evidence { ended: record.stopped_at, ..stores.outcomes.evidence(&e.id).await? };
    let mut evidence = of_shown(e, evidence);
    if !e.features.is_empty() {
        evidence.contexts = stores.outcomes.context_outcomes(&e.id, most_context_outcomes(e)).await?;
    }
    let experiment = e.clone();
    let computed = tokio::task::spawn_blocking(move || {
        let set = aligned(&experiment, revision, set.as_deref(), &evidence);
        let sums = sums(&experiment, &set, &evidence);
        (Arc::new(set), Arc::new(sums))
    });
    computed.await.map_err(|e| crate::StoreError::Damaged(format!("results: {e}")))
}

/// Trials and rewards of a segment, by arm.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentCounts {
    /// The segment.
    pub segment: String,
    /// Trials and rewards of each arm.
    pub arms: Vec<(u64, u64)>,
    /// Share of its visitors that each arm is dealt to.
    pub allocation: Vec<f64>,
}

impl SegmentCounts {
    /// Trials of all arms.
    #[must_use]
    pub fn trials(&self) -> u64 {
        self.arms.iter().map(|a| a.0).sum()
    }
}

/// The largest segments, and how many there are.
#[derive(Debug, Clone, PartialEq)]
pub struct Segments {
    /// Those with most trials first.
    pub largest: Vec<SegmentCounts>,
    /// Segments of the published set.
    pub all: usize,
}

/// Counts of the `most` largest segments as they are now: what is known of them without quadrature.
///
/// # Errors
/// When a store cannot be read.
pub async fn segment_counts(stores: &Stores, record: &ExperimentRecord, most: usize) -> Result<Segments> {
    let all = stores.outcomes.totals(&record.definition.id, i64::MAX).await?;
    let record = &with_foremost(record, &all);
    let e = &record.definition;
    let totals = of_shown(e, all);
    let set = stores.memory.newest_set(&*stores.posteriors, &e.id).await?;
    let published = set.is_some();
    let (set, _) = pooled(stores, record, set, &totals).await?;
    Ok(counted(e, Some(&*set).filter(|_| published), &totals.outcomes, most))
}

fn counted(e: &Experiment, set: Option<&PosteriorSet>, outcomes: &[HourOutcome], most: usize) -> Segments {
    let Some(set) = set.filter(|_| most > 0) else {
        return Segments { largest: Vec::new(), all: set.map_or(0, |set| set.segments.len()) };
    };
    let mut counts: BTreeMap<&str, Vec<(u64, u64)>> = BTreeMap::new();
    for o in outcomes {
        let arms = counts.entry(&o.segment).or_insert_with(|| vec![(0, 0); e.arms.len()]);
        if let Some((trials, rewards)) = arms.get_mut(o.arm) {
            *trials += o.trials;
            *rewards += o.rewards;
        }
    }
    let of = |(name, list): (&String, &Vec<ArmPosterior>)| SegmentCounts {
        segment: name.clone(),
        arms: counts.get(name.as_str()).cloned().unwrap_or_else(|| vec![(0, 0); e.arms.len()]),
        allocation: list.iter().map(|p| p.propensity).collect(),
    };
    let mut largest: Vec<SegmentCounts> = set.segments.iter().map(of).collect();
    let all = largest.len();
    largest.sort_by_key(|s| std::cmp::Reverse(s.trials()));
    largest.truncate(most);
    Segments { largest, all }
}

/// What stands before anything was published.
fn prior(e: &Experiment, revision: u64) -> PosteriorSet {
    recompute(e, revision, 0, &Evidence::default(), Timestamp::UNIX_EPOCH)
}

/// The published set; the prior before anything was published; and after a change of the definition, what the next
/// update will publish, as far as it goes by the same moment.
fn aligned(e: &Experiment, revision: u64, set: Option<&PosteriorSet>, evidence: &Evidence) -> PosteriorSet {
    match set {
        Some(set) if set.revision == revision => set.clone(),
        Some(set) => recompute(e, revision, set.version, evidence, set.as_of),
        None => prior(e, revision),
    }
}

/// Arms over all segments: evidence added up on one prior.
fn sums(e: &Experiment, set: &PosteriorSet, evidence: &Evidence) -> Vec<Beta> {
    // What segments lent each other is no evidence on the whole.
    if set.shared.is_some() { overall(e, evidence, set.as_of) } else { added_up(e, set) }
}

/// The same of segments that lend each other nothing, from the set alone.
fn added_up(e: &Experiment, set: &PosteriorSet) -> Vec<Beta> {
    let mut sums: Vec<Beta> = e.arms.iter().map(|a| Beta { alpha: a.prior.alpha, beta: a.prior.beta }).collect();
    for list in set.segments.values() {
        for ((sum, of_segment), arm) in sums.iter_mut().zip(list).zip(&e.arms) {
            sum.alpha += of_segment.alpha - arm.prior.alpha;
            sum.beta += of_segment.beta - arm.prior.beta;
        }
    }
    sums
}

/// One posterior per arm over all segments; allocation weighted by trials.
fn joined(e: &Experiment, set: &PosteriorSet, outcomes: &[HourOutcome], sums: &[Beta]) -> Vec<ArmPosterior> {
    let weights = segment_weights(set, &trials_by_segment(outcomes));
    let mut propensities = vec![0.0; e.arms.len()];
    for (list, weight) in set.segments.values().zip(&weights) {
        for (sum, of_segment) in propensities.iter_mut().zip(list) {
            *sum += weight * of_segment.propensity;
        }
    }
    let posterior = |(b, propensity): (&Beta, f64)| ArmPosterior { alpha: b.alpha, beta: b.beta, propensity };
    sums.iter().zip(propensities).map(posterior).collect()
}

/// The arms' rows over all segments of a set, as results have them once it is published.
pub(crate) fn rows_of(e: &Experiment, set: &PosteriorSet, evidence: &Evidence, open_since: i64) -> Vec<ArmResult> {
    let posteriors = joined(e, set, &evidence.outcomes, &sums(e, set, evidence));
    summarise(e, &posteriors, &evidence.outcomes, open_since)
}

fn rows(
    e: &Experiment,
    posteriors: &[ArmPosterior],
    outcomes: &[HourOutcome],
    open_since: i64,
    memory: &Memory,
) -> Vec<ArmResult> {
    let betas: Vec<Beta> = posteriors.iter().map(ArmPosterior::beta).collect();
    let enabled: Vec<bool> = e.arms.iter().map(|a| a.enabled).collect();
    summarise_judged(e, posteriors, &memory.judge(&betas, &enabled, e.control()), outcomes, open_since)
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn ratio(a: u64, b: u64) -> f64 {
    a as f64 / b as f64
}

fn segments(
    e: &Experiment,
    set: &PosteriorSet,
    outcomes: &[HourOutcome],
    open_since: i64,
    only: Option<&str>,
    memory: &Memory,
) -> Vec<SegmentResult> {
    let mut by_segment: BTreeMap<&str, Vec<HourOutcome>> = BTreeMap::new();
    for o in outcomes {
        by_segment.entry(&o.segment).or_default().push(o.clone());
    }
    let trials = trials_by_segment(outcomes);
    let mut names: Vec<&String> = set.segments.keys().filter(|name| only.is_none_or(|only| only == *name)).collect();
    names.sort_by_key(|s| std::cmp::Reverse(trials.get(s.as_str())));
    names
        .into_iter()
        .take(MOST_ROWS / e.arms.len().max(1))
        .map(|segment| {
            let own = by_segment.get(segment.as_str()).map_or(&[][..], Vec::as_slice);
            SegmentResult { segment: segment.clone(), arms: rows(e, &set.segments[segment], own, open_since, memory) }
        })
        .collect()
}

pub(crate) fn holdout(e: &Experiment, outcomes: &[HourOutcome]) -> Option<Holdout> {
    let group = |held_out: bool| {
        let of_group = || outcomes.iter().filter(|o| o.holdout == held_out);
        let trials: u64 = of_group().map(|o| o.trials).sum();
        let rewards: u64 = of_group().map(|o| o.rewards).sum::<u64>().min(trials);
        let beta = Beta { alpha: 1.0 + ratio(rewards, 1), beta: 1.0 + ratio(trials - rewards, 1) };
        Group {
            trials,
            rewards,
            rate: (trials > 0).then(|| ratio(rewards, trials)),
            interval: beta.interval(INTERVAL_LEVEL),
        }
    };
    let any = e.holdout > 0.0 || outcomes.iter().any(|o| o.holdout);
    any.then(|| {
        let (holdout, policy) = (group(true), group(false));
        let difference = rate_difference((policy.trials, policy.rewards), (holdout.trials, holdout.rewards));
        Holdout { holdout, policy, difference }
    })
}

fn delay(e: &Experiment, evidence: &Evidence, now: Timestamp) -> Option<Delay> {
    let now = evidence.latest.map_or(now, |latest| now.max(latest));
    let curve = DelayCurve::estimate(&evidence.delays, e.reward.window_hours, now);
    (curve.rewards() > 0).then(|| Delay {
        median_hours: curve.quantile(0.5),
        p95_hours: curve.quantile(0.95),
        rewards: curve.rewards(),
        known_hours: curve.known_hours(),
        points: curve.points().map(|(hours, share)| [hours, share]).collect(),
    })
}
