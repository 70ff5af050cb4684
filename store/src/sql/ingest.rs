//! Taking in a batch: insert what is new, find which decisions that concerns, and move the counts by what changed.

use super::bulk::{Aside, Bulk, DecisionRow, EventRow, Id, Moves};
use super::candidates::{self, Numbers};
use super::evaluate::Counts;
use super::findings::two_arms;
use super::item_views::{add_views, viewed};
use super::search::move_traffic;
use super::settle::settle;
use super::{Database, Either, Turn, Tx, damaged, signed, storable, users};
use crate::{Ingest, Ingested, Result};
use bandit::{DecisionRecord, Experiment, Exposure};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Longest text of a record that is set aside, in bytes.
const LONGEST_BODY: usize = 4_096;

/// Who dealt what a batch holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// We did: a key with two arms is a fault.
    Platform,
    /// Somebody else, who may have kept to no key: the first of a key counts.
    Others,
}

/// An experiment as rows refer to it.
pub(super) struct Known {
    pub(super) num: i64,
    pub(super) definition: Experiment,
}

impl Database {
    pub(super) async fn ingest_batch(&self, batch: &Ingest) -> Result<Ingested> {
        if let Either::Postgres(server) = &self.0 {
            server.prepare_days(batch).await?;
        }
        let mut tx = self.write(Turn::Batch).await?;
        let ingested = ingest(&mut tx, batch, From::Platform).await?;
        tx.commit().await?;
        self.tidy().await;
        Ok(ingested)
    }
}

/// Finds an experiment, deleted ones too: their last decisions may still arrive.
pub(super) const KNOWN: &str = "SELECT num, definition FROM experiments WHERE id = $1";

/// What [`KNOWN`] finds.
pub(super) fn known_of(row: Option<(i64, String)>) -> Result<Option<Known>> {
    let known = |(num, text): (i64, String)| {
        Ok(Known { num, definition: serde_json::from_str(&text).map_err(damaged("definition"))? })
    };
    row.map(known).transpose()
}

pub(super) async fn known(tx: &mut Tx, id: &str) -> Result<Option<Known>> {
    known_of(on!(tx, db => sqlx::query_as(KNOWN).bind(&*storable(id)).fetch_optional(&mut **db).await?))
}

pub(super) async fn ingest(tx: &mut Tx, batch: &Ingest, from: From) -> Result<Ingested> {
    // In the same transaction, so that whoever is erased is not brought back by a batch that was on its way.
    let left = users::erasures(tx).await?.without_erased(batch);
    let batch = left.as_ref().unwrap_or(batch);
    let mut experiments: BTreeMap<&str, Option<Known>> = BTreeMap::new();
    for decision in batch.decisions.iter().chain(&batch.offers) {
        if !experiments.contains_key(decision.experiment.as_str()) {
            experiments.insert(&decision.experiment, known(tx, &decision.experiment).await?);
        }
    }
    let mut candidates: HashMap<&str, Numbers<'_>> = HashMap::new();
    for (id, known) in experiments.iter().filter_map(|(id, known)| Some((*id, known.as_ref()?))) {
        if known.definition.candidates.is_some() {
            let own = batch.decisions.iter().filter(|d| d.experiment == id && shows_its_arm(d));
            candidates.insert(id, candidates::numbers(tx, known.num, own).await?);
        }
    }
    let mut set_aside = batch.set_aside.clone();
    let all = batch.decisions.iter().map(|d| (d, false)).chain(batch.offers.iter().map(|d| (d, true)));
    let mut rows = Vec::with_capacity(batch.decisions.len() + batch.offers.len());
    let mut segments: HashMap<(i64, &str), i64> = HashMap::new();
    for (decision, offered) in all {
        let Some(Some(experiment)) = experiments.get(decision.experiment.as_str()) else {
            set_aside.push((format!("unknown experiment '{}'", decision.experiment), body(decision)));
            continue;
        };
        let arm = match candidates.get(decision.experiment.as_str()) {
            Some(numbers) => numbers.get(decision.arm.as_str()).copied().filter(|_| shows_its_arm(decision)),
            None => experiment.definition.arm_index(&decision.arm).map(|arm| signed(arm as u64)),
        };
        let Some(arm) = arm else {
            set_aside
                .push((format!("experiment '{}' has no arm '{}'", decision.experiment, decision.arm), body(decision)));
            continue;
        };
        let place = (experiment.num, decision.segment.as_str());
        let segment = match segments.get(&place) {
            Some(&num) => num,
            None => {
                let num = segment(tx, place.0, place.1).await?;
                segments.insert(place, num);
                num
            }
        };
        let trial = !offered && experiment.definition.exposure == Exposure::Decide && decision.source.is_trial();
        rows.push(DecisionRow { experiment: experiment.num, segment, arm, trial, offered, decision });
    }

    let mut moved = Moves::default();
    let logged: Vec<(Id, i64, &DecisionRecord)> = rows.iter().map(|row| (row.id(), row.arm, row.decision)).collect();
    let told: Vec<Id> = rows.iter().filter(|row| !row.offered).map(DecisionRow::id).collect();
    let (fresh, claimed) = insert_decisions(tx, rows, &mut moved).await?;
    // Events may have arrived before their decisions.
    let mut affected: BTreeSet<Id> = claimed.into_iter().collect();
    if fresh.len() < logged.len() {
        let fresh: HashSet<&Id> = fresh.iter().collect();
        let again: BTreeSet<Id> = told.into_iter().filter(|id| !fresh.contains(id)).collect();
        affected.extend(on!(&mut *tx, db => db.take_up(&again.into_iter().collect::<Vec<_>>()).await?));
    }
    if from == From::Platform {
        set_aside.extend(contradictions(tx, logged, &fresh).await?);
    }
    let (events, claimed) = insert_events(tx, batch).await?;
    affected.extend(claimed);
    settle(tx, &affected, &mut moved).await?;
    on!(&mut *tx, db => db.move_counts(&moved.cells()).await?);
    move_traffic(tx, &moved.cells()).await?;
    on!(&mut *tx, db => db.move_waits(&moved.waits()).await?);
    for (experiment, at) in moved.newest() {
        on!(&mut *tx, db => {
            sqlx::query(NEWEST).bind(experiment).bind(at).execute(&mut **db).await?;
        });
    }
    let records: Vec<Aside<'_>> = set_aside
        .iter()
        .map(|(reason, body)| Aside { reason, body: &body[..body.floor_char_boundary(LONGEST_BODY)] })
        .collect();
    let set_aside = on!(tx, db => db.set_aside(batch.at.as_millisecond(), &records).await?);
    Ok(Ingested { decisions: fresh.len() as u64, events, set_aside })
}

/// Whether the arm is the item, as it is where arms are a catalog's items.
fn shows_its_arm(decision: &DecisionRecord) -> bool {
    decision.item.as_ref() == Some(&decision.arm)
}

/// Notes a trial if it is the newest.
const NEWEST: &str = "INSERT INTO newest_trials (experiment, at) VALUES ($1, $2)
    ON CONFLICT (experiment) DO UPDATE SET at = excluded.at WHERE newest_trials.at < excluded.at";

fn body(decision: &DecisionRecord) -> String {
    serde_json::to_string(decision).unwrap_or_default()
}

/// The number of a segment, which is given if it has none.
async fn segment(tx: &mut Tx, experiment: i64, segment: &str) -> Result<i64> {
    let segment = storable(segment);
    let known: Option<i64> = on!(&mut *tx, db => {
        sqlx::query_scalar("SELECT num FROM segments WHERE experiment = $1 AND segment = $2")
            .bind(experiment)
            .bind(&*segment)
            .fetch_optional(&mut **db)
            .await?
    });
    if let Some(num) = known {
        return Ok(num);
    }
    Ok(on!(tx, db => {
        sqlx::query_scalar("INSERT INTO segments (experiment, segment) VALUES ($1, $2) RETURNING num")
            .bind(experiment)
            .bind(&*segment)
            .fetch_one(&mut **db)
            .await?
    }))
}

/// Inserts decisions that are new and counts them; returns their ids, and those that an event claims already.
async fn insert_decisions(
    tx: &mut Tx,
    mut rows: Vec<DecisionRow<'_>>,
    moved: &mut Moves,
) -> Result<(Vec<Id>, Vec<Id>)> {
    // In the order of the table, so that a page is touched once. The sort is stable: of an id that comes twice the
    // first stays, as it does across batches; a decision before an offer of it.
    rows.sort_by_cached_key(|row| (row.id(), row.offered));
    rows.dedup_by_key(|row| row.id());
    let (fresh, claimed) = on!(tx, db => db.insert_decisions(rows).await?);
    for row in fresh.iter().filter(|row| row.trial) {
        let trial = Counts { trial: true, ..Counts::default() };
        moved.add(row.cell(), row.decision.at.as_millisecond(), Counts::default(), trial);
    }
    Ok((fresh.iter().map(DecisionRow::id).collect(), claimed))
}

/// Of the decisions that were `logged`, those that name another arm than the one that is kept: an assignment has one.
async fn contradictions(
    tx: &mut Tx,
    logged: Vec<(Id, i64, &DecisionRecord)>,
    fresh: &[Id],
) -> Result<Vec<(String, String)>> {
    if logged.len() == fresh.len() {
        return Ok(Vec::new());
    }
    // Whatever came once and was new is kept as it came.
    let mut times: BTreeMap<Id, usize> = BTreeMap::new();
    logged.iter().for_each(|(id, ..)| *times.entry(*id).or_default() += 1);
    fresh.iter().for_each(|id| *times.entry(*id).or_default() -= 1);
    times.retain(|_, left| *left > 0);
    let ids: Vec<Id> = times.into_keys().collect();
    let kept: HashMap<Id, i64> = on!(tx, db => db.arms(&ids).await?).into_iter().collect();
    let other = logged.into_iter().filter(|(id, arm, _)| kept.get(id).is_some_and(|kept| kept != arm));
    Ok(other.map(|(_, _, decision)| (two_arms(&decision.experiment), body(decision))).collect())
}

/// Inserts events that are new, and their claims; returns how many there were and which decisions they claim.
async fn insert_events(tx: &mut Tx, batch: &Ingest) -> Result<(u64, BTreeSet<Id>)> {
    let mut rows: Vec<EventRow<'_>> =
        batch.events.iter().map(|(event, decisions)| EventRow { key: event.key(), event, decisions }).collect();
    rows.sort_by_key(|row| row.key);
    rows.dedup_by_key(|row| row.key);
    let fresh = on!(&mut *tx, db => db.insert_events(rows).await?);
    add_views(tx, &viewed(fresh.iter().map(|row| row.event))).await?;
    Ok((fresh.len() as u64, fresh.iter().flat_map(|row| row.decisions.iter().map(|d| d.0)).collect()))
}
