//! Remembers which arm each user, item and day got.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Assignments that are remembered; just below what makes the table double, at 17 MB.
const REMEMBERED: usize = 900_000;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    New,
    Same,
    Other,
    Full,
}

/// Hashes of assignments, and of their arms: 64 bits are enough to miss one in 10^13 pairs and to accuse none wrongly,
/// and 32 to overlook a second arm once in four billion.
#[derive(Debug, Default)]
pub(super) struct Sticky(HashMap<u64, u32>);

impl Sticky {
    pub(super) fn look(&mut self, key: u64, day: &str, arm: &str) -> Verdict {
        let (key, arm) = (hash(key, day), hash(0, arm) as u32);
        match self.0.get(&key) {
            Some(known) if *known == arm => Verdict::Same,
            Some(_) => Verdict::Other,
            None if self.0.len() < REMEMBERED => {
                self.0.insert(key, arm);
                Verdict::New
            }
            None => Verdict::Full,
        }
    }
}

fn hash(key: u64, text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (key, text).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_arm_for_a_user_an_item_and_a_day() {
        let mut sticky = Sticky::default();
        assert_eq!(sticky.look(1, "2026-11-21", "a"), Verdict::New);
        assert_eq!(sticky.look(1, "2026-11-21", "a"), Verdict::Same);
        assert_eq!(sticky.look(1, "2026-11-21", "b"), Verdict::Other);
        assert_eq!(sticky.look(1, "2026-11-22", "b"), Verdict::New);
        assert_eq!(sticky.look(2, "2026-11-21", "b"), Verdict::New);
    }

    #[test]
    fn memory_is_bounded() {
        let mut sticky = Sticky((0..REMEMBERED as u64).map(|key| (key, 0)).collect());
        assert_eq!(sticky.look(7, "2026-11-21", "a"), Verdict::Full);
        assert!(sticky.0.capacity() < 1 << 20);
    }
}
