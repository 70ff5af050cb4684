//! A pass of the updater over a day of decisions, and over a little more on top of them.

use crate::curve::{Curve, median};
use crate::decide::{Fixed, begin, micros, scratch};
use crate::{Extent, Outcome};
use bandit::{Clock, DecideRequest, Decider, DecisionId, Event, UserEvent, UserEventKind};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Instant;
use store::{Locations, RunKind, Stores};
use updater::{Config, Updater};

const ROUNDS: usize = 5;
const BATCH: usize = 10_000;
/// Decisions of a little more.
const MORE: usize = 10_000;
/// One decision in so many is rewarded.
const REWARDED: usize = 20;

/// A day's decisions on their way into the log.
struct Day {
    stores: Stores,
    decider: Decider,
    logged: usize,
}

impl Day {
    fn happened(&self, user: usize, of: usize) -> impl Iterator<Item = Event> {
        let request = DecideRequest { experiment: "e0".into(), user: format!("u{user}"), ..DecideRequest::default() };
        let into = i64::try_from(user % of).unwrap_or(0) * 86_000 / i64::try_from(of).unwrap_or(1);
        let at = Fixed.now() - SignedDuration::from_secs(86_400 - into);
        let deal = self.decider.deal(&request, at);
        let reward = user.is_multiple_of(REWARDED).then(|| reward(user, deal.assignment.key.id, at));
        std::iter::once(Event::Decision(deal.record(&request))).chain(reward.map(Event::User))
    }

    async fn log(&mut self, count: usize) -> Outcome<()> {
        let until = self.logged + count;
        while self.logged < until {
            let batch = self.logged..until.min(self.logged + BATCH);
            self.logged = batch.end;
            let events: Vec<Event> = batch.flat_map(|user| self.happened(user, until)).collect();
            self.stores.events.append(&events).await?;
        }
        Ok(())
    }

    /// Seconds of a pass.
    async fn pass(&self) -> Outcome<f64> {
        let config = Config { interval: SignedDuration::from_hours(1), retention_days: 0, name: "growth".into() };
        let begun = Instant::now();
        let done = Updater::new(self.stores.clone(), Arc::new(Fixed), config).once_of(&[RunKind::Posteriors]).await?;
        let seconds = micros(begun, 1_000_000);
        match done.into_iter().find_map(|done| done.report.error) {
            Some(why) => Err(why.into()),
            None => Ok(seconds),
        }
    }
}

fn reward(user: usize, decision: DecisionId, at: Timestamp) -> UserEvent {
    UserEvent {
        id: format!("r{user}"),
        kind: UserEventKind::Reward,
        name: "purchase".into(),
        user: Some(format!("u{user}")),
        item: None,
        decision_id: Some(decision),
        experiment: None,
        value: 1.0,
        at: at + SignedDuration::from_secs(60),
    }
}

pub(crate) async fn measure(extent: Extent) -> Outcome<Vec<Curve>> {
    use Extent::{Long, Short, Usual};
    let whats = [("pass over a day", "s"), ("the same, for each decision", "µs"), ("10,000 more on top", "s")];
    let mut curves = whats.map(|(what, unit)| Curve { what, of: "decisions", unit, points: Vec::new() });
    for size in extent.of(&[(10_000, Short), (100_000, Short), (1_000_000, Usual), (10_000_000, Long)]) {
        let dir = scratch()?;
        let stores = store::open(&Locations::in_dir(dir.path())).await?;
        begin(&stores, "e0", 5).await?;
        let record = stores.experiments.get("e0").await?.ok_or("no experiment")?;
        let decider = Decider::new(record.definition, record.status, None, record.revision, None)?;
        let mut day = Day { stores, decider, logged: 0 };
        day.log(size).await?;
        let whole = day.pass().await?;
        let mut more = Vec::new();
        for _ in 0..ROUNDS {
            day.log(MORE).await?;
            more.push(day.pass().await?);
        }
        let size = f64::from(u32::try_from(size)?);
        for (curve, value) in curves.iter_mut().zip([whole, whole * 1e6 / size, median(more)]) {
            curve.points.push((size, value));
        }
    }
    Ok(curves.into())
}
