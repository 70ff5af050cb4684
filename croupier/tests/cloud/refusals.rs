//! What is wrong at start is one line that names the setting and the fix.

use crate::house::House;
use crate::support::{croupier, finish};
use std::process::Command;

/// Exit code 2 and one line.
fn refused(command: Command) -> String {
    let (code, out, err) = finish(command);
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    let lines: Vec<&str> = err.lines().filter(|l| l.starts_with("croupier: ")).collect();
    assert_eq!(lines.len(), 1, "{err}");
    lines[0].to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_unusable_part_is_named_with_its_fix() {
    let Some(house) = House::open().await else { return };
    let with = |setting: &str, url: &str| {
        let mut command = house.command(&["api", "--listen", "127.0.0.1:0"], "x", &[]);
        // Flags come before variables; the last flag of a name would be refused as given twice.
        let args: Vec<_> = command.get_args().map(|a| a.to_str().unwrap().to_owned()).collect();
        let place = args.iter().position(|a| *a == format!("--{setting}")).unwrap();
        let envs: Vec<_> = command.get_envs().map(|(k, v)| (k.to_owned(), v.map(ToOwned::to_owned))).collect();
        let mut args = args;
        args[place + 1] = url.into();
        command = croupier(&args.iter().map(String::as_str).collect::<Vec<_>>());
        for (name, value) in envs {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    };
    let line = refused(with("state", "bigtable://test/other"));
    assert!(
        line.contains("state = 'bigtable://test/other'") && line.contains("croupier admin create-tables"),
        "{line}"
    );
    let line = refused(with("events", "pubsub://test/other"));
    assert!(line.contains("events = 'pubsub://test/other'") && line.contains("croupier admin create-topics"), "{line}");
    let address = house.postgres.address();
    let line = refused(with("database", &format!("postgres://croupier:secret@{address}/other")));
    assert!(
        line.contains("database = 'postgres://…'") && line.contains("does not exist") && !line.contains("secret"),
        "{line}"
    );
    let line = refused(with("database", &format!("postgres://nobody:secret@{address}/croupier")));
    assert!(
        line.contains("database = 'postgres://…'") && line.contains("nobody") && !line.contains("secret"),
        "{line}"
    );
    let line = refused(with("database", "postgres://croupier@127.0.0.1:1/croupier"));
    assert!(line.contains("database = ") && line.contains("refused"), "{line}");
    // No emulators: real services, for which there are no credentials here.
    for (setting, url) in [("state", "bigtable://test/croupier"), ("events", "pubsub://test/croupier")] {
        let mut command = with(setting, url);
        command.env_remove("BIGTABLE_EMULATOR_HOST").env_remove("PUBSUB_EMULATOR_HOST");
        command
            .env("HOME", house.dir.path())
            .env("GOOGLE_APPLICATION_CREDENTIALS", house.dir.path().join("absent.json"));
        let line = refused(command);
        assert!(line.contains("credentials"), "{line}");
    }
    let (code, out, err) = house.admin("check");
    assert_eq!(code, 0, "{out}{err}");
    for part in ["state", "events", "database"] {
        assert!(out.contains(part), "{out}");
    }
    for (command, found) in [("create-tables", "exists"), ("create-topics", "was there")] {
        let (code, out, _) = house.admin(command);
        assert!(code == 0 && out.lines().all(|l| l.contains(found)), "{command} again: {out}");
    }
}

/// A replica that cannot reach its state yet starts, and says which part it waits for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_is_away_at_start_is_named_by_readyz() {
    let Some(house) = House::open().await else { return };
    let first = house.api("a");
    crate::visitors::begin(&[&first]).await;
    drop(first);
    house.bigtable_proxy.cut();
    let a = house.api("a");
    let ready = a.expect(reqwest::Method::GET, "/readyz", None, 503).await;
    let state = ready["parts"].as_array().unwrap().iter().find(|p| p["name"] == "state").unwrap().clone();
    assert_eq!(state["ok"], false, "{ready}");
    let body = serde_json::json!({"experiment": "page", "user": "u"});
    a.expect(reqwest::Method::POST, "/v1/decide", Some(&body), 503).await;
    house.bigtable_proxy.mend();
    crate::visitors::until_metric(&a, "croupier_experiments", |n| n >= 1.0).await;
    let decision = a.post("/v1/decide", &body).await;
    assert_eq!(decision["source"], "policy");
    a.expect(reqwest::Method::GET, "/readyz", None, 200).await;
}
