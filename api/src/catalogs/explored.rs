//! Lists that an experiment orders: dealt from the pool that the catalog gives, logged before they are told.

use crate::app::App;
use crate::decide::excuse;
use crate::problem::Result;
use bandit::{Assignment, DecisionId, Event, Explorer, Source, WHOLE};
use futures::future::join;
use jiff::civil::Date;
use recommend::{Candidate, Candidates, List, Wanted};
use std::collections::HashSet;
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

/// An ordered list.
pub(super) struct Explored {
    /// Best first; with what the log has of those that the experiment placed.
    pub(super) items: Vec<(Candidate, Option<Placed>)>,
    /// Posterior version that dealt it.
    pub(super) version: u64,
    /// Who chose the order.
    pub(super) source: Source,
}

/// An item at the place that it was dealt.
#[derive(Clone, Copy)]
pub(super) struct Placed {
    pub(super) decision_id: DecisionId,
    pub(super) propensity: f64,
}

/// What is kept of a list: each item's id, score and propensity.
type Kept = Vec<(String, f64, f64)>;

/// A list before it is told: what stands for its key, or a fresh one.
struct Dealt {
    assignment: Arc<Assignment>,
    kept: Kept,
    day: Date,
}

/// Orders a visitor's list, of which `list` is the pool and what follows it; none if it is not for the experiment to order.
///
/// # Errors
/// When the stores ask to be left alone.
pub(super) async fn explore(
    app: &App,
    explorer: &Explorer,
    candidates: &Candidates,
    user: &str,
    list: &List,
    wanted: &Wanted<'_>,
) -> Result<Option<Explored>> {
    let Some(fresh) = deal(explorer, user, list, wanted) else { return Ok(None) };
    let end = Instant::now() + app.config.store_timeout;
    let (dealt, durable) = if explorer.spec().sticky {
        match stand(app, fresh, end).await? {
            (dealt, Some(durable)) => (dealt, durable),
            (dealt, None) => {
                return Ok(Some(told(app, explorer, candidates, user, list, wanted, &dealt, Source::Fallback)));
            }
        }
    } else {
        (fresh, store::Durable::already())
    };
    let source = dealt.assignment.source;
    let logged = log(app, explorer, user, &dealt);
    let append = async { if logged.is_empty() { Ok(()) } else { app.stores.events.append(&logged).await } };
    let writes = join(durable.wait(), append);
    let source = match timeout_at(end, writes).await {
        Ok((Ok(()), Ok(()))) => {
            remember(app, explorer, user, &dealt);
            source
        }
        Ok((kept, logged)) => {
            excuse(app, kept.and(logged).err())?;
            Source::Fallback
        }
        Err(_) => Source::Fallback,
    };
    Ok(Some(told(app, explorer, candidates, user, list, wanted, &dealt, source)))
}

/// Deals the places of a list that compete.
fn deal(explorer: &Explorer, user: &str, list: &List, wanted: &Wanted<'_>) -> Option<Dealt> {
    // Of what is popular the views are told, and those grow by factors.
    let similarity =
        |c: &Candidate| if list.source == recommend::Source::Popular { c.score.max(0.0).ln_1p() } else { c.score };
    let pool: Vec<(&str, f64)> =
        list.items.iter().take(explorer.spec().pool).map(|c| (&*c.id, similarity(c))).collect();
    // Lists of different tags stand beside each other.
    let mut place: Vec<&str> = wanted.tags.iter().map(String::as_str).collect();
    place.sort_unstable();
    place.dedup();
    let dealt = explorer.deal(user, &place, &pool, wanted.k, wanted.now)?;
    let kept: Kept = dealt
        .items
        .iter()
        .map(|item| (pool[item.index].0.to_owned(), list.items[item.index].score, item.propensity))
        .collect();
    let assignment = Assignment {
        key: dealt.key,
        arm: serde_json::to_string(&kept).unwrap_or_default().into(),
        segment: WHOLE.into(),
        propensity: 1.0,
        posterior_version: explorer.posterior_version(),
        revision: explorer.revision(),
        source: dealt.source,
        at: wanted.now,
    };
    Some(Dealt { assignment: Arc::new(assignment), kept, day: dealt.day })
}

/// The list that stands for the key of `fresh`, and what resolves once it is safe; `fresh` and none if the store failed.
async fn stand(app: &App, fresh: Dealt, end: Instant) -> Result<(Dealt, Option<store::Durable>)> {
    let id = fresh.assignment.key.id;
    if let Some(known) = app.assignments.get(&id) {
        return Ok((standing(fresh, known), Some(store::Durable::already())));
    }
    let fresh = match app.told.get(&id) {
        Some(told) => standing(fresh, told),
        None => fresh,
    };
    match timeout_at(end, app.stores.assignments.put_if_absent(&fresh.assignment)).await {
        Ok(Ok(put)) => Ok((standing(fresh, Arc::new(put.standing)), Some(put.durable))),
        failed => {
            app.told.insert(id, fresh.assignment.clone());
            excuse(app, failed.ok().and_then(std::result::Result::err))?;
            Ok((fresh, None))
        }
    }
}

/// What is kept in place of what was proposed; what cannot be read is dealt anew.
fn standing(fresh: Dealt, assignment: Arc<Assignment>) -> Dealt {
    match serde_json::from_str(&assignment.arm) {
        Ok(kept) => Dealt { kept, assignment, day: fresh.day },
        Err(_) => fresh,
    }
}

/// Records of the items that this replica has not logged today.
fn log(app: &App, explorer: &Explorer, user: &str, dealt: &Dealt) -> Vec<Event> {
    let a = &dealt.assignment;
    let list = explorer.list_id(&a.key, a.posterior_version, dealt.kept.iter().map(|(id, ..)| id.as_str()));
    let of = |(position, (item, _, propensity)): (u32, &(String, f64, f64))| {
        let record =
            explorer.record(user, item, dealt.day, list, position, *propensity, a.posterior_version, a.source, a.at);
        let known = app.assignments.get(&record.decision_id).is_some();
        (!known).then_some(Event::Decision(bandit::DecisionRecord { revision: a.revision, ..record }))
    };
    (0..).zip(&dealt.kept).filter_map(of).collect()
}

/// Whoever asks again is told the same, and it is not logged again.
fn remember(app: &App, explorer: &Explorer, user: &str, dealt: &Dealt) {
    let list = &dealt.assignment;
    if explorer.spec().sticky {
        app.told.remove(&list.key.id);
        app.assignments.insert(list.key.id, list.clone());
    }
    for (item, _, propensity) in &dealt.kept {
        let key = explorer.item_key(user, item, dealt.day);
        if app.assignments.get(&key.id).is_none() {
            let (arm, propensity) = (item.as_str().into(), *propensity);
            app.metrics.decided(list.source);
            app.assignments.insert(key.id, Arc::new(Assignment { key, arm, propensity, ..(**list).clone() }));
        }
    }
}

/// The answer: those places of the dealt list whose items may still be shown, filled up at the end.
#[expect(clippy::too_many_arguments, reason = "an answer is made of all of it")]
fn told(
    app: &App,
    explorer: &Explorer,
    candidates: &Candidates,
    user: &str,
    list: &List,
    wanted: &Wanted<'_>,
    dealt: &Dealt,
    source: Source,
) -> Explored {
    let ids: Vec<&str> = dealt.kept.iter().map(|(id, ..)| id.as_str()).collect();
    let live = candidates.those(&ids, wanted);
    let placed = |((id, score, propensity), live): (&(String, f64, f64), Option<Candidate>)| {
        let key = explorer.item_key(user, id, dealt.day).id;
        // An item that was shown before is the decision that it was.
        let propensity = app.assignments.get(&key).map_or(*propensity, |first| first.propensity);
        Some((Candidate { score: *score, ..live? }, Some(Placed { decision_id: key, propensity })))
    };
    let mut items: Vec<(Candidate, Option<Placed>)> =
        dealt.kept.iter().zip(live).filter_map(placed).take(wanted.k).collect();
    let there: HashSet<Arc<str>> = items.iter().map(|(c, _)| c.id.clone()).collect();
    let more = list.items.iter().filter(|c| !there.contains(&c.id)).cloned().map(|c| (c, None));
    items.extend(more.take(wanted.k.saturating_sub(there.len())));
    Explored { items, version: dealt.assignment.posterior_version, source }
}
