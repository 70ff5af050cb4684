//! Historic logs: loaded whole or not at all, and never twice.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use bandit::{Experiment, HourOutcome, Status};
use croupier::import::{Created, Format, ImportArgs, ImportError, ImportSummary, Loaded, run};
use jiff::Timestamp;
use parquet::basic::{Compression, GzipLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::{Change, DatabaseStores, Durability, Locations};

/// A database in a directory of its own, and files beside it.
struct Place {
    dir: tempfile::TempDir,
    stores: DatabaseStores,
}

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

impl Place {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let locations = Locations { durability: Durability::Os, ..Locations::in_dir(dir.path()) };
        Self { stores: store::open_database(&locations).await.unwrap(), dir }
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    async fn run(&self, args: &ImportArgs) -> Result<ImportSummary, ImportError> {
        run(args, &self.stores, now(), false).await
    }

    /// Loads what must be loaded for the first time.
    async fn load(&self, args: &ImportArgs) -> Loaded {
        let loaded = *self.run(args).await.unwrap().loaded.unwrap();
        // Counts that were moved row by row are those of the rows.
        let outcomes = &self.stores.outcomes;
        let recount = outcomes.recount(&args.experiment).await.unwrap();
        assert_eq!(recount, outcomes.evidence(&args.experiment).await.unwrap());
        loaded
    }

    async fn experiment(&self, json: &str) -> Experiment {
        let definition: Experiment = serde_json::from_str(json).unwrap();
        bandit::validate(&definition).unwrap();
        let change = Change { who: "test".into(), why: String::new(), at: now(), request: String::new() };
        self.stores.experiments.create(&definition, &change).await.unwrap();
        for (from, to) in [(Status::Draft, Status::Running), (Status::Running, Status::Paused)] {
            self.stores.experiments.set_status(&definition.id, from, to, None, &change).await.unwrap();
        }
        definition
    }

    /// Two arms, `a` and `b`.
    async fn ab(&self) -> Experiment {
        self.experiment(r#"{"id":"ab","arms":[{"id":"a"},{"id":"b"}],"reward":{"event":"buy"}}"#).await
    }

    async fn outcomes(&self, experiment: &str) -> Vec<HourOutcome> {
        self.stores.outcomes.evidence(experiment).await.unwrap().outcomes
    }

    /// Segment and arm → trials and rewards.
    async fn counts(&self, experiment: &str) -> BTreeMap<(String, usize), (u64, u64)> {
        let mut counts: BTreeMap<_, (u64, u64)> = BTreeMap::new();
        for o in self.outcomes(experiment).await {
            let cell = counts.entry((o.segment, o.arm)).or_default();
            *cell = (cell.0 + o.trials, cell.1 + o.rewards);
        }
        counts
    }
}

fn args(file: &Path, experiment: &str, name: &str, map: &[&str]) -> ImportArgs {
    ImportArgs {
        file: file.into(),
        experiment: experiment.into(),
        name: name.into(),
        map: map.iter().map(|m| (*m).to_owned()).collect(),
        format: None,
        create: false,
        reward_event: None,
        strict: false,
    }
}

fn create(file: &Path, experiment: &str, name: &str, map: &[&str]) -> ImportArgs {
    ImportArgs { create: true, ..args(file, experiment, name, map) }
}

fn strict(args: ImportArgs) -> ImportArgs {
    ImportArgs { strict: true, ..args }
}

/// What each refusal says, after its place.
fn refusals(loaded: &Loaded) -> Vec<String> {
    loaded.refused.first.iter().map(ToString::to_string).collect()
}

const OBD: [&str; 4] = ["at=timestamp", "arm=item_id", "reward=click", "propensity=propensity_score"];

/// The Open Bandit data set's men campaign under a policy, if it is there.
fn obd(policy: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../shared/data/obd/{policy}-men.csv.gz"));
    if !path.exists() {
        println!("NOT RUN: {} is not there", path.display());
        return None;
    }
    let unpacked = std::process::Command::new("gzip").arg("-dc").arg(path).output().unwrap();
    Some(String::from_utf8(unpacked.stdout).unwrap())
}

/// Timestamp, arm, click and propensity of each row: the file has no quotes.
fn obd_rows(text: &str) -> Vec<[&str; 4]> {
    text.lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            [cells[1], cells[2], cells[4], cells[5]]
        })
        .collect()
}

#[tokio::test]
async fn the_open_bandit_data_count_as_they_do_by_hand() {
    for policy in ["random", "bts"] {
        let Some(text) = obd(policy) else { return };
        let place = Place::new().await;
        let file = place.file("men.csv", &text);
        let summary = place.run(&create(&file, "men", "obd", &OBD)).await.unwrap();
        assert_eq!(summary.paused, Some(Created::New { arms: 34 }));
        let loaded = *summary.loaded.unwrap();
        assert_eq!((loaded.rows, loaded.decisions, loaded.repeats, loaded.refused.count), (10_000, 10_000, 0, 0));

        let mut by_hand: BTreeMap<(String, usize), (u64, u64)> = BTreeMap::new();
        for [_, arm, click, _] in obd_rows(&text) {
            let cell = by_hand.entry(("all".into(), arm.parse().unwrap())).or_default();
            *cell = (cell.0 + 1, cell.1 + u64::from(click == "1"));
        }
        assert_eq!(place.counts("men").await, by_hand);

        let record = place.stores.experiments.get("men").await.unwrap().unwrap();
        assert_eq!(record.status, Status::Paused);
        let ids: Vec<String> = (0..34).map(|i| i.to_string()).collect();
        assert_eq!(record.definition.arms.iter().map(|a| a.id.clone()).collect::<Vec<_>>(), ids);
        let set = bandit::recompute(&record.definition, record.revision, 1, &place.outcomes("men").await.into(), now());
        for (arm, posterior) in set.segments["all"].iter().enumerate() {
            let (trials, rewards) = by_hand[&("all".into(), arm)];
            #[expect(clippy::cast_precision_loss, reason = "small counts")]
            let expected = (1.0 + rewards as f64, 1.0 + (trials - rewards) as f64);
            assert_eq!((posterior.alpha, posterior.beta), expected, "arm {arm} of {policy}");
        }

        let before = place.outcomes("men").await;
        let again = place.run(&create(&file, "men", "obd", &OBD)).await.unwrap();
        assert_eq!((again.loaded, again.paused), (Err(now()), None));
        let other = place.file("other.csv", text.lines().take(100).collect::<Vec<_>>().join("\n"));
        let taken = place.run(&args(&other, "men", "obd", &OBD)).await.unwrap_err();
        assert!(matches!(&taken, ImportError::NameTaken { experiment, .. } if experiment == "men"), "{taken}");
        assert_eq!(place.outcomes("men").await, before);
    }
}

#[tokio::test]
async fn formats_do_not_differ() {
    let Some(text) = obd("bts") else { return };
    let place = Place::new().await;
    let rows = obd_rows(&text);
    let csv = place.file("men.csv", &text);
    let ndjson: String = rows.iter().fold(String::new(), |mut out, [at, arm, click, propensity]| {
        let click: u32 = click.parse().unwrap();
        // Half of the rows say nothing of what did not happen.
        let reward = if click == 1 || arm.len() == 1 { format!(r#","click":{click}"#) } else { String::new() };
        writeln!(out, r#"{{"timestamp":"{at}","shown":{{"item_id":{arm}}},"propensity_score":{propensity}{reward}}}"#)
            .unwrap();
        out
    });
    let ndjson = place.file("men.jsonl", ndjson);
    let parquet = place.dir.path().join("men.parquet");
    write_obd(&parquet, &rows);
    let mut nested = OBD;
    nested[1] = "arm=shown.item_id";
    for (file, experiment, map) in [(csv, "csv", OBD), (ndjson, "ndjson", nested), (parquet, "parquet", OBD)] {
        let loaded = place.load(&create(&file, experiment, experiment, &map)).await;
        assert_eq!((loaded.rows, loaded.decisions, loaded.refused.count), (10_000, 10_000, 0), "{experiment}");
        assert_eq!(place.outcomes(experiment).await, place.outcomes("csv").await, "{experiment}");
    }
}

/// Three row groups with a moment, a number, a number or null, and a double.
fn write_obd(path: &Path, rows: &[[&str; 4]]) {
    let schema = "message log { required int64 timestamp (TIMESTAMP(MICROS, true)); required int64 item_id;
        optional int32 click; required double propensity_score; }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(std::fs::File::create(path).unwrap(), schema, Arc::default()).unwrap();
    for rows in rows.chunks(4_000) {
        let mut group = writer.next_row_group().unwrap();
        let times: Vec<i64> = rows.iter().map(|r| r[0].parse::<Timestamp>().unwrap().as_microsecond()).collect();
        let arms: Vec<i64> = rows.iter().map(|r| r[1].parse().unwrap()).collect();
        let clicked: Vec<i16> = rows.iter().map(|r| i16::from(r[2] == "1")).collect();
        let clicks: Vec<i32> = clicked.iter().filter(|c| **c == 1).map(|_| 1).collect();
        let propensities: Vec<f64> = rows.iter().map(|r| r[3].parse().unwrap()).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&times, None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&arms, None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int32Type>().write_batch(&clicks, Some(&clicked), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<DoubleType>().write_batch(&propensities, None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
}

/// One row group with a moment and an arm as text.
fn write_texts(path: &Path, rows: &[(&str, &[u8])]) {
    write_packed(path, rows, Compression::UNCOMPRESSED);
}

fn write_packed(path: &Path, rows: &[(&str, &[u8])], packing: Compression) {
    let schema = "message log { required binary at (UTF8); required binary arm; }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().set_compression(packing).build());
    let mut writer = SerializedFileWriter::new(std::fs::File::create(path).unwrap(), schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let columns: [Vec<ByteArray>; 2] =
        [rows.iter().map(|r| r.0.into()).collect(), rows.iter().map(|r| r.1.to_vec().into()).collect()];
    for values in columns {
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&values, None, None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

/// Other tools pack with gzip and LZ4 by default.
#[tokio::test]
async fn packed_parquet_is_read() {
    let place = Place::new().await;
    let rows: Vec<(&str, &[u8])> = [("2026-10-01T00:00:00Z", &b"a"[..]), ("2026-10-01T00:00:01Z", b"b")].repeat(50);
    for (name, packing) in [
        ("gzip", Compression::GZIP(GzipLevel::default())),
        ("lz4", Compression::LZ4),
        ("lz4-raw", Compression::LZ4_RAW),
        ("snappy", Compression::SNAPPY),
    ] {
        let path = place.dir.path().join(format!("{name}.parquet"));
        write_packed(&path, &rows, packing);
        let loaded = place.load(&create(&path, name, name, &[])).await;
        assert_eq!((loaded.rows, loaded.refused.count), (100, 0), "{name}");
    }
}

#[tokio::test]
async fn every_bad_row_of_csv_is_refused_by_its_line() {
    let place = Place::new().await;
    place.ab().await;
    let long = "x".repeat(257);
    let mut text = b"type,user,item,arm,at,reward,reward_at,propensity,decision_id\r\n".to_vec();
    let rows: [(&[u8], &str); 21] = [
        (b",u1,,a,2026-01-01,1,,,", ""),
        (b",u,,c,2026-01-01,,,,", "arm: the experiment has no arm 'c'; it has a, b"),
        (b",u,,,2026-01-01,,,,", "arm: is required for a decision (a row of another kind says so in its 'type')"),
        (b",u,,a,,,,,", "at: is required for a decision (a row of another kind says so in its 'type')"),
        (
            b",u,,a,yesterday,,,,",
            "at: 'yesterday' is not a time: it may be RFC 3339, or Unix seconds, milliseconds or microseconds",
        ),
        (b",u,,a,2026-11-21T12:00:01Z,,,,", "at: 2026-11-21T12:00:01Z is in the future"),
        (b",u,,a,2026-01-01,much,,,", "reward: 'much' is not a number from 0 to 1e15"),
        (b",u,,a,2026-01-01,-1,,,", "reward: '-1' is not a number from 0 to 1e15"),
        (b",u,,a,2026-01-01,NaN,,,", "reward: 'NaN' is not a number from 0 to 1e15"),
        (
            b",u,,a,2026-01-01,1,soon,,",
            "reward_at: 'soon' is not a time: it may be RFC 3339, or Unix seconds, milliseconds or microseconds",
        ),
        (b",u,,a,2026-01-01,,,0,", "propensity: '0' is not a number above 0 and at most 1"),
        (b",u,,a,2026-01-01,,,1.1,", "propensity: '1.1' is not a number above 0 and at most 1"),
        (b",u,,a,2026-01-01,,,NaN,", "propensity: 'NaN' is not a number above 0 and at most 1"),
        (b",LONG,,a,2026-01-01,,,,", "user: must be at most 256 bytes"),
        (b",u,\"x\ny\",a,2026-01-01,,,,", "item: must not contain control characters"),
        (b",u,,a,2026-01-01,,,,\xff", "decision_id: is not UTF-8"),
        (b",u,,a,2026-01-01", "has 5 values where the header has 9"),
        (b"view,u,i,,2026-01-01,,,,", "type: 'view' is not 'decision', 'reward' or 'exposure'"),
        (b"reward,,,,2026-01-01,1,,,", "decision_id: is required, or 'user', for a reward"),
        (b"exposure,u,,,,,,,", "at: is required, or 'reward_at', for an exposure"),
        (b",u,,a\x1b[31m,2026-01-01,,,,", "arm: the experiment has no arm 'a\\u{1b}[31m'; it has a, b"),
    ];
    let (mut line, mut expected) = (2, Vec::new());
    for (i, (row, why)) in rows.iter().enumerate() {
        let row = String::from_utf8_lossy(row).contains("LONG").then(|| format!(",{long},,a,2026-01-01,,,,"));
        let row = row.as_ref().map_or(rows[i].0, String::as_bytes);
        if !why.is_empty() {
            expected.push(format!("line {line}: {why}"));
        }
        text.extend_from_slice(row);
        // Lines end and are left blank as one likes.
        let end: &[u8] = [&b"\r\n"[..], b"\n", b"\n\n\r\n"][i % 3];
        text.extend_from_slice(end);
        line += row.iter().chain(end).filter(|b| **b == b'\n').count();
    }
    text.truncate(text.trim_ascii_end().len());
    let file = place.file("log.csv", &text);
    let loaded = place.load(&args(&file, "ab", "bad", &[])).await;
    assert_eq!(refusals(&loaded), expected);
    assert_eq!((loaded.rows, loaded.decisions, loaded.refused.count), (21, 1, 20));
    assert_eq!(loaded.refused.reasons["reward: not a number from 0"], 3);
    assert_eq!(place.counts("ab").await, BTreeMap::from([(("all".into(), 0), (1, 1))]));
}

#[tokio::test]
async fn every_bad_row_of_ndjson_and_parquet_is_refused_by_its_place() {
    let place = Place::new().await;
    place.ab().await;
    let mut text = "\u{feff}{\"arm\":\"a\",\"at\":1767225600}\n\n".as_bytes().to_vec();
    text.extend_from_slice(b"{\"arm\":\"a\",\"at\":\n[1]\n{\"arm\":[\"a\"],\"at\":1767225600}\n");
    text.extend_from_slice(b"{\"arm\":\"a\",\"at\":1767225600,\"reward\":\"\xff\"}\n");
    text.extend_from_slice(format!("{{\"arm\":\"{}\"}}\n", "a".repeat(2 << 20)).as_bytes());
    text.extend_from_slice(b"{\"arm\":\"b\",\"at\":1767225600000,\"reward\":true}");
    let file = place.file("log.ndjson", &text);
    let loaded = place.load(&args(&file, "ab", "lines", &[])).await;
    let expected = [
        "line 3: is not JSON: EOF while parsing a value at column 16",
        "line 4: is not a JSON object",
        "line 5: arm: must be text, a number, true or false",
        "line 6: is not JSON: invalid unicode code point at column 38",
        "line 7: is longer than 1048576 bytes",
    ];
    assert_eq!(refusals(&loaded), expected);
    assert_eq!((loaded.rows, loaded.decisions, loaded.events), (7, 2, 1));

    let path = place.dir.path().join("log.parquet");
    write_texts(&path, &[("2026-01-01", b"a"), ("never", b"a"), ("2026-01-01", b"\xff"), ("2026-01-01", b"b")]);
    let loaded = place.load(&args(&path, "ab", "rows", &[])).await;
    let expected = [
        "row 2: at: 'never' is not a time: it may be RFC 3339, or Unix seconds, milliseconds or microseconds",
        "row 3: arm: is not UTF-8",
    ];
    assert_eq!((refusals(&loaded), loaded.decisions), (expected.map(String::from).to_vec(), 2));
}

/// The reason is the rows, not that they have too few arms.
#[tokio::test]
async fn no_experiment_is_made_from_a_log_without_a_readable_row() {
    let place = Place::new().await;
    let file = place.file("ragged.csv", "arm,at,reward\na,2026-01-01\nb,2026-01-01\n");
    let error = place.run(&create(&file, "made", "log", &[])).await.unwrap_err().to_string();
    assert!(error.contains("(2 refused, the first is line 2: has 2 values where the header has 3)"), "{error}");
    let file = place.file("header.csv", "arm,at\n");
    let error = place.run(&create(&file, "made", "log", &[])).await.unwrap_err().to_string();
    assert!(error.contains("has no row that can be loaded (it is empty)"), "{error}");
    assert!(place.stores.experiments.get("made").await.unwrap().is_none());
}

#[tokio::test]
async fn a_failure_in_the_middle_keeps_nothing() {
    let place = Place::new().await;
    let good: String = (0..5_000).fold("arm,at\n".into(), |mut text, i| {
        writeln!(text, "{},2026-01-01", ["a", "b"][i % 2]).unwrap();
        text
    });
    let refused = place.file("refused.csv", format!("{good}a,never\n{}", &good[7..]));
    let error = place.run(&strict(create(&refused, "made", "log", &[]))).await.unwrap_err();
    let line =
        "line 5002: at: 'never' is not a time: it may be RFC 3339, or Unix seconds, milliseconds or microseconds";
    assert_eq!(error.to_string(), format!("{line}; nothing was kept (--strict)"));
    assert!(place.stores.experiments.get("made").await.unwrap().is_none());
    place.ab().await;
    assert!(place.run(&strict(args(&refused, "ab", "log", &[]))).await.is_err());

    let open = place.file("open.csv", format!("{good}a,\"never\n{}", "b,2026-01-01\n".repeat(200_000)));
    let error = place.run(&args(&open, "ab", "log", &[])).await.unwrap_err();
    assert!(matches!(error, ImportError::LongRow { line: 5_002, .. }), "{error}");

    let json = r#"{"id":"numbers","arms":[{"id":"0"},{"id":"1"}],"reward":{"event":"buy"}}"#;
    place.experiment(json).await;
    let times: Vec<String> =
        (0..9_000).map(|i| format!("2026-01-01T00:{:02}:{:02}.{i:06}Z", i / 60 % 60, i % 60)).collect();
    let rows: Vec<_> = times.iter().enumerate().map(|(i, at)| [at.as_str(), ["0", "1"][i % 2], "1", "0.5"]).collect();
    let path = place.dir.path().join("damaged.parquet");
    write_obd(&path, &rows);
    let mut bytes = std::fs::read(&path).unwrap();
    // The first row group is sound, and so is the footer.
    let (from, to) = (bytes.len() * 6 / 10, bytes.len() * 9 / 10);
    bytes[from..to].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let error = place.run(&args(&path, "numbers", "log", &OBD)).await.unwrap_err();
    assert!(matches!(error, ImportError::Damaged { .. }), "{error}");
    assert_eq!(place.counts("numbers").await, BTreeMap::new());
    let error = place.run(&create(&path, "made", "log", &OBD)).await.unwrap_err();
    assert!(matches!(error, ImportError::Damaged { .. }), "{error}");
    assert!(place.stores.experiments.get("made").await.unwrap().is_none());

    let hopeless = place.file("hopeless.csv", "arm,at\nc,2026-01-01\n");
    let error = place.run(&args(&hopeless, "ab", "log", &[])).await.unwrap_err().to_string();
    assert!(
        error.ends_with(
            "(1 refused, the first is line 2: arm: the experiment has no arm 'c'; it has a, b): nothing was kept"
        ),
        "{error}"
    );
    let empty = place.file("empty.csv", "arm,at\n");
    let error = place.run(&args(&empty, "ab", "log", &[])).await.unwrap_err().to_string();
    assert!(error.ends_with("has no row that can be loaded (it is empty): nothing was kept"), "{error}");

    assert_eq!(place.counts("ab").await, BTreeMap::new());
    // The name was not used up.
    let file = place.file("good.csv", good);
    assert_eq!(place.load(&args(&file, "ab", "log", &[])).await.decisions, 5_000);
}

#[tokio::test]
async fn rewards_of_another_file_find_their_decisions() {
    let place = Place::new().await;
    place.ab().await;
    let decisions = place.file(
        "decisions.csv",
        "decision_id,user,item,arm,at\n\
         d-1,,,a,2026-01-01T10:00:00Z\n\
         d-2,u9,,a,2026-01-01T10:00:00Z\n\
         ,u1,i1,b,2026-01-01T10:00:00Z\n\
         ,u1,i1,a,2026-01-01T11:00:00Z\n\
         ,u1,i2,b,2026-01-01T10:00:00Z\n\
         ,u1,i1,b,2026-01-02T10:00:00Z\n",
    );
    let loaded = place.load(&args(&decisions, "ab", "decisions", &[])).await;
    assert_eq!((loaded.rows, loaded.decisions, loaded.repeats), (6, 5, 1));
    // Out of their window, of nobody, of no positive size: none of these counts.
    let rewards = place.file(
        "rewards.ndjson",
        r#"{"type":"reward","decision_id":"d-1","at":"2026-01-01T12:00:00Z","reward":3.5}
           {"type":"reward","user":"u1","item":"i1","at":"2026-01-01T12:00:00Z"}
           {"type":"reward","user":"u1","item":"i2","at":"2026-01-02T12:00:00Z","reward":1}
           {"type":"reward","user":"u2","at":"2026-01-01T12:00:00Z","reward":1}
           {"type":"reward","user":"u1","item":"i1","reward_at":"2026-01-02T12:00:00Z","reward":0}
           {"type":"exposure","decision_id":"d-2","at":"2026-01-01T12:00:00Z"}"#,
    );
    let loaded = place.load(&args(&rewards, "ab", "rewards", &[])).await;
    assert_eq!((loaded.rows, loaded.decisions, loaded.events, loaded.refused.count), (6, 0, 6, 0));
    assert_eq!((loaded.before.rewards, loaded.after.rewards), (0, 2));
    let expected = BTreeMap::from([(("all".into(), 0), (2, 1)), (("all".into(), 1), (3, 1))]);
    assert_eq!(place.counts("ab").await, expected);
    // What a source calls by one name is one decision, under whatever name it is loaded.
    let again = place.load(&args(&decisions, "ab", "again", &[])).await;
    assert_eq!((again.decisions, again.repeats), (0, 6));
    assert_eq!(place.counts("ab").await, expected);
    // Rewards may be there first.
    let late = place.file("late.csv", "decision_id,arm,at\nd-3,a,2026-01-01\n");
    let early = place.file("early.csv", "type,decision_id,at\nreward,d-3,2026-01-01\n");
    place.load(&args(&early, "ab", "early", &[])).await;
    let loaded = place.load(&args(&late, "ab", "late", &[])).await;
    assert_eq!(loaded.after.rewards - loaded.before.rewards, 1);
}

#[tokio::test]
async fn days_are_those_of_the_experiment_and_segments_those_of_its_context() {
    let place = Place::new().await;
    let json = r#"{"id":"tokyo","arms":[{"id":"a"},{"id":"b"}],"reward":{"event":"buy","window_hours":1},
        "segment_by":["device"],"sticky":{"by":["user","day"],"time_zone":"Asia/Tokyo"}}"#;
    place.experiment(json).await;
    // 15:00 in UTC is midnight in Tokyo.
    let file = place.file(
        "log.csv",
        "user,item,arm,at,device,reward,reward_at\n\
         u,i,a,2026-01-01T15:30:00Z,mobile,1,2026-01-01T18:00:00Z\n\
         u,j,a,2026-01-01T14:30:00Z,mobile,1,\n\
         u,k,B,2026-01-01T16:30:00Z,,,\n",
    );
    let unmapped = place.run(&args(&file, "tokyo", "log", &[])).await.unwrap_err().to_string();
    assert!(unmapped.contains("say which column it is with --map context.device=COLUMN"), "{unmapped}");
    let summary = place.run(&args(&file, "tokyo", "log", &["context.device=device"])).await.unwrap();
    let text = summary.to_string();
    let loaded = *summary.loaded.unwrap();
    assert_eq!((loaded.decisions, loaded.repeats, loaded.outside_window, loaded.unordered), (2, 1, 1, true));
    assert_eq!(place.counts("tokyo").await, BTreeMap::from([(("device=mobile".into(), 0), (2, 1))]));
    assert!(text.contains("1 rewards do not count: they are outside the 1 hours after their decision"), "{text}");
    assert!(text.contains("rows are not in order of time"), "{text}");
    let why = place.run(&args(&file, "tokyo", "other", &["context.country=device"])).await.unwrap_err();
    assert!(matches!(why, ImportError::NoSegment { .. }), "{why}");

    let made = place.load(&create(&file, "made", "made", &["context.device=device"])).await;
    assert_eq!((made.decisions, made.repeats), (3, 0), "items are part of the key by default");
    let expected = [(("device=".into(), 1), (1, 0)), (("device=mobile".into(), 0), (2, 2))];
    assert_eq!(place.counts("made").await, BTreeMap::from(expected));
}

#[tokio::test]
async fn a_draft_does_not_stay_one() {
    let place = Place::new().await;
    let json = r#"{"id":"draft","arms":[{"id":"a"},{"id":"b"}],"reward":{"event":"buy"}}"#;
    let change = Change { who: "test".into(), why: String::new(), at: now(), request: String::new() };
    place.stores.experiments.create(&serde_json::from_str(json).unwrap(), &change).await.unwrap();
    let file = place.file("log.csv", "arm,at\na,2026-01-01\n");
    let summary = place.run(&args(&file, "draft", "log", &[])).await.unwrap();
    assert_eq!(summary.paused, Some(Created::Draft));
    assert!(
        summary
            .to_string()
            .ends_with("was a draft. It is paused: nobody is dealt an arm of it until its owner starts it")
    );
    assert_eq!(place.stores.experiments.get("draft").await.unwrap().unwrap().status, Status::Paused);
}

#[tokio::test]
async fn what_cannot_be_done_is_said_in_one_line() {
    let place = Place::new().await;
    place.ab().await;
    let file = place.file("log.csv", "when,arm,arm2,x,x\n2026-01-01,a,A B,1,2\n");
    let packed = place.file("log.csv.gz", "");
    let many: String = (0..101).fold("at,arm\n".into(), |text, i| text + &format!("2026-01-01,{i}\n"));
    let many = place.file("many.csv", many);
    let one = place.file("one.csv", "at,arm\n2026-01-01,a\n");
    let missing = place.dir.path().join("missing.csv");
    let map = |map: &[&str]| args(&file, "ab", "log", map);
    for (args, expected) in [
        (map(&["at"]), "--map at: must be FIELD=COLUMN, as arm=item_id"),
        (
            map(&["who=when"]),
            "--map who=…: there is no field 'who'; there are user, item, arm, at, reward, reward_at, propensity, \
             decision_id, type and context.NAME",
        ),
        (map(&["at=when", "at=x"]), "--map at=…: is given twice"),
        (map(&["at=time"]), "--map at=time: there is no column 'time'; there are when, arm, arm2, x, x"),
        (map(&[]), "no column holds 'at': say which does with --map at=COLUMN; there are when, arm, arm2, x, x"),
        (map(&["at=when", "reward=x"]), "the column 'x' of 'reward' is there more than once: rename one"),
        (
            ImportArgs { reward_event: Some("click".into()), ..map(&["at=when"]) },
            "--reward-event click: the experiment counts 'buy': leave the option out, or change the experiment",
        ),
        (ImportArgs { name: String::new(), ..map(&[]) }, "--name: must not be empty"),
        (
            args(&file, "none", "log", &[]),
            "experiment 'none' does not exist: create it first, or let --create make it from the arms in the log",
        ),
        (
            create(&file, "none", "log", &["at=when", "arm=arm2"]),
            "line 2: arm: 'A B' cannot be an arm's id, which must be 1 to 64 of a-z, 0-9, _ and -, and start with a \
             letter or digit: create the experiment with arms of your own and rename them in the log",
        ),
        (
            create(&many, "none", "log", &[]),
            "column 'arm' has more than 100 different values, as 0, 1, 10, 11, 12: is it the arm?",
        ),
        (
            create(&one, "none", "log", &[]),
            "experiment 'none' cannot be made from the log: arms: must have 2 to 100 arms, has 1",
        ),
    ] {
        assert_eq!(place.run(&args).await.unwrap_err().to_string(), expected);
    }
    for (args, expected) in [
        (args(&packed, "ab", "log", &[]), "log.csv.gz: cannot be read: unexpected end of file"),
        (args(&missing, "ab", "log", &[]), "missing.csv: cannot be read: No such file or directory (os error 2)"),
        (ImportArgs { format: Some(Format::Parquet), ..map(&[]) }, "log.csv: is not Parquet, or damaged:"),
    ] {
        let error = place.run(&args).await.unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    }
}

/// A whole and sound Parquet file, to damage.
fn sound_parquet() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sound.parquet");
    write_obd(&path, &[["2026-01-01T00:00:00Z", "0", "1", "0.5"], ["2026-01-01T01:00:00Z", "1", "0", "0.5"]]);
    std::fs::read(path).unwrap()
}

/// Bytes that are anything, or nearly a log.
fn hostile() -> impl Strategy<Value = (Format, Vec<u8>)> {
    let anything = proptest::collection::vec(any::<u8>(), 0..300);
    let format = prop_oneof![Just(Format::Csv), Just(Format::Ndjson), Just(Format::Parquet)];
    let cell = prop_oneof![
        "[ab]",
        "2026-0[1-9]-01",
        "[ -~]{0,6}",
        "\\PC{0,3}",
        Just("\"".to_owned()),
        Just("\r\n".to_owned())
    ];
    let csv = proptest::collection::vec(proptest::collection::vec(cell, 0..5), 0..20).prop_map(|rows| {
        let lines: Vec<String> = rows.iter().map(|cells| cells.join(",")).collect();
        format!("arm,at,reward,user\na,2026-01-01,,\nb,2026-01-01,,\n{}", lines.join("\n")).into_bytes()
    });
    let json = r#"\{"arm":("[ab]"|1|\[\[|null),"at":("2026-01-01"|[0-9]{1,19}|\{"a":1),("reward":[0-9.e-]{1,4})?\}?"#;
    let ndjson = proptest::collection::vec(json, 0..20).prop_map(|lines| lines.join("\n").into_bytes());
    let sound = sound_parquet();
    let flips = proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6);
    let parquet = flips.prop_map(move |flips| {
        let mut bytes = sound.clone();
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    });
    prop_oneof![
        (format, anything),
        csv.prop_map(|bytes| (Format::Csv, bytes)),
        ndjson.prop_map(|bytes| (Format::Ndjson, bytes)),
        parquet.prop_map(|bytes| (Format::Parquet, bytes)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hostile_files_never_panic_and_are_never_half_loaded((format, bytes) in hostile(), strict: bool) {
        // One database for all cases: each has its experiment.
        static CASES: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        static RUNTIME: std::sync::LazyLock<(tokio::runtime::Runtime, Place)> = std::sync::LazyLock::new(|| {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let place = runtime.block_on(Place::new());
            (runtime, place)
        });
        let (runtime, place) = &*RUNTIME;
        let case = CASES.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let id = format!("case-{case}");
        let file = place.file("hostile", &bytes);
        let map: &[&str] = if format == Format::Parquet { &OBD } else { &[] };
        let args = ImportArgs { format: Some(format), strict, ..create(&file, &id, &id, map) };
        runtime.block_on(async {
            let result = place.run(&args).await;
            let record = place.stores.experiments.get(&id).await.unwrap();
            let trials: u64 = place.outcomes(&id).await.iter().map(|o| o.trials).sum();
            match result {
                Err(e) => {
                    prop_assert!(!e.to_string().contains('\n'), "{e}");
                    prop_assert!(record.is_none());
                    prop_assert_eq!(trials, 0);
                }
                Ok(summary) => {
                    let loaded = summary.loaded.unwrap();
                    prop_assert_eq!(record.map(|r| r.status), Some(Status::Paused));
                    prop_assert_eq!(trials, loaded.decisions);
                    prop_assert!(!strict || loaded.refused.count == 0);
                }
            }
            Ok(())
        })?;
    }
}
