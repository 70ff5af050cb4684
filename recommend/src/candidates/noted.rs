//! Which items were put of late, by the number of the change: what a list that was made before may lack.

use std::collections::VecDeque;
use std::sync::Arc;

/// Puts that are remembered. Scoring as many takes a tenth of what making a list does.
const MOST: usize = 500;

/// The newest puts, complete from a change on.
#[derive(Debug, Default)]
pub(super) struct Noted {
    /// Every put of a later change is here.
    from: u64,
    /// Numbers do not fall.
    puts: VecDeque<(u64, Arc<str>)>,
}

impl Noted {
    /// Forgets everything: what is complete now holds every change up to this number.
    pub(super) fn begin(&mut self, from: u64) {
        *self = Self { from, puts: VecDeque::new() };
    }

    pub(super) fn add(&mut self, number: u64, id: &str) {
        // One of a change that is in it already says nothing new.
        if number <= self.from {
            return;
        }
        self.puts.push_back((number, id.into()));
        while self.puts.len() > MOST {
            if let Some((number, _)) = self.puts.pop_front() {
                self.from = self.from.max(number);
            }
        }
    }

    /// What was put by changes after `number`; none if that is too long ago to know.
    pub(super) fn since(&self, number: u64) -> Option<impl Iterator<Item = &Arc<str>>> {
        let newer = self.puts.iter().rev().take_while(move |(n, _)| *n > number);
        (number >= self.from).then(|| newer.map(|(_, id)| id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn since(noted: &Noted, number: u64) -> Option<Vec<&str>> {
        noted.since(number).map(|ids| ids.map(|id| &**id).collect())
    }

    #[test]
    fn what_came_later_is_known_as_far_back_as_it_is_complete() {
        let mut noted = Noted::default();
        noted.begin(7);
        noted.add(7, "in it");
        noted.add(9, "a");
        noted.add(9, "b");
        noted.add(12, "c");
        assert_eq!(since(&noted, 6), None);
        assert_eq!(since(&noted, 7), Some(vec!["c", "b", "a"]));
        assert_eq!(since(&noted, 9), Some(vec!["c"]));
        assert_eq!(since(&noted, 99), Some(vec![]));
        for n in 0..MOST {
            noted.add(20, &n.to_string());
        }
        assert_eq!((since(&noted, 11), since(&noted, 12).map(|ids| ids.len())), (None, Some(MOST)));
        noted.add(20, "one more of the same change");
        assert_eq!((since(&noted, 19), since(&noted, 20)), (None, Some(vec![])));
    }
}
