//! Who may wait, so that nobody waits long: beyond it a request is answered 503 at once.
//!
//! A request waits for a store, or for the processor. For a store, the wait is what waits divided by the rate at which it
//! ends (Little's law); so that as many may wait as ended well in the time that a wait may take, whatever the machine
//! and its disk can do. For the processor, somebody looks how late it comes; while that is too late, those who ask most
//! are refused, but for one request of each at a time. What is answered from memory takes no place: refusing it would cost as much as answering.
//!
//! Of one asker (an experiment, by one key) only a part of all may wait, and who asks less than others is not refused for
//! the lateness that they make. The rest is for such, however many one asker sends.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// Askers are told apart by a hash of so many values. Two that share one share their part as well.
const SLOTS: usize = 256;

/// Without anything that ended well for so many ticks, a store is away, which is no matter of load: who waits is
/// answered when its time is over, and refusing others would not bring it back.
const STILL: usize = 5;

/// Looks that must find it late, more than found it in time, before anybody is refused: a pause of the machine is no load.
/// And as many as are remembered.
const LATE: usize = 3;
const REMEMBERED: usize = 10;

/// Places for what waits.
pub(crate) struct Room {
    /// How long a wait may take: the time that ticks are apart.
    pub(crate) wait: Duration,
    taken: AtomicUsize,
    /// How many places there are now, and at least.
    most: AtomicUsize,
    least: usize,
    /// Eighths of it that one asker may take.
    eighths: usize,
    askers: [Asker; SLOTS],
    /// What ended well since the last tick, and ticks since anything did.
    ended: AtomicUsize,
    still: AtomicUsize,
    /// Looks that found it late, less those that found it in time; and whether it is late now.
    late: AtomicUsize,
    shedding: AtomicBool,
}

#[derive(Default)]
struct Asker {
    taken: AtomicUsize,
    /// What it asked for since the last tick.
    asked: AtomicUsize,
    /// Whether that was as much as others ask for, or more, before.
    much: AtomicBool,
}

/// A place, given back when it is dropped.
pub(crate) struct Place<'a> {
    room: &'a Room,
    asker: &'a Asker,
    weight: usize,
}

impl Room {
    /// Room for `least`, and for more once that many end within a `wait`; `eighths` of it for one asker.
    pub(crate) fn new(least: usize, eighths: usize, wait: Duration) -> Self {
        Self {
            wait,
            taken: AtomicUsize::new(0),
            most: AtomicUsize::new(least),
            least,
            eighths,
            askers: std::array::from_fn(|_| Asker::default()),
            ended: AtomicUsize::new(0),
            still: AtomicUsize::new(0),
            late: AtomicUsize::new(0),
            shedding: AtomicBool::new(false),
        }
    }

    /// A place of `weight`, or none if too much waits, of all or of this asker.
    pub(crate) fn enter(&self, asker: impl Hash, weight: usize) -> Option<Place<'_>> {
        #[expect(clippy::cast_possible_truncation, reason = "any part of a hash is as good")]
        let slot = BuildHasherDefault::<DefaultHasher>::default().hash_one(asker) as usize % SLOTS;
        let asker = &self.askers[slot];
        asker.asked.fetch_add(weight, Relaxed);
        let (all, own) = (self.taken.fetch_add(weight, Relaxed), asker.taken.fetch_add(weight, Relaxed));
        // Dropped, it takes back what was added.
        let place = Place { room: self, asker, weight };
        let most = self.most.load(Relaxed);
        let fits = all + weight <= most && own + weight <= most * self.eighths / 8;
        // Who has nothing else here is not what makes it late: a machine that others keep busy serves one after the other.
        let refused = own > 0 && self.shedding.load(Relaxed) && asker.much.load(Relaxed);
        (!refused && (fits || self.still.load(Relaxed) >= STILL)).then_some(place)
    }

    /// Learns how late the processor came to whoever had it called: several times in each wait.
    pub(crate) fn look(&self, lateness: Duration) {
        let late = lateness > self.wait;
        let before = self.late.load(Relaxed);
        let now = if late { REMEMBERED.min(before + 1) } else { before.saturating_sub(1) };
        self.late.store(now, Relaxed);
        self.shedding.store(late && now >= LATE, Relaxed);
    }

    /// Learns that `time` has passed since the last tick, at least a wait.
    pub(crate) fn tick(&self, time: Duration) {
        let ended = self.ended.swap(0, Relaxed);
        if ended > 0 || self.taken.load(Relaxed) == 0 {
            self.still.store(0, Relaxed);
        } else {
            self.still.fetch_add(1, Relaxed);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "small"
        )]
        let in_a_wait = (ended as f64 * self.wait.as_secs_f64() / time.max(self.wait).as_secs_f64()) as usize;
        // Down slowly: one synchronisation that takes long is not the disk's rate.
        let faded = self.most.load(Relaxed) / 10 * 9;
        self.most.store(in_a_wait.max(faded).max(self.least), Relaxed);

        let asked = self.askers.each_ref().map(|asker| asker.asked.swap(0, Relaxed));
        let active = asked.iter().filter(|n| **n > 0).count().max(1);
        let usual = asked.iter().sum::<usize>() / active;
        for (asker, asked) in self.askers.iter().zip(asked) {
            asker.much.store(asked > 0 && asked >= usual, Relaxed);
        }
    }
}

impl Place<'_> {
    /// Gives it back: what waited ended well.
    pub(crate) fn done(self) {
        self.room.ended.fetch_add(self.weight, Relaxed);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(self.weight, Relaxed);
        self.asker.taken.fetch_sub(self.weight, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WAIT: Duration = Duration::from_millis(100);

    #[test]
    fn one_asker_leaves_places_for_others() {
        let room = Room::new(80, 6, WAIT);
        let hot: Vec<Place> = (0..100).filter_map(|_| room.enter("hot", 1)).collect();
        assert_eq!(hot.len(), 60);
        let others: Vec<Place> = (0..100).filter_map(|n| room.enter(format!("other-{n}"), 1)).collect();
        assert_eq!(others.len(), 20, "those that are left, and no more");
        drop(hot);
        assert!(room.enter("hot", 60).is_some() && room.enter("hot", 61).is_none());
    }

    #[test]
    fn as_many_may_wait_as_end_in_the_time_that_a_wait_may_take() {
        let room = Room::new(80, 8, WAIT);
        let end = |count: usize| (0..count).for_each(|_| room.enter("a", 1).unwrap().done());
        assert!(room.enter("a", 81).is_none());
        end(1_000);
        room.tick(2 * WAIT);
        assert!(room.enter("a", 500).is_some() && room.enter("a", 501).is_none());
        room.tick(WAIT);
        assert!(room.enter("a", 450).is_some(), "a pause of one tick says little");
        (0..50).for_each(|_| room.tick(WAIT));
        assert!(room.enter("a", 80).is_some() && room.enter("a", 81).is_none());
    }

    #[test]
    fn where_nothing_ends_nothing_is_gained_by_refusing() {
        let room = Room::new(8, 8, WAIT);
        let stuck: Vec<Place> = (0..20).filter_map(|_| room.enter("a", 1)).collect();
        assert_eq!(stuck.len(), 8);
        (0..STILL).for_each(|_| room.tick(WAIT));
        room.enter("a", 1).unwrap().done();
        // The store is back.
        room.tick(WAIT);
        assert!(room.enter("a", 1).is_none());
    }

    #[test]
    fn while_it_is_late_those_who_ask_most_are_refused() {
        let room = Room::new(1_000, 8, WAIT);
        let waiting = ["hot", "calm", "new", "warm"].map(|name| room.enter(name, 1));
        let ask = |name: &str, times: usize| (0..times).filter(|_| room.enter(name, 1).is_some()).count();
        let late = |times: usize| (0..times).for_each(|_| room.look(2 * WAIT));
        ask("hot", 90);
        ask("calm", 10);
        room.tick(WAIT);
        late(LATE - 1);
        assert_eq!(ask("hot", 1), 1, "a moment's pause is no load");
        late(1);
        assert_eq!((ask("hot", 9), ask("calm", 1), ask("new", 1)), (0, 1, 1));
        room.look(WAIT / 2);
        assert_eq!(ask("hot", 1), 1, "it is in time again");
        late(1);
        assert_eq!(ask("hot", 1), 0, "and late once more: that is load");
        (0..REMEMBERED).for_each(|_| room.look(Duration::ZERO));
        late(1);
        assert_eq!(ask("hot", 1), 1);
        // Who is alone, or asks as much as all others, is no exception.
        room.tick(WAIT);
        ask("hot", 50);
        ask("warm", 50);
        room.tick(WAIT);
        late(LATE);
        assert_eq!((ask("hot", 1), ask("warm", 1)), (0, 0));
        drop(waiting);
        assert_eq!((ask("hot", 9), ask("warm", 9)), (9, 9), "one after the other is no load");
    }

    proptest! {
        /// Whatever comes and goes: no more are in than may be, and in the end all places are free.
        #[test]
        fn places_are_given_back(steps in prop::collection::vec((0..4_usize, 1..9_usize, any::<bool>()), 0..200)) {
            let room = Room::new(32, 6, WAIT);
            let mut inside: Vec<(usize, Place)> = Vec::new();
            for (asker, weight, leaves) in steps {
                if leaves && !inside.is_empty() {
                    inside.swap_remove(weight % inside.len());
                } else if let Some(place) = room.enter(asker, weight) {
                    inside.push((asker, place));
                }
                let of = |wanted: Option<usize>| -> usize {
                    inside.iter().filter(|(a, _)| wanted.is_none_or(|w| w == *a)).map(|(_, p)| p.weight).sum()
                };
                prop_assert!(of(None) <= 32);
                prop_assert!((0..4).all(|a| of(Some(a)) <= 24));
            }
            inside.clear();
            prop_assert_eq!(room.taken.load(Relaxed), 0);
            prop_assert!(room.askers.iter().all(|asker| asker.taken.load(Relaxed) == 0));
        }
    }
}
