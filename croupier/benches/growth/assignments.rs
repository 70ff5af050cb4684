//! The embedded store and what it holds: deciding for the first time, reading again, and being ready after a restart.

use crate::curve::{Curve, median};
use crate::decide::{Fixed, app, begin, micros, scratch};
use crate::{Extent, Outcome};
use bandit::{Assignment, Clock, DecideRequest, Decider};
use std::time::Instant;
use store::{Locations, Stores};

const ROUNDS: usize = 7;
/// Puts that are on their way at the same time, and how many are measured in a round.
const AT_ONCE: usize = 1_000;
const PUTS: usize = 10_000;
const GETS: usize = 5_000;

struct Filled {
    stores: Stores,
    decider: Decider,
    kept: usize,
}

impl Filled {
    fn assignment(&self, user: usize) -> Assignment {
        let request = DecideRequest { experiment: "e0".into(), user: format!("u{user}"), ..DecideRequest::default() };
        self.decider.deal(&request, Fixed.now()).assignment
    }

    async fn put(&mut self, count: usize) -> Outcome<()> {
        for first in (self.kept..self.kept + count).step_by(AT_ONCE) {
            let put = async |user: usize| {
                let put = self.stores.assignments.put_if_absent(&self.assignment(user)).await?;
                put.durable.wait().await
            };
            futures::future::try_join_all((first..first + AT_ONCE).map(put)).await?;
        }
        self.kept += count;
        Ok(())
    }

    async fn read(&self, round: usize) -> Outcome<()> {
        for n in 0..GETS {
            // A multiplicative hash: neighbours in time are strangers on the disk.
            let user = (n + round * GETS).wrapping_mul(0x9E37_79B9_7F4A_7C15) % self.kept;
            let key = self.assignment(user).key;
            if self.stores.assignments.get(&key).await?.is_none() {
                return Err(format!("the assignment of u{user} is not there").into());
            }
        }
        Ok(())
    }
}

pub(crate) async fn measure(extent: Extent) -> Outcome<Vec<Curve>> {
    use Extent::{Long, Short, Usual};
    let sizes = extent.of(&[(20_000, Short), (100_000, Short), (1_000_000, Usual), (10_000_000, Long)]);
    let whats = [("first, put", "µs"), ("repeat, read", "µs"), ("restart", "ms")];
    let mut curves = whats.map(|(what, unit)| Curve { what, of: "assignments", unit, points: Vec::new() });
    // One that grows: at each size it is measured, and then filled on.
    let dir = scratch()?;
    let locations = Locations::in_dir(dir.path());
    let stores = store::open(&locations).await?;
    begin(&stores, "e0", 5).await?;
    let record = stores.experiments.get("e0").await?.ok_or("no experiment")?;
    let decider = Decider::new(record.definition, record.status, None, record.revision, None)?;
    let mut filled = Filled { stores, decider, kept: 0 };
    for size in sizes {
        filled.put(size - filled.kept).await?;
        let mut rounds: [Vec<f64>; 3] = Default::default();
        for round in 0..ROUNDS {
            let begun = Instant::now();
            filled.put(PUTS / ROUNDS / AT_ONCE * AT_ONCE + AT_ONCE).await?;
            rounds[0].push(micros(begun, PUTS / ROUNDS / AT_ONCE * AT_ONCE + AT_ONCE));
            let begun = Instant::now();
            filled.read(round).await?;
            rounds[1].push(micros(begun, GETS));
        }
        for _ in 0..ROUNDS {
            let Filled { stores, decider, kept } = filled;
            // Closed by the last who has it.
            stores.events.close().await;
            drop(stores);
            let begun = Instant::now();
            let stores = store::open(&locations).await?;
            drop(app(&stores).await?);
            rounds[2].push(micros(begun, 1_000));
            filled = Filled { stores, decider, kept };
        }
        for (curve, figures) in curves.iter_mut().zip(rounds) {
            curve.points.push((f64::from(u32::try_from(size)?), median(figures)));
        }
    }
    Ok(curves.into())
}
