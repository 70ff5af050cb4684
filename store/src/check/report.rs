//! Every file of stores at rest, looked at and told, for whoever was called at night.

use super::{RESTORE, journal, manifest, wal};
use crate::admin::Finding;
use crate::backup::places;
use crate::embedded::{DirectoryLock, Embedded, STATE};
use crate::sql::Database;
use crate::{Experiments, Locations, Outcomes, Result, StoreError};
use std::path::Path;

/// Experiments read at a time.
const PAGE: usize = 500;

/// Looks at every file of the embedded stores that `locations` names. With `mend`, what is damaged in the middle of a log is
/// taken out first, and told; the log as it was stays beside it. The database gets the tables of this release.
///
/// # Errors
/// When they are not on this machine's disk, not there, or in use. What is wrong with them is a finding, and no error.
pub async fn check_files(locations: &Locations, mend: bool) -> Result<Vec<Finding>> {
    let (directory, database) = places(locations)?;
    let state = directory.join(STATE);
    if !state.exists() {
        let (value, reason) = (directory.display().to_string(), "nothing is kept there".into());
        return Err(StoreError::Setting { setting: "data", value, reason });
    }
    let lock = DirectoryLock::take("state", &directory)?;
    let mut found = Vec::new();
    for journal in journal::all(&state)? {
        let mended = if mend { journal.mend()? } else { None };
        let told = match mended {
            Some(lost) => Ok(lost),
            None => journal.refuse_damage().map(|()| journal.told()),
        };
        found.push(finding(journal.path(), told));
    }
    found.push(finding(
        &state,
        manifest::check_all(&state).map(|n| format!("the manifests of {n} keyspaces are whole")),
    ));
    let log = wal::of(&database);
    if let Some(wal) = wal::survey(&log)? {
        let mended = if mend { wal.mend()? } else { None };
        let whole = || wal.refuse_damage().map(|()| format!("{} pages are whole", wal.whole));
        found.push(finding(&log, mended.map_or_else(whole, Ok)));
    }
    drop(lock);
    // What cannot be opened safely is not opened.
    if found.iter().all(|part| part.ok) {
        match Embedded::open("state", &directory, locations.durability) {
            Ok(opened) => {
                let tables = opened.tables();
                found.extend(tables?.into_iter().map(|(file, right)| table(&file, right)));
            }
            Err(e) => found.push(finding(&state, Err(e))),
        }
        found.extend(look_at_database(&database, locations).await);
    }
    Ok(found)
}

fn finding(file: &Path, told: Result<String>) -> Finding {
    let ok = told.is_ok();
    Finding { part: file.display().to_string(), ok, detail: told.unwrap_or_else(|e| e.to_string()) }
}

fn table(file: &Path, right: bool) -> Finding {
    let wrong = || Err(super::damaged(file, "its checksum differs from the manifest's", RESTORE));
    finding(file, if right { Ok("as the manifest says".into()) } else { wrong() })
}

async fn look_at_database(file: &Path, locations: &Locations) -> Vec<Finding> {
    let database = match Database::sqlite(file, locations.durability).await {
        Ok(database) => database,
        Err(e) => return vec![finding(file, Err(e))],
    };
    let pages = async {
        let wrong = database.broken_pages().await?;
        let first = wrong.first().map(|what| super::damaged(file, what, RESTORE));
        first.map_or_else(|| Ok("its pages, indexes and definitions are sound".into()), Err)
    };
    let counts = async {
        let (wrong, count) = miscounted(&database).await?;
        let named = |id: &String| {
            let what = format!("the counts of experiment '{id}' are not those of its decisions and events");
            super::damaged(file, &what, RESTORE)
        };
        wrong.first().map_or_else(
            || Ok(format!("the counts of {count} experiments are those of their decisions")),
            |id| Err(named(id)),
        )
    };
    vec![finding(file, pages.await), finding(file, counts.await)]
}

/// Experiments whose counts are not what their decisions and events come to; and how many there are.
async fn miscounted(database: &Database) -> Result<(Vec<String>, usize)> {
    let (mut wrong, mut count, mut after) = (Vec::new(), 0, None::<String>);
    loop {
        let page = database.list(after.as_deref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok((wrong, count)) };
        after = Some(last.definition.id.clone());
        for id in page.into_iter().map(|record| record.definition.id) {
            let (mut kept, recounted) = (database.evidence(&id).await?, database.recount(&id).await?);
            // Counts outlive decisions, which are let go of by days: what is left of the oldest hour is not all of it.
            let oldest = recounted.outcomes.iter().map(|place| place.hour).min();
            kept.outcomes.retain(|place| oldest.is_some_and(|hour| place.hour >= hour));
            let same = kept.outcomes.len() == recounted.outcomes.len()
                && kept.outcomes.iter().zip(&recounted.outcomes).all(|(a, b)| a == b || Some(a.hour) == oldest);
            if !same {
                wrong.push(id);
            }
            count += 1;
        }
    }
}
