//! The document holds for thousands of requests that it allows and that it does not: schemathesis,
//! <https://github.com/schemathesis/schemathesis>, MIT, against a server with an experiment and a catalog at work.

use crate::support::{Server, five_arms, setting};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `make test` promises.
const LEAST: u64 = 2_000;
/// What ends the state that the other requests meet: last.
const ENDING: &str = "delete_experiment,delete_catalog,delete_item,stop_experiment,pause_experiment";

fn tool() -> Option<PathBuf> {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/schemathesis/bin/schemathesis");
    if tool.is_file() {
        return Some(tool);
    }
    let line = "NOT RUN: this test needs schemathesis, which is not installed ('make test' installs it)";
    assert!(std::env::var_os("CI").is_none(), "{line}");
    eprintln!("{line}");
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_gets_an_answer_that_the_document_does_not_know() {
    let Some(tool) = tool() else { return };
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"), &[]);
    server.run(&five_arms("product-page")).await;
    let put = reqwest::Method::PUT;
    server.expect(put.clone(), "/v1/catalogs/shop", Some(&json!({"dimension": 2})), 201).await;
    let items = json!([{"id": "sku-9", "vector": [0.1, 0.9]}, {"id": "sku-10", "vector": [0.2, 0.8]}]);
    server.expect(put, "/v1/catalogs/shop/items", Some(&items), 200).await;
    server.post("/v1/decide", &json!({"experiment": "product-page", "user": "visitor-1", "item": "sku-9"})).await;
    server.update("product-page").await;

    let examples = setting("CONTRACT_EXAMPLES", 15);
    let mut sent = 0;
    for filter in ["--exclude-operation-id", "--include-operation-id"] {
        let mut command = Command::new(&tool);
        command
            .env("SCHEMATHESIS_HOOKS", hooks())
            .env("PYTHONPATH", folder(&tool))
            .current_dir(dir.path())
            .arg("run")
            .arg(format!("{}/openapi.json", server.base))
            .args([
                "--phases=examples,coverage,fuzzing",
                "--checks=not_a_server_error,status_code_conformance,content_type_conformance,\
             response_headers_conformance,response_schema_conformance",
                &format!("--max-examples={examples}"),
                "--seed=1",
                "--generation-database=none",
                "--no-shrink",
                "--continue-on-failure",
                "--suppress-health-check=all",
                "--warnings=off",
                "--no-color",
                "--request-timeout=60",
            ]);
        for operation in ENDING.split(',') {
            command.arg(filter).arg(operation);
        }
        let said = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
        assert!(said.status.success(), "{out}\n{err}");
        sent += count(&out);
    }
    assert!(sent >= LEAST, "only {sent} requests were sent");
    eprintln!("{sent} requests");
    let ready: Value = server.get("/readyz").await;
    assert_eq!(ready["ready"], true, "{ready}");
}

/// What it does not know by itself.
fn hooks() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/operating/contract.py")
}

/// Where its packages are.
fn folder(tool: &Path) -> &Path {
    tool.ancestors().nth(2).unwrap()
}

/// How many cases it says that it made: `… 1234 generated, …`.
fn count(out: &str) -> u64 {
    let before = out.split(" generated").next().unwrap_or_default();
    let number = before.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    number.parse().unwrap_or_else(|_| panic!("it does not say how many cases it made:\n{out}"))
}
