//! An experiment's results, as the API answers and the dashboard shows them: one computation for both.

use crate::{ExperimentRecord, Result, RunStatus, StoreError, Stores};
use bandit::{
    ArmPosterior, ArmResult, Beta, DelayCurve, Evidence, Experiment, HourOutcome, PosteriorSet, Status, hour_of,
    most_context_outcomes, overall, recompute, segment_weights, summarise, trials_by_segment,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Rows reported for segments, segments times arms: each takes about a millisecond of quadrature.
const MOST_ROWS: usize = 400;
/// Runs looked at to find the last that succeeded.
const RECENT_RUNS: usize = 50;

/// What an owner asks of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Results {
    /// The experiment.
    pub experiment: String,
    /// Where it is in its life.
    pub status: Status,
    /// The arm it was stopped with.
    pub winner: Option<String>,
    /// Version of the posteriors that are dealt from; 0 is the prior.
    pub posterior_version: u64,
    /// When the last update ended; none before the first.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub updated_at: Option<Timestamp>,
    /// The arms over all segments.
    pub arms: Vec<ArmResult>,
    /// The arms in each segment, those with most trials first; at most 400 rows in all.
    pub segments: Vec<SegmentResult>,
    /// The uniform holdout beside the policy; none unless the experiment has one.
    pub holdout: Option<Holdout>,
    /// How long rewards take; none before there are any whose trials have waited.
    pub delay: Option<Delay>,
    /// What to know before trusting the numbers.
    pub health: Vec<Health>,
}

/// One segment's arms.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SegmentResult {
    /// The segment.
    pub segment: String,
    /// Its arms.
    pub arms: Vec<ArmResult>,
}

/// Uniform allocation beside the policy's, at the same time on the same traffic.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Holdout {
    /// Who was dealt uniformly.
    pub holdout: Group,
    /// Who was dealt by the policy.
    pub policy: Group,
}

/// A group of trials.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Group {
    /// Exposed assignments.
    pub trials: u64,
    /// Those with a reward in their window.
    pub rewards: u64,
    /// `rewards / trials`; none without trials.
    pub rate: Option<f64>,
    /// 95 % credible interval of the rate under a uniform prior.
    #[schema(value_type = Vec<f64>)]
    pub interval: [f64; 2],
}

/// How long rewards take after their decisions, of those that come within the window. Trials whose reward may still come
/// count as failures to the extent that it would have come by now.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Delay {
    /// Hours within which half of them come.
    pub median_hours: f64,
    /// Hours within which 95 % come.
    pub p95_hours: f64,
    /// Rewards behind these numbers.
    pub rewards: u64,
    /// Hours up to which trials have waited; what comes later is drawn with caution.
    pub known_hours: f64,
    /// Hours and the share that comes within them, from (0, 0) to the window's end and 1.
    #[schema(value_type = Vec<Vec<f64>>)]
    pub points: Vec<[f64; 2]>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// What is checked.
    pub check: String,
    /// Whether all is well.
    pub ok: bool,
    /// What was found.
    pub detail: String,
    /// The numbers behind it.
    #[serde(flatten)]
    pub numbers: serde_json::Map<String, serde_json::Value>,
}

/// What the updater keeps of its checks: what readers are told, and what it needs to go on.
#[derive(Debug, Serialize, Deserialize)]
pub struct Examined {
    /// Version of `state`.
    #[serde(default)]
    pub format: u32,
    /// One line for each check.
    pub lines: Vec<Health>,
    /// Of the updater alone.
    pub state: serde_json::Value,
}

/// How far results go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// The arms over all segments only, for lists of experiments.
    Whole,
    /// Each segment too.
    Segments,
}

/// Computes the results of `record` as of `now`: counts as they are now, posteriors as last published.
///
/// # Errors
/// When a store cannot be read.
pub async fn results(stores: &Stores, record: &ExperimentRecord, now: Timestamp, detail: Detail) -> Result<Results> {
    let e = &record.definition;
    let mut evidence = Evidence { ended: record.stopped_at, ..stores.outcomes.evidence(&e.id).await? };
    let set = stores.posteriors.latest(&e.id).await?;
    if !e.features.is_empty() && set.as_ref().is_some_and(|set| set.revision != record.revision) {
        evidence.contexts = stores.outcomes.context_outcomes(&e.id, most_context_outcomes(e)).await?;
    }
    let runs = stores.runs.latest_runs(None, RECENT_RUNS).await?;
    let backlog = stores.events.backlog().await?;
    let updated_at = runs.iter().find(|r| r.status == RunStatus::Done).and_then(|r| r.finished_at);
    let mut health: Vec<Health> =
        [freshness(record, &runs, backlog), context(e, set.as_ref())].into_iter().flatten().collect();
    if let Some(text) = stores.findings.findings(&e.id).await? {
        let damaged = |error| StoreError::Damaged(format!("findings of '{}': {error}", e.id));
        health.append(&mut serde_json::from_str::<Examined>(&text).map_err(damaged)?.lines);
    }
    let (experiment, version) = (e.clone(), set.as_ref().map_or(0, |s| s.version));
    // Quadrature over a hundred segments takes a while: not on a thread that answers others.
    let revision = record.revision;
    let computed = tokio::task::spawn_blocking(move || {
        let set = aligned(&experiment, revision, set, &evidence);
        let outcomes = &evidence.outcomes[..];
        let open_since = hour_of(now) - i64::from(experiment.reward.window_hours);
        let arms = summarise(&experiment, &whole(&experiment, &set, &evidence), outcomes, open_since);
        let segments = match detail {
            Detail::Whole => Vec::new(),
            Detail::Segments => segments(&experiment, &set, outcomes, open_since),
        };
        (arms, segments, holdout(&experiment, outcomes), delay(&experiment, &evidence, now))
    });
    let (arms, segments, holdout, delay) =
        computed.await.map_err(|e| crate::StoreError::Damaged(format!("results: {e}")))?;
    Ok(Results {
        experiment: e.id.clone(),
        status: record.status,
        winner: record.winner.clone(),
        posterior_version: version,
        updated_at,
        arms,
        segments,
        holdout,
        delay,
        health,
    })
}

/// The published set; the prior before anything was published; and after a change of the definition, what the next
/// update will publish, as far as it goes by the same moment.
fn aligned(e: &Experiment, revision: u64, set: Option<PosteriorSet>, evidence: &Evidence) -> PosteriorSet {
    match set {
        Some(set) if set.revision == revision => set,
        Some(set) => recompute(e, revision, set.version, evidence, set.as_of),
        None => recompute(e, revision, 0, &Evidence::default(), Timestamp::UNIX_EPOCH),
    }
}

/// One posterior per arm over all segments: evidence added up on one prior; allocation weighted by trials.
fn whole(e: &Experiment, set: &PosteriorSet, evidence: &Evidence) -> Vec<ArmPosterior> {
    let weights = segment_weights(set, &trials_by_segment(&evidence.outcomes));
    // What segments lent each other is no evidence on the whole.
    let mut sums: Vec<Beta> = match &set.shared {
        Some(_) => overall(e, evidence, set.as_of),
        None => e.arms.iter().map(|a| Beta { alpha: a.prior.alpha, beta: a.prior.beta }).collect(),
    };
    let mut propensities = vec![0.0; e.arms.len()];
    for (list, weight) in set.segments.values().zip(&weights) {
        for (i, of_segment) in list.iter().enumerate().take(sums.len()) {
            if set.shared.is_none() {
                sums[i].alpha += of_segment.alpha - e.arms[i].prior.alpha;
                sums[i].beta += of_segment.beta - e.arms[i].prior.beta;
            }
            propensities[i] += weight * of_segment.propensity;
        }
    }
    let posterior = |(b, propensity): (Beta, f64)| ArmPosterior { alpha: b.alpha, beta: b.beta, propensity };
    sums.into_iter().zip(propensities).map(posterior).collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn ratio(a: u64, b: u64) -> f64 {
    a as f64 / b as f64
}

fn segments(e: &Experiment, set: &PosteriorSet, outcomes: &[HourOutcome], open_since: i64) -> Vec<SegmentResult> {
    let mut by_segment: BTreeMap<&str, Vec<HourOutcome>> = BTreeMap::new();
    for o in outcomes {
        by_segment.entry(&o.segment).or_default().push(o.clone());
    }
    let trials = trials_by_segment(outcomes);
    let mut names: Vec<&String> = set.segments.keys().collect();
    names.sort_by_key(|s| std::cmp::Reverse(trials.get(s.as_str())));
    names
        .into_iter()
        .take(MOST_ROWS / e.arms.len().max(1))
        .map(|segment| {
            let own = by_segment.get(segment.as_str()).map_or(&[][..], Vec::as_slice);
            SegmentResult { segment: segment.clone(), arms: summarise(e, &set.segments[segment], own, open_since) }
        })
        .collect()
}

fn holdout(e: &Experiment, outcomes: &[HourOutcome]) -> Option<Holdout> {
    let group = |held_out: bool| {
        let of_group = || outcomes.iter().filter(|o| o.holdout == held_out);
        let trials: u64 = of_group().map(|o| o.trials).sum();
        let rewards: u64 = of_group().map(|o| o.rewards).sum::<u64>().min(trials);
        let beta = Beta { alpha: 1.0 + ratio(rewards, 1), beta: 1.0 + ratio(trials - rewards, 1) };
        Group { trials, rewards, rate: (trials > 0).then(|| ratio(rewards, trials)), interval: beta.interval(0.95) }
    };
    let any = e.holdout > 0.0 || outcomes.iter().any(|o| o.holdout);
    any.then(|| Holdout { holdout: group(true), policy: group(false) })
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

/// Whether the last update worked and the log is being read.
fn freshness(record: &ExperimentRecord, runs: &[crate::Run], backlog: Option<u64>) -> Option<Health> {
    if record.status == Status::Draft {
        return None;
    }
    let last = runs.iter().find(|r| matches!(r.status, RunStatus::Done | RunStatus::Failed));
    let (ok, detail) = match last {
        None => (true, "no update has ended yet".to_owned()),
        Some(run) => match &run.report.error {
            Some(error) => (false, format!("the last update failed: {error}")),
            None => (
                true,
                backlog.map_or_else(|| "events are read".into(), |n| format!("events that wait to be read: {n}")),
            ),
        },
    };
    Some(Health { check: "update".into(), ok, detail, numbers: serde_json::Map::new() })
}

/// Says what a contextual policy learns from, and how to read its arms' rows.
fn context(e: &Experiment, set: Option<&PosteriorSet>) -> Option<Health> {
    if e.features.is_empty() {
        return None;
    }
    let model = set.and_then(|s| s.model.as_ref());
    let columns = model.map_or(0, |m| m.features.columns() - 1);
    Some(Health {
        check: "context".into(),
        ok: model.is_none() || columns > 0,
        detail: match model {
            None => "arms are dealt evenly until the first update".into(),
            Some(_) if columns == 0 => {
                "no decision brought a declared feature: arms are dealt as without context".into()
            }
            Some(_) => format!(
                "{columns} columns are learnt from the declared features; arms' rates are over all contexts, \
                 allocation is the mean over the latest ones"
            ),
        },
        numbers: serde_json::Map::new(),
    })
}
