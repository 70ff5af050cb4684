//! Tables that are made, found, repaired and missed; settings that cannot be used.

use super::super::admin::Admin;
use super::super::schema::{ASSIGNMENTS, DAY, FamilySpec, Kept, TABLES, TableSpec};
use super::{Emulator, instance};
use crate::admin::{check_state, create_tables};
use crate::conformance::Place;
use crate::{Locations, StoreError};
use std::process::Command;

/// The line that keeps it from opening.
async fn refused(locations: &Locations) -> String {
    let Err(e) = crate::open(locations).await else { panic!("opened {locations:?}") };
    assert!(matches!(e, StoreError::Setting { setting: "state", .. }), "{e:?}");
    let line = e.to_string();
    assert!(line.starts_with(&format!("state = '{}'", locations.state)) && !line.contains('\n'), "{line}");
    line
}

async fn faults(locations: &Locations) -> Vec<String> {
    let findings = check_state(locations).await.unwrap();
    findings.into_iter().filter(|f| !f.ok).map(|f| format!("{}: {}", f.part, f.detail)).collect()
}

#[tokio::test]
async fn tables_are_made_once() {
    if !Emulator::available() {
        return;
    }
    let emulator = Emulator::default();
    let line = refused(&emulator.locations).await;
    assert!(line.contains("not found") && line.contains("run 'croupier admin create-tables'"), "{line}");
    assert_eq!(faults(&emulator.locations).await.len(), 7, "six tables, and using them");
    assert_eq!(
        create_tables(&emulator.locations).await.unwrap(),
        [
            "table 'croupier-assignments' made, with families day and lasting",
            "table 'croupier-posteriors' made, with families head and parts",
            "table 'croupier-catalogs' made, with families catalog and popular",
            "table 'croupier-items' made, with families item",
            "table 'croupier-changes' made, with families number and what",
            "table 'croupier-views' made, with families view and list",
        ]
    );
    assert_eq!(
        create_tables(&emulator.locations).await.unwrap(),
        TABLES.map(|table| format!("table '{}' exists", table.id))
    );
    let findings = check_state(&emulator.locations).await.unwrap();
    assert!(findings.iter().all(|f| f.ok), "{findings:?}");
    let kept = |part: &str| findings.iter().find(|f| f.part.contains(part)).unwrap().detail.clone();
    assert_eq!(kept("'day'"), "collected after 3 days");
    assert_eq!(kept("'lasting'"), "kept until it is removed");
    assert_eq!((&*kept("'what'"), &*kept("'view'")), ("collected after 7 days", "collected after 90 days"));
    emulator.open().await.assignments.check().await.unwrap();
}

#[tokio::test]
async fn what_a_table_lacks_is_named_and_made() {
    const FOREVER: FamilySpec = FamilySpec { kept: Kept::LastVersion, ..DAY };
    if !Emulator::available() {
        return;
    }
    let emulator = Emulator::default();
    let at = instance(&emulator.locations);
    let admin = Admin::connect(&at, &emulator.locations).unwrap();
    admin.make(&TableSpec { id: ASSIGNMENTS.id, families: &[FOREVER] }).await.unwrap();
    for whole in &TABLES[1..] {
        admin.make(whole).await.unwrap();
    }
    let line = refused(&emulator.locations).await;
    assert!(line.contains("lasting") && line.contains("run 'croupier admin create-tables'"), "{line}");
    let found = faults(&emulator.locations).await;
    let says = |words: &[&str]| found.iter().any(|f| words.iter().all(|w| f.contains(w)));
    assert!(says(&["'day'", "its rule of collection is another", "create-tables"]), "{found:?}");
    assert!(says(&["'lasting'", "it is missing", "create-tables"]), "{found:?}");
    assert_eq!(
        create_tables(&emulator.locations).await.unwrap(),
        TABLES.map(|table| match table.id {
            "croupier-assignments" => {
                "table 'croupier-assignments' exists; collection of family 'day' set right; family 'lasting' made"
                    .into()
            }
            id => format!("table '{id}' exists"),
        })
    );
    assert_eq!(faults(&emulator.locations).await, [""; 0]);
    emulator.open().await.assignments.check().await.unwrap();
}

#[tokio::test]
async fn a_url_that_names_no_instance_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for url in ["bigtable://project", "bigtable://", "bigtable://a/b/c", "bigtable:project/instance"] {
        let locations = Locations { state: url.into(), ..Locations::in_dir(dir.path()) };
        let line = refused(&locations).await;
        assert!(line.contains("it may be") && line.contains("'bigtable://PROJECT/INSTANCE'"), "{line}");
        for e in [create_tables(&locations).await.unwrap_err(), check_state(&locations).await.unwrap_err()] {
            assert_eq!(e.to_string(), line);
        }
    }
    let emulator = Some("not an address".into());
    let state = "bigtable://project/instance".into();
    let line = refused(&Locations { state, bigtable_emulator: emulator, ..Locations::in_dir(dir.path()) }).await;
    assert!(line.contains("cannot connect"), "{line}");
}

#[tokio::test]
async fn a_directory_has_nothing_to_make() {
    let dir = tempfile::tempdir().unwrap();
    let locations = Locations::in_dir(dir.path());
    let lines = create_tables(&locations).await.unwrap();
    assert!(lines.len() == 1 && lines[0].contains("nothing to make"), "{lines:?}");
    assert_eq!(faults(&locations).await, [""; 0]);
}

/// In a process of its own, since credentials are found by its environment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_credentials_it_says_how_to_get_them() {
    const CHILD: &str = "CROUPIER_TEST_WITHOUT_CREDENTIALS";
    let dir = tempfile::tempdir().unwrap();
    if std::env::var_os(CHILD).is_some() {
        let state = "bigtable://project/instance".into();
        let locations = Locations { state, ..Locations::in_dir(dir.path()) };
        println!("{}", refused(&locations).await);
        println!("{:?}", faults(&locations).await);
        return;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "bigtable::tests::admin::without_credentials_it_says_how_to_get_them", "--nocapture"])
        .env(CHILD, "1")
        .env("GOOGLE_APPLICATION_CREDENTIALS", dir.path().join("none.json"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    for words in ["state = 'bigtable://project/instance'", "could not find", "run 'gcloud auth", "[\"credentials: "] {
        assert!(said.contains(words), "{words} is not in {said}");
    }
}
