//! Lists that an experiment orders: dealt from the pool that the catalog gives, logged before they are told.

use crate::app::App;
use crate::decide::excuse;
use crate::problem::Result;
use bandit::{Assignment, DecisionId, Event, Explorer, Source, WHOLE};
use futures::future::join;
use jiff::civil::Date;
use recommend::{Candidate, Candidates, List, Wanted};
use std::collections::{BTreeSet, HashSet};
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

/// What a list is dealt for.
struct Asked<'a> {
    explorer: &'a Explorer,
    user: &'a str,
    wanted: &'a Wanted<'a>,
    /// Of what is popular the views are told.
    popular: bool,
    /// When the stores had their time.
    end: Instant,
}

/// Marks the ids that a list of its own is dealt without; no tag and no id has it.
const WITHOUT: &str = "\0without";

/// Orders a visitor's list, of which `list` is the pool and what follows it; none if it is not for the experiment to order.
///
/// A list that stays for its day and lacks what the request excludes is filled up from what is left of the pool, by a deal
/// that is kept and logged as the first was. It has a key of its own, with the excluded ids in it, so that each page of who
/// turns pages by excluding what they had stays for that day too. Its propensities are those given what is excluded.
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
    let (popular, end) = (list.source == recommend::Source::Popular, Instant::now() + app.config.store_timeout);
    let asked = Asked { explorer, user, wanted, popular, end };
    // Lists of different tags stand beside each other.
    let mut place: Vec<&str> = wanted.tags.iter().map(String::as_str).collect();
    place.sort_unstable();
    place.dedup();
    let Some(fresh) = deal(&asked, &place, list.items.iter(), wanted.k) else { return Ok(None) };
    let (dealt, mut source) = settle(app, &asked, fresh).await?;
    let mut version = dealt.assignment.posterior_version;
    let mut items = shown(app, &asked, candidates, &dealt);
    let named: BTreeSet<&str> = wanted.exclude.iter().map(String::as_str).collect();
    // Of several in one value the value is there too, for whose id has commas: it says nothing that they do not.
    let told_apart =
        |id: &&str| !id.contains(',') || id.split(',').any(|part| !part.is_empty() && !named.contains(part));
    let without: BTreeSet<&str> = named.iter().copied().filter(told_apart).collect();
    if items.len() < wanted.k && dealt.kept.iter().any(|(id, ..)| named.contains(id.as_str())) {
        place.push(WITHOUT);
        place.extend(without);
        let there = ids_of(&items);
        let left = list.items.iter().filter(|c| !there.contains(&c.id));
        if let Some(fresh) = deal(&asked, &place, left, wanted.k - items.len()) {
            let (more, by) = settle(app, &asked, fresh).await?;
            if items.is_empty() {
                (source, version) = (by, more.assignment.posterior_version);
            } else if by == Source::Fallback {
                source = by;
            }
            items.extend(shown(app, &asked, candidates, &more).into_iter().filter(|(c, _)| !there.contains(&c.id)));
        }
    }
    items.truncate(wanted.k);
    let there = ids_of(&items);
    let rest = list.items.iter().filter(|c| !there.contains(&c.id)).cloned().map(|c| (c, None));
    items.extend(rest.take(wanted.k.saturating_sub(there.len())));
    Ok(Some(Explored { items, version, source }))
}

fn ids_of(items: &[(Candidate, Option<Placed>)]) -> HashSet<Arc<str>> {
    items.iter().map(|(c, _)| c.id.clone()).collect()
}

/// Deals the places of a list that compete: the first `length` of a pool that is the first of `items`.
fn deal<'a>(
    asked: &Asked<'_>,
    place: &[&str],
    items: impl Iterator<Item = &'a Candidate>,
    length: usize,
) -> Option<Dealt> {
    let explorer = asked.explorer;
    // Views grow by factors.
    let similarity = |c: &Candidate| if asked.popular { c.score.max(0.0).ln_1p() } else { c.score };
    let items: Vec<&Candidate> = items.take(explorer.spec().pool).collect();
    let pool: Vec<(&str, f64)> = items.iter().map(|c| (&*c.id, similarity(c))).collect();
    let dealt = explorer.deal(asked.user, place, &pool, length, asked.wanted.now)?;
    let kept: Kept = dealt
        .items
        .iter()
        .map(|item| (items[item.index].id.to_string(), items[item.index].score, item.propensity))
        .collect();
    let assignment = Assignment {
        key: dealt.key,
        arm: serde_json::to_string(&kept).unwrap_or_default().into(),
        segment: WHOLE.into(),
        propensity: 1.0,
        posterior_version: explorer.posterior_version(),
        revision: explorer.revision(),
        source: dealt.source,
        at: asked.wanted.now,
    };
    Some(Dealt { assignment: Arc::new(assignment), kept, day: dealt.day })
}

/// What stands in place of a fresh list, kept and logged; and who chose it.
async fn settle(app: &App, asked: &Asked<'_>, fresh: Dealt) -> Result<(Dealt, Source)> {
    let Asked { explorer, user, end, .. } = *asked;
    let (dealt, durable) = if explorer.spec().sticky {
        match stand(app, fresh, end).await? {
            (dealt, Some(durable)) => (dealt, durable),
            (dealt, None) => return Ok((dealt, Source::Fallback)),
        }
    } else {
        (fresh, store::Durable::already())
    };
    let logged = log(app, explorer, user, &dealt);
    let append = async { if logged.is_empty() { Ok(()) } else { app.stores.events.append(&logged).await } };
    let writes = join(durable.wait(), append);
    let source = match timeout_at(end, writes).await {
        Ok((Ok(()), Ok(()))) => {
            remember(app, explorer, user, &dealt);
            dealt.assignment.source
        }
        Ok((kept, logged)) => {
            excuse(app, kept.and(logged).err())?;
            Source::Fallback
        }
        Err(_) => Source::Fallback,
    };
    Ok((dealt, source))
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

/// Those places of a dealt list whose items may still be shown.
fn shown(app: &App, asked: &Asked<'_>, candidates: &Candidates, dealt: &Dealt) -> Vec<(Candidate, Option<Placed>)> {
    let ids: Vec<&str> = dealt.kept.iter().map(|(id, ..)| id.as_str()).collect();
    let live = candidates.those(&ids, asked.wanted);
    let placed = |((id, score, propensity), live): (&(String, f64, f64), Option<Candidate>)| {
        let key = asked.explorer.item_key(asked.user, id, dealt.day).id;
        // An item that was shown before is the decision that it was.
        let propensity = app.assignments.get(&key).map_or(*propensity, |first| first.propensity);
        Some((Candidate { score: *score, ..live? }, Some(Placed { decision_id: key, propensity })))
    };
    dealt.kept.iter().zip(live).filter_map(placed).take(asked.wanted.k).collect()
}
