//! What only a directory of one machine can get wrong.

use super::Embedded;
use super::writer::Op;
use crate::conformance::assignments::assignment;
use crate::{Durability, EventLog, Locations, StoreError};
use bandit::{Event, UserEvent, UserEventKind};
use fjall::AbstractTree;
use jiff::civil::date;
use std::path::Path;

/// The message of a failure to open.
async fn refused(locations: &Locations) -> String {
    let Err(e) = crate::open(locations).await else { panic!("opened {locations:?}") };
    assert!(matches!(e, StoreError::Setting { .. }), "{e:?}");
    let line = e.to_string();
    assert!(!line.contains('\n'), "{line}");
    line
}

#[tokio::test]
async fn a_directory_is_for_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().display().to_string();
    let first = crate::open(&Locations::in_dir(dir.path())).await.unwrap();
    let pid = std::process::id().to_string();
    let line = refused(&Locations::in_dir(dir.path())).await;
    assert!(line.starts_with(&format!("state = 'file:{path}'")) && line.contains(&format!("process {pid}")), "{line}");
    // Whichever setting names it is named.
    let other = tempfile::tempdir().unwrap();
    let events_only = Locations { events: Locations::in_dir(dir.path()).events, ..Locations::in_dir(other.path()) };
    let line = refused(&events_only).await;
    assert!(line.starts_with(&format!("events = 'file:{path}'")) && line.contains(&format!("process {pid}")), "{line}");
    drop(first);
    for _ in 0..20 {
        drop(crate::open(&Locations::in_dir(dir.path())).await.unwrap());
    }
    crate::open(&events_only).await.unwrap();
}

/// One directory however it is written, on the first start too.
#[tokio::test]
async fn a_directory_may_be_written_in_two_ways() {
    let dir = tempfile::tempdir().unwrap();
    let new = dir.path().join("data");
    let detour = format!("file://{}/../data", new.display());
    let mixed = Locations { events: detour, ..Locations::in_dir(&new) };
    for _ in 0..2 {
        crate::open(&mixed).await.unwrap();
    }
    let database = format!("sqlite://{}", new.join("croupier.db").display());
    crate::open(&Locations { database, ..mixed }).await.unwrap();
}

#[tokio::test]
async fn state_and_events_may_be_apart() {
    let (state, events) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let apart = Locations { events: Locations::in_dir(events.path()).events, ..Locations::in_dir(state.path()) };
    let stores = crate::open(&apart).await.unwrap();
    stores.events.append(&[view("1")]).await.unwrap();
    drop(stores);
    assert_eq!(crate::open(&apart).await.unwrap().events.backlog().await.unwrap(), Some(1));
    assert_eq!(crate::open(&Locations::in_dir(state.path())).await.unwrap().events.backlog().await.unwrap(), Some(0));
}

#[tokio::test]
async fn unusable_urls_are_explained() {
    let dir = tempfile::tempdir().unwrap();
    let good = Locations::in_dir(dir.path());
    for url in ["nonsense", "file:", "file://", "", "sqlite:x", "C:\\data", "/data", "FILE:x"] {
        let line = refused(&Locations { state: url.into(), ..good.clone() }).await;
        assert!(line.starts_with("state = ") && line.contains("it may be 'file:DIR'"), "{line}");
        let line = refused(&Locations { events: url.into(), ..good.clone() }).await;
        assert!(line.starts_with("events = ") && line.contains("it may be 'file:DIR'"), "{line}");
    }
    for url in [
        "bigtable:",
        "bigtable://",
        "bigtable://p",
        "bigtable://p/",
        "bigtable:///i",
        "bigtable://p/i/t",
        "bigtable://p/i?x",
    ] {
        let line = refused(&Locations { state: url.into(), ..good.clone() }).await;
        assert!(line.starts_with("state = ") && line.contains("'bigtable://PROJECT/INSTANCE'"), "{line}");
        let url = url.replace("bigtable", "pubsub");
        let line = refused(&Locations { events: url, ..good.clone() }).await;
        assert!(line.starts_with("events = ") && line.contains("'pubsub://PROJECT/TOPIC'"), "{line}");
    }
    for url in ["sqlite:", "sqlite://", "sqlite::memory:", "sqlite://:memory:", "file:x", "mysql://h/d", "x\ny"] {
        let line = refused(&Locations { database: url.into(), ..good.clone() }).await;
        assert!(line.starts_with("database = ") && line.contains("it may be 'sqlite:FILE'"), "{line}");
    }
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none(), "nothing was made on the way");
}

#[tokio::test]
async fn foreign_urls_are_named_without_their_passwords() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = ["hunter2", "p@ss:w/rd", "p?w", "#1"];
    for secret in secrets {
        for url in [
            format!("postgres://user:{secret}@db.example/croupier"),
            format!("postgres://user:{secret}"),
            format!("postgres://db.example/croupier?password={secret}"),
            format!("postgresql:{secret}@db.example"),
            format!("postgress://user:{secret}@db.example/croupier"),
        ] {
            let line = refused(&Locations { database: url.clone(), ..Locations::in_dir(dir.path()) }).await;
            assert!(!line.contains(secret), "{line}");
            assert!(line.contains(url.split(':').next().unwrap()), "{line}");
        }
    }
}

/// A newcomer's build is small: it says what it lacks.
#[cfg(not(feature = "cloud"))]
#[tokio::test]
async fn a_build_without_clients_says_so() {
    let dir = tempfile::tempdir().unwrap();
    for (state, events, expected) in [
        ("bigtable://p/i", "file:x", "state = 'bigtable://p/i': this build has no Bigtable client"),
        ("file:x", "pubsub://p/t", "events = 'pubsub://p/t': this build has no Pub/Sub client"),
    ] {
        let at = |url: &str| url.replace("file:x", &format!("file:{}", dir.path().display()));
        let line = refused(&Locations { state: at(state), events: at(events), ..Locations::in_dir(dir.path()) }).await;
        assert!(line.starts_with(expected) && line.contains("--features cloud"), "{line}");
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    for bad in [file.clone(), file.join("data")] {
        let line = refused(&Locations::in_dir(&bad)).await;
        assert!(line.contains(&bad.display().to_string()) && line.starts_with("state = "), "{line}");
        let database = Locations::in_dir(&file.join("x")).database;
        let line = refused(&Locations { database, ..Locations::in_dir(dir.path()) }).await;
        assert!(line.starts_with("database = "), "{line}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_read_only_directory_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    let may_write = std::fs::write(dir.path().join("probe"), "").is_ok();
    if may_write {
        // Permissions do not bind the superuser.
        crate::open(&Locations::in_dir(dir.path())).await.unwrap();
        return;
    }
    let line = refused(&Locations::in_dir(dir.path())).await;
    assert!(line.starts_with("state = ") && line.contains("cannot be opened"), "{line}");
    let writable = tempfile::tempdir().unwrap();
    let line =
        refused(&Locations { database: Locations::in_dir(dir.path()).database, ..Locations::in_dir(writable.path()) })
            .await;
    assert!(line.starts_with("database = ") && line.contains("cannot be opened"), "{line}");
}

fn view(id: &str) -> Event {
    Event::User(UserEvent {
        id: id.into(),
        kind: UserEventKind::View,
        name: String::new(),
        user: Some("u".into()),
        item: Some("i".into()),
        decision_id: None,
        experiment: None,
        value: 1.0,
        at: jiff::Timestamp::UNIX_EPOCH,
    })
}

fn embedded(dir: &Path) -> std::sync::Arc<Embedded> {
    Embedded::open("state", dir, Durability::Sync).unwrap()
}

#[tokio::test]
async fn a_record_that_is_no_event_comes_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let store = embedded(dir.path());
    store.append(&[view("1"), view("2"), view("3"), view("4")]).await.unwrap();
    let (later, rubbish) = (b"\x03{\"x\":1}".to_vec(), b"\xff\x00".to_vec());
    let op = |n: u64, value| Op::put(&store.log, n.to_be_bytes(), value);
    let written = store.writer.with(|pending| pending.add([op(2, later), op(3, rubbish)])).unwrap();
    written.wait().await.unwrap();
    let delivery = store.pull(10).await.unwrap();
    let [Ok(first), Err(later), Err(rubbish), Ok(last)] = &delivery.events[..] else { panic!("{delivery:?}") };
    assert_eq!((first, last), (&view("1"), &view("4")));
    assert!(later.reason.contains("format 3") && later.body.contains("{\"x\":1}"), "{later:?}");
    assert!(rubbish.reason.contains("format 255") && !rubbish.body.is_empty(), "{rubbish:?}");
    store.acknowledge(delivery.receipt.unwrap()).await.unwrap();
    assert_eq!(store.backlog().await.unwrap(), Some(0));
}

/// The space of acknowledged records is given back, and nothing else goes with it.
#[tokio::test]
async fn acknowledged_records_leave_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let store = embedded(dir.path());
    let batch: Vec<Event> = (0..5_000).map(|n| view(&format!("{n:0>200}"))).collect();
    for _ in 0..6 {
        store.append(&batch).await.unwrap();
        store.log.rotate_memtable_and_wait().unwrap();
    }
    let full = store.log.disk_space();
    for _ in 0..5 {
        let receipt = store.pull(5_000).await.unwrap().receipt.unwrap();
        store.acknowledge(receipt).await.unwrap();
    }
    assert!(store.log.disk_space() < full / 2, "{} of {full} bytes are left", store.log.disk_space());
    drop(store);
    let store = embedded(dir.path());
    assert_eq!(store.backlog().await.unwrap(), Some(5_000));
    let rest = store.pull(10_000).await.unwrap();
    assert_eq!(rest.events.into_iter().map(Result::unwrap).collect::<Vec<_>>(), batch);
    store.acknowledge(rest.receipt.unwrap()).await.unwrap();
    drop(store);
    let store = embedded(dir.path());
    assert!(store.pull(1).await.unwrap().receipt.is_none());
    store.append(&batch[..1]).await.unwrap();
    assert_eq!(store.pull(10).await.unwrap().events, [Ok(batch[0].clone())]);
}

/// Memory tables are written out before fjall asks its thread to with every group of writes, which can fill that thread's queue for
/// good: they never reach the size at which it does.
#[tokio::test]
async fn memory_tables_are_written_out_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open("state", dir.path(), Durability::Os).unwrap();
    let event = [view(&"n".repeat(4_000))];
    for written in 0..6_000 {
        store.append(&event).await.unwrap();
        let waits = store.log.tree.active_memtable().size();
        assert!(waits < super::WRITTEN_OUT_AT, "{waits} bytes wait in memory after {written} writes");
    }
    // And what is put back from a backup.
    for n in 0..3_000_u32 {
        store.put_back("posteriors", vec![(n.to_be_bytes().to_vec(), vec![0; 8_000])]).unwrap();
        assert!(store.posteriors.tree.active_memtable().size() < super::WRITTEN_OUT_AT);
    }
}

/// A log whose files are all gone goes on counting behind its mark.
#[tokio::test]
async fn an_empty_log_goes_on_behind_its_mark() {
    let dir = tempfile::tempdir().unwrap();
    let store = embedded(dir.path());
    let mark = Op::put(&store.meta, b"log-acknowledged", 7_u64.to_be_bytes().to_vec());
    store.writer.with(|pending| pending.add([mark])).unwrap().wait().await.unwrap();
    drop(store);
    let store = embedded(dir.path());
    assert_eq!(store.backlog().await.unwrap(), Some(0));
    store.append(&[view("1")]).await.unwrap();
    assert_eq!(store.pull(10).await.unwrap().events, [Ok(view("1"))]);
}

/// Beyond a bound callers are told to come back, and what was taken is written.
#[tokio::test]
async fn too_much_waiting_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = embedded(dir.path());
    let op = |n: u64| Op::put(&store.meta, n.to_be_bytes(), Vec::new());
    // Nothing is taken away while the lock is held.
    let taken = store.writer.with(|pending| {
        let taken = pending.add((0..100_000).map(op))?;
        assert!(matches!(pending.add([op(100_000)]), Err(StoreError::Busy)));
        Ok(taken)
    });
    taken.unwrap().wait().await.unwrap();
    store.append(&[view("1")]).await.unwrap();
    assert_eq!(store.meta.len().unwrap(), 100_000);
}

/// Between reading the database and writing, another may have put the same key: it is seen, or the database read again.
#[tokio::test]
async fn a_key_put_since_the_database_was_read_is_not_put_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = embedded(dir.path());
    let (first, second) =
        (assignment("u", true, date(2026, 11, 21), "a"), assignment("u", true, date(2026, 11, 21), "b"));
    let op = || Op::put(&store.meta, first.key.id.0, Vec::new());
    let put = |new| store.writer.with(|pending| pending.put(new, op(), 0)).unwrap();
    let won = put(&first).unwrap();
    assert!(won.won);
    won.durable.wait().await.unwrap();
    let lost = put(&second).unwrap();
    assert_eq!((lost.won, &lost.standing), (false, &first), "its group has ended");
    store.append(&[view("1")]).await.unwrap();
    assert_eq!(put(&second).unwrap_err(), 2, "another has ended after it");
}
