//! The speed layer: who looked at something has their lists made anew and kept.
//!
//! It is in the process that took the view, since that knows of it first and has the items in memory; on a thread behind
//! those that answer requests. What it does not come to is computed when it is asked for, and made up for by the batch layer:
//! so the queue is short, and beyond its end visitors are left out.

use crate::app::App;
use metrics::counter;
use recommend::Candidates;
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use store::{NewList, Result, StoredList, View, Visitor, ages, stamp};
use tokio::sync::{Notify, watch};

/// Visitors that wait at most.
const WAITING: usize = 10_000;
/// Visitors whose lists are kept by one write: so many wait for the disk once, and the first of them not for long.
const AT_ONCE: usize = 32;

/// Who looked at something since their lists were made; each once.
#[derive(Debug, Default)]
pub(crate) struct Speed {
    queue: Mutex<Queue>,
    came: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    order: VecDeque<Visitor>,
    waiting: HashSet<Visitor>,
}

impl Speed {
    /// Notes who looked at something.
    pub(crate) fn note(&self, views: &[View]) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        for view in views {
            if queue.order.len() >= WAITING {
                counter!("croupier_lists_left_out_total").increment(1);
                continue;
            }
            let visitor = Visitor::of(&view.user);
            if queue.waiting.insert(visitor) {
                queue.order.push_back(visitor);
            }
        }
        drop(queue);
        self.came.notify_one();
    }

    /// Takes some of those who wait. Whoever looks at something from now on waits again.
    fn take(&self) -> Vec<Visitor> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let count = AT_ONCE.min(queue.order.len());
        let some: Vec<Visitor> = queue.order.drain(..count).collect();
        for visitor in &some {
            queue.waiting.remove(visitor);
        }
        some
    }
}

impl App {
    /// Makes lists of who looked at something, until `stop` becomes true. Best on a thread behind those of requests.
    pub async fn keep_lists(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut well = true;
        let work = async {
            loop {
                let visitors = self.speed.take();
                if visitors.is_empty() {
                    self.speed.came.notified().await;
                    continue;
                }
                let kept = self.make_lists(&visitors).await;
                match &kept {
                    Err(e) if well => tracing::warn!("lists are not made ahead for now: {e}"),
                    Ok(()) if !well => tracing::info!("lists are made ahead again"),
                    _ => {}
                }
                well = kept.is_ok();
            }
        };
        tokio::select! { () = work => {}, _ = stop.wait_for(|stop| *stop) => {} }
    }

    async fn make_lists(&self, visitors: &[Visitor]) -> Result<()> {
        let change = self.shelf.reached();
        let catalogs = self.shelf.all();
        let catalogs: Vec<(Arc<str>, Arc<Candidates>)> = catalogs
            .into_iter()
            .filter(|(_, c)| c.definition().refresh_minutes > 0)
            .map(|(id, c)| (id.into(), c))
            .collect();
        let Some((any, _)) = catalogs.first() else { return Ok(()) };
        let mut new = Vec::new();
        for visitor in visitors {
            let made_at = self.clock.now();
            let seen = self.stores.lists.visit(visitor, any).await?.seen;
            let stamp = stamp(&seen);
            for (catalog, candidates) in &catalogs {
                let made = candidates.for_visitors(&[ages(&seen, made_at)], made_at).pop().flatten();
                let list = made.map(|made| StoredList { made_at, stamp, change, made });
                new.extend(list.map(|list| NewList { visitor: *visitor, catalog: catalog.clone(), list }));
                // Others may want this thread.
                tokio::task::yield_now().await;
            }
        }
        self.metrics.lists_ahead.increment(new.len() as u64);
        self.stores.lists.put_lists(&new).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn each_waits_once_and_not_too_many_do() {
        let view = |n: usize| View { user: format!("u{n}"), item: "a".into(), at: Timestamp::UNIX_EPOCH };
        let speed = Speed::default();
        speed.note(&[view(1), view(2), view(1)]);
        assert_eq!(speed.take(), [Visitor::of("u1"), Visitor::of("u2")]);
        speed.note(&[view(1)]);
        assert_eq!(speed.take(), [Visitor::of("u1")], "who came again waits again");
        speed.note(&(0..2 * WAITING).map(view).collect::<Vec<_>>());
        let mut taken = 0;
        loop {
            let some = speed.take().len();
            if some == 0 {
                break;
            }
            assert!(some <= AT_ONCE);
            taken += some;
        }
        assert_eq!(taken, WAITING);
        assert!(speed.queue.lock().unwrap().waiting.is_empty());
    }
}
