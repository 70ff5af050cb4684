//! Where items were that are gone: who looked at them still likes what is near.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Remembered at least, however few are live.
const AT_LEAST: usize = 1_000;
/// Of live items, one in so many may be remembered after its end.
const SHARE: usize = 10;

/// Vectors of items that ended, the oldest forgotten first.
#[derive(Debug, Default)]
pub(super) struct Ended {
    vectors: HashMap<Arc<str>, (u64, Box<[f32]>)>,
    order: VecDeque<(u64, Arc<str>)>,
    next: u64,
}

impl Ended {
    pub(super) fn remember(&mut self, id: &str, vector: &[f32], live: usize) {
        let id: Arc<str> = id.into();
        self.next += 1;
        self.vectors.insert(id.clone(), (self.next, vector.into()));
        self.order.push_back((self.next, id));
        let most = AT_LEAST.max(live / SHARE);
        // What came back and ended again, or came back, stands in the order more than once.
        while self.vectors.len() > most || self.order.len() > 2 * most {
            let Some((number, id)) = self.order.pop_front() else { break };
            if self.vectors.get(&id).is_some_and(|(latest, _)| *latest == number) {
                self.vectors.remove(&id);
            }
        }
    }

    /// It is back.
    pub(super) fn forget(&mut self, id: &str) {
        self.vectors.remove(id);
    }

    pub(super) fn vector(&self, id: &str) -> Option<&[f32]> {
        self.vectors.get(id).map(|(_, vector)| &**vector)
    }

    pub(super) fn bytes(&self) -> usize {
        self.vectors.values().map(|(_, vector)| vector.len() * 4 + 128).sum()
    }
}
