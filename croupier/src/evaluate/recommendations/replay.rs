//! The log once more, as if it were then.

use super::items::Items;
use super::lists::{LISTS, Maker};
use super::log::{Log, View};
use super::measure::Measured;
use super::{RecommendationsArgs, RecommendationsError, Setup};
use crate::import::progress::Progress;
use jiff::Timestamp;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use recommend::popularity::Decayed;
use std::collections::BTreeSet;

/// What a visitor has looked at so far.
#[derive(Default, Clone)]
pub(super) struct Visitor {
    /// Each item once, the newest view of it, oldest first.
    pub(super) views: Vec<(u32, Timestamp)>,
    pub(super) seen: BTreeSet<u32>,
}

impl Visitor {
    fn look(&mut self, view: &View) {
        if !self.seen.insert(view.slot) {
            self.views.retain(|(slot, _)| *slot != view.slot);
        }
        self.views.push((view.slot, view.at));
    }
}

/// A moment at which a visitor looked at something new, and what was known before it.
pub(super) struct Moment<'a> {
    pub(super) at: Timestamp,
    pub(super) user: u32,
    pub(super) visitor: &'a Visitor,
    /// Views of all visitors by slot.
    pub(super) popular: &'a [Decayed],
    /// What they looked at then, and had not before.
    pub(super) wanted: Vec<u32>,
}

/// What was tried.
pub(super) struct Replayed {
    /// Moments that there are.
    pub(super) moments: usize,
    pub(super) tried: usize,
    /// For each of [`LISTS`].
    pub(super) measured: Vec<Measured>,
}

/// Makes every list at (a sample of) all moments.
pub(super) fn replay(
    args: &RecommendationsArgs,
    setup: &Setup,
    items: &Items,
    log: &Log,
    progress: Progress,
) -> Result<Replayed, RecommendationsError> {
    let mut moments = 0;
    walk(items, log, args.half_life_hours, |_| moments += 1);
    if moments == 0 {
        let path = args.file.clone();
        return Err(RecommendationsError::NoMoments { path, rows: log.rows, unknown: log.unknown });
    }
    let tried = moments.min(args.most as usize);
    let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
    let sample: BTreeSet<usize> = rand::seq::index::sample(&mut rng, moments, tried).into_iter().collect();
    let bar = progress.count("lists", tried as u64);
    let maker = Maker { setup, items, k: usize::from(args.k), half_life_hours: args.half_life_hours };
    let mut measured: Vec<Measured> = LISTS.iter().map(|_| Measured::new(log.users, items.len())).collect();
    let mut number = 0;
    walk(items, log, args.half_life_hours, |moment| {
        if sample.contains(&number) {
            maker.try_all(&moment, &mut measured);
            bar.inc(1);
        }
        number += 1;
    });
    Ok(Replayed { moments, tried, measured })
}

/// Shows every moment to `visit`, in order. Views of one time are all unknown to each other.
fn walk(items: &Items, log: &Log, half_life_hours: f64, mut visit: impl FnMut(Moment<'_>)) {
    let mut visitors = vec![Visitor::default(); log.users];
    let mut popular = vec![Decayed::default(); items.len()];
    for now in log.views.chunk_by(|a, b| a.at == b.at) {
        for views in now.chunk_by(|a, b| a.user == b.user) {
            let Some(View { at, user, .. }) = views.first().copied() else { continue };
            let visitor = &visitors[user as usize];
            let known = |slot: u32| items.from[slot as usize] <= at;
            let new: BTreeSet<u32> =
                views.iter().map(|v| v.slot).filter(|slot| known(*slot) && !visitor.seen.contains(slot)).collect();
            if !visitor.views.is_empty() && !new.is_empty() {
                visit(Moment { at, user, visitor, popular: &popular, wanted: new.into_iter().collect() });
            }
        }
        for view in now {
            visitors[view.user as usize].look(view);
            popular[view.slot as usize].add(view.at, 1, half_life_hours);
        }
    }
}
