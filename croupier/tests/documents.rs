//! Every command in the README and the guides runs, in the order in which a reader meets it.
//!
//! A document is one shell in an empty directory. `sh` blocks run; a command that listens goes on in the background once it
//! says so; a request that is answered with an error fails. A `json` block after one shows what its last command says: it has the same
//! fields. What cannot run here is in `console` blocks, each after a comment that says why.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a reader's shell would have: `croupier` and `loadtest` on its path, and a server at port 8080.
const PRELUDE: &str = r#"
set -eEuo pipefail
trap 'echo "a command of block ${block:-0} failed: $BASH_COMMAND" >&2' ERR
servers=()
trap 'for pid in "${servers[@]}"; do kill "$pid" 2>/dev/null || true; done; wait' EXIT
export CROUPIER_LISTEN=127.0.0.1:0 CROUPIER_LOG=warn
start() {
    local out line
    exec {out}< <(exec "$BIN/croupier" "$@" 2>>server.log)
    servers+=($!)
    read -r line <&"$out" || { cat server.log >&2; return 1; }
    address=${line##*http://}
}
croupier() {
    case ${1:-} in serve | demo | api) start "$@" ;; *) "$BIN/croupier" "$@" ;; esac
}
here() { given=("${@//localhost:8080/$address}"); given=("${given[@]//127.0.0.1:8080/$address}"); }
curl() { here "$@"; command curl --fail-with-body "${given[@]}"; }
# All documents run at once: that this machine is late says nothing of them.
loadtest() {
    here "$@"
    [ "$1" != replay ] || given+=(--max-lag 10s)
    "$BIN/loadtest" "${given[@]}"
}
cargo() {
    [ "$1" = install ] || { echo "readers install, they do not '$1'" >&2; return 1; }
    while [ $# -gt 0 ]; do [ "$1" != --path ] || [ -f "$HOUSE/$2/Cargo.toml" ]; shift; done
}
"#;

#[test]
fn every_command_runs() {
    let house = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let binaries = Path::new(env!("CARGO_BIN_EXE_croupier")).parent().unwrap();
    assert!(binaries.join("loadtest").exists(), "build the whole workspace: guides run loadtest too");
    let mut documents: Vec<PathBuf> =
        house.join("docs").read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    documents.push(house.join("README.md"));
    documents.retain(|path| path.extension().is_some_and(|e| e == "md"));
    let failures: Vec<String> = std::thread::scope(|scope| {
        let runs: Vec<_> = documents.iter().map(|path| scope.spawn(|| run(path, house, binaries))).collect();
        runs.into_iter().filter_map(|run| run.join().unwrap().err()).collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Runs a document; what went wrong otherwise.
fn run(path: &Path, house: &Path, binaries: &Path) -> Result<(), String> {
    let name = path.strip_prefix(house).unwrap().display();
    let blocks = blocks(&std::fs::read_to_string(path).unwrap()).map_err(|why| format!("{name}: {why}"))?;
    let directory = tempfile::tempdir().unwrap();
    let mut script = PRELUDE.to_owned();
    for (i, block) in blocks.iter().enumerate().filter(|(_, block)| block.language == "sh") {
        writeln!(script, "block={i}\n{{\n{}\n}} > block-{i}.out", block.text).unwrap();
    }
    std::fs::write(directory.path().join("script"), script).unwrap();
    let output = Command::new("bash")
        .arg("script")
        .current_dir(directory.path())
        .env("BIN", binaries)
        .env("HOUSE", house)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let read = |file: String| std::fs::read_to_string(directory.path().join(file)).unwrap_or_default();
    if !output.status.success() {
        let said: String = (0..blocks.len()).map(|i| read(format!("block-{i}.out"))).collect();
        return Err(format!("{name}: {errors}\n{said}\n{}", read("server.log".into())));
    }
    let log = read("server.log".into());
    if log.contains("panicked") || log.contains("ERROR") {
        return Err(format!("{name}: the server says {log}"));
    }
    for (i, shown) in blocks.iter().enumerate().filter(|(_, block)| block.language == "json") {
        let Ok(shown) = serde_json::from_str::<Value>(&shown.text) else {
            let part = format!("{{{}}}", shown.text);
            serde_json::from_str::<Value>(&part).map_err(|e| format!("{name}: not JSON ({e}): {part}"))?;
            continue;
        };
        let said = read(format!("block-{}.out", i - 1));
        let last = serde_json::Deserializer::from_str(&said).into_iter::<Value>().last();
        let last = last.and_then(Result::ok).ok_or_else(|| format!("{name}: no JSON was said: {said}"))?;
        if fields(&last) != fields(&shown) {
            return Err(format!("{name}: shown is {shown}, said was {last}"));
        }
    }
    Ok(())
}

fn fields(value: &Value) -> BTreeSet<&String> {
    value.as_object().into_iter().flat_map(|object| object.keys()).collect()
}

struct Block {
    language: String,
    text: String,
}

/// The fenced blocks of a document.
fn blocks(text: &str) -> Result<Vec<Block>, String> {
    let (mut blocks, mut open, mut before) = (Vec::<Block>::new(), false, "");
    for line in text.lines() {
        match (line.strip_prefix("```"), open) {
            (Some(_), true) => open = false,
            (Some(language), false) => {
                if language == "console" && !before.starts_with("<!-- not run: ") {
                    return Err("a console block does not say why it is not run".into());
                }
                open = true;
                blocks.push(Block { language: language.into(), text: String::new() });
            }
            (None, true) => {
                let block = blocks.last_mut().unwrap();
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, false) => {}
        }
        before = line;
    }
    Ok(blocks)
}
