//! Another bit in any file of the data directory, while the server is down: it starts and answers as before, or it does not
//! start and says which file it is and what to do.

use crate::support::{Server, croupier, five_arms, setting};
use crate::{decide, event, files};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// What a user and an operator are told.
async fn answers(server: &Server) -> Vec<Value> {
    let mut all = Vec::new();
    for n in 0..10 {
        let mut decision = decide(server, &format!("u{n}")).await;
        decision.as_object_mut().unwrap().remove("first");
        all.push(decision);
    }
    all.push(server.get("/v1/experiments/page").await);
    all.push(server.get("/v1/experiments/page/results").await["arms"].clone());
    all.push(server.get("/v1/experiments/page/posteriors").await);
    all.push(server.get("/v1/catalogs/shop/items/hat/related").await);
    all.push(server.get("/v1/catalogs").await);
    all
}

fn serve(data: &Path, log: &Path) -> Command {
    let data = data.display().to_string();
    let mut command = croupier(&["serve", "--log", "warn", "--listen", "127.0.0.1:0", "--data", &data]);
    command.stderr(std::fs::File::create(log).unwrap());
    command
}

fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    for file in files(from) {
        let target = to.path().join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(&file, &target).unwrap();
        keep_time(&target, &file);
    }
    to
}

/// A disk that returns other bytes does not say that they were written.
fn keep_time(file: &Path, of: &Path) {
    let modified = of.metadata().unwrap().modified().unwrap();
    std::fs::File::options().append(true).open(file).unwrap().set_modified(modified).unwrap();
}

/// Files of a kind hold the same things: short runs look at one of each.
fn kind(file: &str) -> String {
    file.chars().filter(|c| !c.is_ascii_digit()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_flipped_bit_is_served() {
    let flips = setting("FLIPS", 2);
    let (dir, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = scratch.path().join("log");
    let server = Server::attempt(serve(dir.path(), &log)).unwrap();
    server.run(&five_arms("page")).await;
    server.expect(Method::PUT, "/v1/catalogs/shop", Some(&json!({"dimension": 2})), 201).await;
    let items: Vec<Value> = (0..30).map(|n| json!({"id": format!("i{n}"), "vector": [n, 1]})).collect();
    server.expect(Method::PUT, "/v1/catalogs/shop/items", Some(&json!(items)), 200).await;
    server.expect(Method::PUT, "/v1/catalogs/shop/items", Some(&json!([{"id": "hat", "vector": [3, 1]}])), 200).await;
    for n in 0..10 {
        let decision = decide(&server, &format!("u{n}")).await;
        server.post("/v1/events", &event(&format!("r{n}"), &decision)).await;
    }
    server.update("page").await;
    server.stop();
    // A journal is 64 MB of nothing until it is opened again.
    let server = Server::attempt(serve(dir.path(), &log)).unwrap();
    let before = answers(&server).await;
    server.stop();
    let names: Vec<String> =
        files(dir.path()).iter().map(|f| f.strip_prefix(dir.path()).unwrap().display().to_string()).collect();
    assert!(
        names.iter().any(|name| name == "croupier.db.sum") && names.iter().any(|name| name == "catalogs.snapshot"),
        "{names:?}"
    );
    let mut kinds = std::collections::BTreeSet::new();
    let (mut same, mut refused) = (0, 0);
    for name in names.iter().filter(|name| flips > 2 || kinds.insert(kind(name))) {
        let length = dir.path().join(name).metadata().unwrap().len();
        for n in 0..if length > 0 { flips } else { 0 } {
            let damaged = copy(dir.path());
            let file = damaged.path().join(name);
            let mut bytes = std::fs::read(&file).unwrap();
            let bit = usize::try_from((n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 16).unwrap() % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&file, bytes).unwrap();
            keep_time(&file, &dir.path().join(name));
            let started = Server::attempt(serve(damaged.path(), &log));
            let said = std::fs::read_to_string(&log).unwrap();
            assert!(!said.contains("panicked"), "bit {bit} of {name}: {said}");
            match started {
                Ok(server) => {
                    assert_eq!(answers(&server).await, before, "bit {bit} of {name}: {said}");
                    same += 1;
                }
                Err(code) => {
                    assert_eq!((code, said.lines().count()), (1, 1), "bit {bit} of {name}: {said}");
                    let helps = ["restore a backup", "croupier check", "--mend"].iter().any(|todo| said.contains(todo));
                    assert!(helps && said.contains("damaged"), "bit {bit} of {name}: {said}");
                    refused += 1;
                }
            }
        }
    }
    println!("{same} flips changed nothing that is told, {refused} were refused");
    assert!(same > 0 && refused > 0);
}
