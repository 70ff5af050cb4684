//! Arms that are the items of a catalog: their numbers, and which of them are counted by themselves.

use super::bulk::Bulk;
use super::{Either, Tx, storable};
use crate::Result;
use bandit::{DecisionRecord, MOST_CANDIDATES, OTHER_CANDIDATES};
use std::collections::{BTreeMap, HashMap};

/// Numbers of arms by the ids that decisions have.
pub(super) type Numbers<'a> = HashMap<&'a str, i64>;

/// The numbers of the arms of some decisions, which are given to those that have none; notes the day of the newest.
pub(super) async fn numbers<'a>(
    tx: &mut Tx,
    experiment: i64,
    decisions: impl Iterator<Item = &'a DecisionRecord>,
) -> Result<Numbers<'a>> {
    let mut days: BTreeMap<String, i64> = BTreeMap::new();
    let mut names: Vec<&str> = Vec::new();
    for decision in decisions {
        let day = decision.at.as_second().div_euclid(86_400);
        let newest = days.entry(storable(&decision.arm).into_owned()).or_insert(day);
        *newest = day.max(*newest);
        names.push(&decision.arm);
    }
    let arms: Vec<(&str, i64)> = days.iter().map(|(id, day)| (id.as_str(), *day)).collect();
    let known = on!(tx, db => db.number_arms(experiment, &arms).await?);
    Ok(names.into_iter().filter_map(|id| Some((id, *known.get(&*storable(id))?))).collect())
}

/// Of the arms of an experiment those with most trials, as a table of their places; `$1` is the experiment's id. Of equal ones
/// the first by id: numbers say in which order they came.
pub(super) fn foremost(tx: &Tx) -> String {
    let bytewise = match tx {
        Either::Sqlite(_) => "",
        Either::Postgres(_) => "COLLATE \"C\"",
    };
    format!(
        "SELECT o.arm, ROW_NUMBER() OVER (ORDER BY SUM(o.trials) DESC, coalesce(c.id, '') {bytewise}) - 1 AS place
         FROM outcomes o JOIN experiments e ON e.num = o.experiment LEFT JOIN candidate_arms c ON c.num = o.arm
         WHERE e.id = $1 AND o.trials > 0 GROUP BY o.arm, c.id ORDER BY place LIMIT {MOST_CANDIDATES}"
    )
}

/// If the arms of an experiment are candidates, the ids of those with most trials, in order; none before one was shown.
pub(super) async fn names(tx: &mut Tx, experiment: &str) -> Result<Option<Vec<String>>> {
    let any: bool = on!(&mut *tx, db => {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM candidate_arms c JOIN experiments e ON e.num = c.experiment WHERE e.id = $1)",
        )
        .bind(experiment)
        .fetch_one(&mut **db)
        .await?
    });
    if !any {
        return Ok(None);
    }
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT c.id FROM ({}) f JOIN candidate_arms c ON c.num = f.arm ORDER BY f.place",
        foremost(tx)
    ));
    Ok(Some(on!(tx, db => sqlx::query_scalar(sql).bind(experiment).fetch_all(&mut **db).await?)))
}

/// Counts by number of arm, as counts by place: of those with most trials each has its own, all others share one. In the
/// order of [`foremost`].
pub(super) fn placed(trials: BTreeMap<i64, u64>, ids: &HashMap<i64, String>) -> HashMap<i64, i64> {
    let mut order: Vec<(i64, u64)> = trials.into_iter().filter(|(_, trials)| *trials > 0).collect();
    order.sort_by_key(|(arm, trials)| (std::cmp::Reverse(*trials), ids.get(arm).map_or("", String::as_str)));
    let place = |(i, (arm, _)): (usize, (i64, u64))| (arm, i64::try_from(i.min(MOST_CANDIDATES)).unwrap_or(i64::MAX));
    order.into_iter().enumerate().map(place).collect()
}

/// Ids of arms by place, with that of all others if some outcome is of them.
pub(super) fn with_others(mut names: Vec<String>, mut arms: impl Iterator<Item = usize>) -> Vec<String> {
    if arms.any(|arm| arm >= MOST_CANDIDATES) {
        names.truncate(MOST_CANDIDATES);
        names.push(OTHER_CANDIDATES.into());
    }
    names
}
