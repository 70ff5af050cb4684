//! The batch layer: lists of everybody who looked at something lately, made ahead and kept, page by page in the order of
//! visitors' keys. How far a pass has come is noted after each page, so that one that was cut off is gone on with.

mod make;

use crate::Work;
use crate::schedule::Duty;
use jiff::{SignedDuration, Timestamp};
pub use make::{Pace, make};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{NewList, Result, RunReport, RunStatus, RunStep, Seen, StoreError, StoredList, Visitor, Visitors, stamp};

/// Visitors of a page: their lists are half a megabyte, and made in a tenth of a second or so.
const PAGE: usize = 500;
/// How often it is noted how far a pass has come. What was made since is made again after a crash.
const NOTED: Duration = Duration::from_millis(500);

/// What the parts of a pass took and came to.
#[derive(Debug, Default)]
struct Tally {
    read: Duration,
    make: Duration,
    keep: Duration,
    visitors: u64,
    lists: u64,
    resumed: bool,
}

impl Tally {
    fn steps(&self) -> Vec<RunStep> {
        let step = |name: &str, took: Duration, detail| RunStep {
            name: name.into(),
            duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            detail,
        };
        let resumed = if self.resumed { ", from where another was cut off" } else { "" };
        vec![
            step("read", self.read, format!("{} visitors{resumed}", self.visitors)),
            step("make", self.make, format!("{} lists", self.lists)),
            step("keep", self.keep, String::new()),
        ]
    }
}

/// Makes the lists of one catalog. `alone` makes no pauses.
///
/// # Errors
/// When a store fails; what was made until then stands, and the next pass goes on from there.
pub(crate) async fn pass(
    work: &Work,
    duty: &Duty,
    run: Option<i64>,
    report: &mut RunReport,
    alone: bool,
) -> Result<()> {
    let Some(catalog) = duty.catalog.as_deref() else { return Ok(()) };
    let mut tally = Tally::default();
    let done = walk(work, duty, catalog, run, report, alone, &mut tally).await;
    metrics::counter!("croupier_updater_lists_total").increment(tally.lists);
    report.steps = tally.steps();
    done
}

async fn walk(
    work: &Work,
    duty: &Duty,
    catalog: &str,
    run: Option<i64>,
    report: &mut RunReport,
    alone: bool,
    tally: &mut Tally,
) -> Result<()> {
    let mut after = came_to(work, duty, run, report.as_of).await?;
    tally.resumed = after.is_some();
    let pace = Pace { percent: if alone { 100 } else { work.pace.percent }, ..work.pace };
    let (mut noted, mut following) = (None::<Instant>, None);
    loop {
        if let (Some(run), Some(after)) = (run, after)
            && noted.is_none_or(|at| at.elapsed() >= NOTED)
        {
            report.steps = tally.steps();
            work.stores.runs.note_run(run, &after.to_string(), report).await?;
            noted = Some(Instant::now());
        }
        // Changes until now, and then the items: so a list says which changes it has in it.
        work.shelf.catch_up(&*work.stores.catalogs, &*work.clock).await?;
        let change = work.shelf.reached();
        // One that is gone, or has no lists any more, is done.
        let Some(candidates) = work.shelf.get(catalog).filter(|c| c.definition().refresh_minutes > 0) else {
            return Ok(());
        };
        let active = SignedDuration::from_hours(candidates.definition().active_hours.into());
        let Page { visitors, next, at } = match following.take() {
            Some(page) => page,
            None => read(work, after.as_ref(), active, tally).await?,
        };
        let began = Instant::now();
        let making = tokio::task::spawn_blocking(move || {
            let past: Vec<&[Seen]> = visitors.iter().map(|(_, seen)| &seen[..]).collect();
            let made = make(&candidates, &past, at, pace);
            let new = visitors.iter().zip(made).filter_map(|((visitor, seen), made)| {
                let list = StoredList { made_at: at, stamp: stamp(seen), change, made: made? };
                Some((*visitor, list))
            });
            new.collect::<Vec<_>>()
        });
        if next.is_some() {
            // While others compute.
            following = Some(read(work, next.as_ref(), active, tally).await?);
        }
        let made = making.await.map_err(|e| StoreError::Damaged(format!("lists of '{catalog}': {e}")))?;
        tally.make += began.elapsed();
        let began = Instant::now();
        let of: Arc<str> = catalog.into();
        let new = made.into_iter().map(|(visitor, list)| NewList { visitor, catalog: of.clone(), list });
        let new: Vec<NewList> = new.collect();
        work.stores.lists.put_lists(&new).await?;
        tally.keep += began.elapsed();
        tally.lists += new.len() as u64;
        after = next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// Visitors of a page with their views, and when these were read.
struct Page {
    visitors: Vec<(Visitor, Vec<Seen>)>,
    next: Option<Visitor>,
    at: Timestamp,
}

async fn read(work: &Work, after: Option<&Visitor>, active: SignedDuration, tally: &mut Tally) -> Result<Page> {
    let (began, at) = (Instant::now(), work.clock.now());
    let since = at.checked_sub(active).unwrap_or(Timestamp::MIN);
    let Visitors { visitors, next } = work.stores.lists.visitors(after, since, PAGE).await?;
    tally.read += began.elapsed();
    tally.visitors += visitors.len() as u64;
    Ok(Page { visitors, next, at })
}

/// After whom to go on: where the last pass over the catalog was cut off, unless it began so long ago that its first lists
/// are due again.
async fn came_to(work: &Work, duty: &Duty, run: Option<i64>, due: Option<Timestamp>) -> Result<Option<Visitor>> {
    let Some(last) = work.last_of(duty, |other| Some(other.id) != run).await? else { return Ok(None) };
    let recent = last.report.as_of.zip(due).is_some_and(|(of, due)| due.duration_since(of) <= duty.interval);
    let cut_off = last.status == RunStatus::Failed && recent;
    // What cannot be read is begun again.
    Ok(last.reached.filter(|_| cut_off).and_then(|reached| reached.parse().ok()))
}
