//! Damage, place by place, beside what was there before: either the same is read, or it is told.

use super::{journal, wal};
use crate::embedded::{Embedded, STATE};
use crate::{Durability, EventLog, Locations, StoreError};
use bandit::{Event, UserEvent, UserEventKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// Events that are appended, each in a group of its own.
const EVENTS: usize = 40;

fn event(number: usize) -> Event {
    Event::User(UserEvent {
        id: format!("event-{number}"),
        kind: UserEventKind::View,
        name: String::new(),
        user: Some("u".repeat(number * 7 % 60 + 1)),
        item: Some("i".into()),
        decision_id: None,
        experiment: None,
        value: 1.0,
        at: jiff::Timestamp::UNIX_EPOCH,
    })
}

fn open(dir: &Path) -> crate::Result<Arc<Embedded>> {
    Embedded::open("state", dir, Durability::Os)
}

/// The events of a store; or why they cannot be read.
async fn events(dir: &Path) -> crate::Result<Vec<Event>> {
    let delivery = open(dir)?.pull(1_000).await?;
    delivery.events.into_iter().map(|event| event.map_err(|poison| StoreError::Damaged(poison.reason))).collect()
}

/// A store with events in its journal, or, if they are to be `settled`, in tables.
async fn store(settled: bool) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    // A journal is 64 MB of nothing until it is opened again.
    drop(open(dir.path()).unwrap());
    let store = open(dir.path()).unwrap();
    for number in 0..EVENTS {
        store.append(&[event(number)]).await.unwrap();
    }
    if settled {
        store.flush().unwrap();
    }
    dir
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in super::entries(dir).unwrap() {
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Whether it is a manifest in whose place there is another: it waits to be removed, and nobody reads it.
fn is_of_the_past(file: &Path) -> bool {
    let number = file.file_name().and_then(|name| name.to_str()?.strip_prefix('v')?.parse::<u64>().ok());
    number.is_some_and(|number| {
        !std::fs::read(file.with_file_name("current")).unwrap().starts_with(&number.to_le_bytes())
    })
}

/// The same files elsewhere.
fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    for file in files(from) {
        let target = to.path().join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(file, target).unwrap();
    }
    to
}

/// Places in `length` things, all over them, always the same. `FLIPS` says how many there are in the long form.
fn places(few: usize, length: usize) -> impl Iterator<Item = usize> {
    let many = std::env::var("FLIPS").map_or(few, |many| many.parse().unwrap());
    let spread = move |n: usize| (n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 16;
    (1..=many).map(move |n| usize::try_from(spread(n)).unwrap() % length.max(1))
}

fn flip(file: &Path, bit: usize) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[bit / 8] ^= 1 << (bit % 8);
    std::fs::write(file, bytes).unwrap();
}

fn only_journal(dir: &Path) -> PathBuf {
    let all = journal::all(&dir.join(STATE)).unwrap();
    assert_eq!(all.len(), 1);
    all[0].path().to_owned()
}

/// It reads what fjall writes: another release of that which writes otherwise is noticed here.
#[tokio::test]
async fn journals_are_read_as_they_are_written() {
    let dir = store(false).await;
    let all = journal::all(&dir.path().join(STATE)).unwrap();
    assert!(all[0].told().starts_with(&format!("{EVENTS} groups of {EVENTS} writes are whole")), "{}", all[0].told());
    assert!(!all[0].told().contains("cut off") && all[0].refuse_damage().is_ok());
    assert_eq!(all[0].ends().last().copied(), Some(std::fs::metadata(all[0].path()).unwrap().len() as usize));
}

/// Wherever the last journal is cut off, what was whole before is there, and nothing else.
#[tokio::test]
async fn a_torn_journal_keeps_what_was_whole() {
    let dir = store(false).await;
    let ends = journal::all(&dir.path().join(STATE)).unwrap()[0].ends();
    for length in places(16, *ends.last().unwrap() + 1) {
        let torn = copy(dir.path());
        let file = std::fs::File::options().write(true).open(only_journal(torn.path())).unwrap();
        file.set_len(length as u64).unwrap();
        // As the file system may leave it.
        file.set_len(length as u64 + 10_000).unwrap();
        let whole = ends.iter().filter(|end| **end <= length).count();
        assert_eq!(
            events(torn.path()).await.unwrap(),
            (0..whole).map(event).collect::<Vec<_>>(),
            "cut off at {length}"
        );
        // And it goes on from there.
        open(torn.path()).unwrap().append(&[event(99)]).await.unwrap();
        assert_eq!(events(torn.path()).await.unwrap().len(), whole + 1);
    }
}

/// Another bit in the middle of a journal is told, and what it cost once it is taken out; in the last group it is as if that
/// was cut off.
#[tokio::test]
async fn damage_of_a_journal_is_told_and_mended() {
    let dir = store(false).await;
    let ends = journal::all(&dir.path().join(STATE)).unwrap()[0].ends();
    let last = ends[EVENTS - 2];
    for bit in places(16, ends[EVENTS - 1] * 8) {
        let damaged = copy(dir.path());
        let file = only_journal(damaged.path());
        flip(&file, bit);
        let found = events(damaged.path()).await;
        if bit / 8 >= last {
            let found = found.unwrap();
            // All but a number of the group, which is in no checksum, and orders nothing behind it.
            assert!(found.len() >= EVENTS - 1 && found == (0..found.len()).map(event).collect::<Vec<_>>(), "bit {bit}");
            continue;
        }
        let line = found.unwrap_err().to_string();
        assert!(
            line.contains(&file.display().to_string()) && line.contains("--mend") && !line.contains('\n'),
            "{line}"
        );
        let found = crate::check_files(&Locations::in_dir(damaged.path()), true).await.unwrap();
        assert!(
            found.iter().all(|part| part.ok) && found[0].detail.contains("bytes in 1 places are taken out"),
            "{found:?}"
        );
        let left = events(damaged.path()).await.unwrap();
        assert_eq!(left.len(), EVENTS - 1, "bit {bit}");
        assert!(left.iter().all(|event| (0..EVENTS).any(|n| *event == self::event(n))));
    }
}

/// Another bit in a table or a manifest is never read as something else, and is found when every file is looked at.
#[tokio::test]
async fn damage_of_tables_and_manifests_is_never_read() {
    let dir = store(true).await;
    let before = events(dir.path()).await.unwrap();
    assert_eq!(before.len(), EVENTS);
    let state = dir.path().join(STATE);
    let (mut refused, mut looked_at) = (0, 0);
    for file in files(&state.join("keyspaces")).into_iter().filter(|file| !is_of_the_past(file)) {
        let name = file.strip_prefix(dir.path()).unwrap();
        let bits = std::fs::metadata(&file).unwrap().len() as usize * 8;
        for bit in places(2, bits) {
            let damaged = copy(dir.path());
            flip(&damaged.path().join(name), bit);
            looked_at += 1;
            let whole = crate::check_files(&Locations::in_dir(damaged.path()), false).await.unwrap();
            let meta = name.starts_with("state/keyspaces/0/tables");
            assert!(meta || whole.iter().any(|part| !part.ok), "bit {bit} of {}: {whole:?}", name.display());
            match events(damaged.path()).await {
                Ok(found) => assert_eq!(found, before, "bit {bit} of {}", name.display()),
                Err(e) => {
                    assert!(matches!(e, StoreError::Damaged(_)), "{e:?}");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > looked_at / 3, "{refused} of {looked_at}");
}

/// The database's log: another bit is told unless it is in the last transaction, and no end is taken for damage.
#[tokio::test]
async fn damage_of_the_database_log_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file).create_if_missing(true);
    let options = options.journal_mode(sqlx::sqlite::SqliteJournalMode::Wal);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::query("CREATE TABLE t (n INTEGER)").execute(&pool).await.unwrap();
    for n in 0..10 {
        sqlx::query("INSERT INTO t VALUES ($1)").bind(n).execute(&pool).await.unwrap();
    }
    let log = wal::of(&file);
    let whole = std::fs::read(&log).unwrap();
    let count = wal::survey(&log).unwrap().unwrap().whole;
    assert_eq!(count, (whole.len() - 32) / 4_120);
    let scratch = dir.path().join("other-wal");
    let survey = |bytes: &[u8]| {
        std::fs::write(&scratch, bytes).unwrap();
        wal::survey(&scratch).unwrap()
    };
    for length in places(60, whole.len()) {
        let ends = survey(&whole[..length]).is_none_or(|found| found.refuse_damage().is_ok());
        assert!(ends, "cut off at {length}");
    }
    let last = whole.len() - 4_120;
    for bit in places(200, whole.len() * 8) {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let told = survey(&damaged).unwrap().refuse_damage();
        assert_eq!(told.is_err(), bit / 8 < last, "bit {bit}, byte {}", bit / 8);
    }
    // Mended, it is what SQLite would read, and a copy is kept.
    let mut damaged = whole.clone();
    damaged[32 + 4_120 * 3 + 100] ^= 1;
    let lost = survey(&damaged).unwrap().mend().unwrap().unwrap();
    assert!(lost.contains("from byte 12392 on"), "{lost}");
    assert_eq!(wal::survey(&scratch).unwrap().unwrap().whole, 3);
    assert_eq!(std::fs::read(dir.path().join("other-wal.damaged")).unwrap(), damaged);
}

/// A first start that was cut off anywhere is made again.
#[tokio::test]
async fn a_first_start_that_was_cut_off_is_made_again() {
    for marked in [None, Some("")] {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join(STATE);
        std::fs::create_dir_all(state.join("keyspaces")).unwrap();
        std::fs::write(state.join("0.jnl"), [0; 10_000]).unwrap();
        if let Some(version) = marked {
            std::fs::write(state.join("version"), version).unwrap();
        }
        open(dir.path()).unwrap().append(&[event(1)]).await.unwrap();
        assert_eq!(events(dir.path()).await.unwrap(), [event(1)]);
        // Where something is, nothing is taken away.
        std::fs::write(state.join("version"), "").unwrap();
        let line = open(dir.path()).map(drop).unwrap_err().to_string();
        assert!(line.contains("state/version"), "{line}");
    }
}
