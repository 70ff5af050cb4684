//! The vector index beside other engines: the same vectors, one thread each, in turns within one run, CPU time.
//!
//! `cargo bench -p recommend` prints one table. Ratios are those of the medians of five turns. Names given as arguments
//! choose parts: `lists`, `exact`, `approximate`, `blurred`, `sizes`, `million`; `alone` leaves the other engines out.

#![allow(missing_docs, clippy::expect_used, clippy::print_stdout)]

mod data;
mod peers;

use data::{clustered, mixture, write, write_slots};
use peers::Peers;
use recommend::diversity::{Candidate, Variety, choose};
use recommend::index::{Hit, Index};
use recommend::{Candidates, Item, Metric, Wanted};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use std::collections::HashSet;
use std::path::Path;

const TURNS: usize = 5;

/// Deviations within clusters, relative to that of their centres.
const NOISES: [f32; 2] = [0.7, 1.4];

/// CPU seconds of this thread.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = cpu();
    let done = work();
    (cpu() - start, done)
}

fn filled(vectors: &[Vec<f32>]) -> Index {
    let mut index = Index::new(vectors[0].len(), Metric::Cosine);
    for (slot, vector) in (0..).zip(vectors) {
        index.insert(slot, vector);
    }
    index
}

/// Slots of the best of each query.
fn search(index: &Index, queries: &[Vec<f32>], k: usize) -> Vec<Vec<u32>> {
    queries.iter().map(|query| index.search(query, k, |_| true).iter().map(|hit| hit.slot).collect()).collect()
}

fn recall(found: &[Vec<u32>], truth: &[Vec<u32>]) -> f64 {
    let same = |(a, b): (&Vec<u32>, &Vec<u32>)| {
        let b: HashSet<&u32> = b.iter().collect();
        a.iter().filter(|slot| b.contains(slot)).count()
    };
    let all: usize = truth.iter().map(Vec::len).sum();
    found.iter().zip(truth).map(same).sum::<usize>() as f64 / all as f64
}

fn train(index: &mut Index) {
    let mut training = index.begin_training();
    while training.step(index) {}
    drop(index.finish_training(training));
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn row(name: &str, figures: &str) {
    println!("| {name} | {figures} |");
}

/// Turns of ours and of the others; a row each.
fn turns(
    index: &Index,
    queries: &[Vec<f32>],
    k: usize,
    truth: &[Vec<u32>],
    peers: &mut Option<Peers>,
    engines: &[&str],
) {
    let mut ours = Vec::new();
    let mut theirs = vec![Vec::new(); engines.len()];
    let mut recalls = vec![f64::NAN; engines.len()];
    let mut found = Vec::new();
    for _ in 0..TURNS {
        let (seconds, hits) = timed(|| search(index, queries, k));
        ours.push(seconds);
        found = hits;
        for (i, engine) in engines.iter().enumerate() {
            if let Some(peers) = peers {
                let (seconds, recall) = peers.search(engine, k);
                theirs[i].push(seconds);
                recalls[i] = recall;
            }
        }
    }
    let count = queries.len() as f64;
    let ours = median(ours) / count;
    row("ours", &format!("{:.0} µs, {:.0}/s | {:.4} | 1", ours * 1e6, 1.0 / ours, recall(&found, truth)));
    for ((engine, seconds), recall) in engines.iter().zip(theirs).zip(recalls) {
        if seconds.is_empty() {
            continue;
        }
        let seconds = median(seconds) / count;
        row(engine, &format!("{:.0} µs, {:.0}/s | {recall:.4} | {:.2}", seconds * 1e6, 1.0 / seconds, seconds / ours));
    }
}

/// Those of the engines that can be had.
fn built<'a>(peers: &mut Option<Peers>, folder: &Path, dimension: usize, engines: &[&'a str]) -> Vec<&'a str> {
    let Some(peers) = peers else {
        row("others", "not to be had: no Python with the packages of requirements.txt | |");
        return Vec::new();
    };
    peers.ask(&json!({"do": "load", "folder": folder, "dimension": dimension}));
    let mut had = Vec::new();
    for &engine in engines {
        match peers.build(engine) {
            Some(seconds) => {
                row(&format!("{engine}: build"), &format!("{seconds:.1} s | |"));
                had.push(engine);
            }
            None => row(engine, "not to be had: its package is missing | |"),
        }
    }
    had
}

fn head(title: &str) {
    println!(
        "\n### {title}\n\n| | CPU time of a search, searches per CPU second | recall | time ÷ ours |\n|---|---|---|---|"
    );
}

fn exact(peers: &mut Option<Peers>, folder: &Path, count: usize, dimension: usize) {
    head(&format!("exact top 100 of {count} × {dimension}"));
    let (rows, queries) = (clustered(1, count, dimension), clustered(2, 200, dimension));
    let index = filled(&rows);
    let truth = search(&index, &queries, 100);
    write(folder, "rows", &rows);
    write(folder, "queries", &queries);
    write_slots(folder, "truth", truth.iter().flatten().copied());
    let engines = built(peers, folder, dimension, &["numpy", "faiss Flat", "faiss SQ8"]);
    turns(&index, &queries, 100, &truth, peers, &engines);
}

fn approximate(peers: &mut Option<Peers>, folder: &Path) {
    approximate_on(peers, folder, NOISES[0], &["hnswlib", "usearch", "faiss HNSW"]);
}

/// Hardly clusters any more: the best of a query are of many.
fn blurred(peers: &mut Option<Peers>, folder: &Path) {
    approximate_on(peers, folder, NOISES[1], &["hnswlib"]);
}

fn approximate_on(peers: &mut Option<Peers>, folder: &Path, noise: f32, engines: &[&str]) {
    let (count, dimension, k) = (180_000, 128, 10);
    head(&format!("approximate top 10 of {count} × {dimension}, noise {noise}"));
    let (rows, queries) = (mixture(1, count, dimension, noise), mixture(2, 2_000, dimension, noise));
    let (filling, mut index) = timed(|| filled(&rows));
    let truth = search(&index, &queries, k);
    let (training, ()) = timed(|| train(&mut index));
    row("ours: build", &format!("{:.1} s: fill {filling:.1}, train {training:.1} | |", filling + training));
    write(folder, "rows", &rows);
    write(folder, "queries", &queries);
    write_slots(folder, "truth", truth.iter().flatten().copied());
    let engines = built(peers, folder, dimension, engines);
    for engine in &engines {
        if let Some(peers) = peers {
            let answer = peers.ask(&json!({"do": "widen", "engine": engine, "k": k, "recall": 0.99}));
            row(&format!("{engine}: width of a search"), &format!("{} | |", answer["width"]));
        }
    }
    turns(&index, &queries, k, &truth, peers, &engines);

    head("the same after half were replaced");
    let new = mixture(3, count / 2, dimension, noise);
    let gone: Vec<u32> = (0..count as u32).filter(|slot| slot % 2 == 0).collect();
    let before = index.memory().total();
    let (removing, ()) = timed(|| gone.iter().for_each(|slot| assert!(index.remove(*slot))));
    let (inserting, ()) = timed(|| (count as u32..).zip(&new).for_each(|(slot, vector)| index.insert(slot, vector)));
    let each = |seconds: f64| seconds * 1e6 / gone.len() as f64;
    let figures = format!("{:.1} µs a removal, {:.1} µs an insertion | |", each(removing), each(inserting));
    row("ours: replace", &figures);
    row("ours: memory", &format!("{} → {} bytes | |", before, index.memory().total()));
    let mut plain = Index::new(dimension, Metric::Cosine);
    (0..).zip(&rows).filter(|(slot, _)| slot % 2 == 1).for_each(|(slot, vector)| plain.insert(slot, vector));
    (count as u32..).zip(&new).for_each(|(slot, vector)| plain.insert(slot, vector));
    let truth = search(&plain, &queries, k);
    write(folder, "new", &new);
    write_slots(folder, "gone", gone.iter().copied());
    write_slots(folder, "truth", truth.iter().flatten().copied());
    for engine in &engines {
        if let Some(peers) = peers {
            let answer = peers.ask(&json!({"do": "replace", "engine": engine, "dimension": dimension}));
            let each =
                answer["cpu"].as_f64().map_or("takes none out".into(), |s| format!("{:.0} µs for both", each(s)));
            row(&format!("{engine}: replace"), &format!("{each} | |"));
        }
    }
    let engines: Vec<&str> = engines.into_iter().filter(|engine| *engine != "faiss HNSW").collect();
    turns(&index, &queries, k, &truth, peers, &engines);
}

fn million() {
    let (count, dimension, k) = (1_000_000, 128, 10);
    head(&format!("top 10 of {count} × {dimension}"));
    let (rows, queries) = (clustered(1, count, dimension), clustered(2, 1_000, dimension));
    let (filling, mut index) = timed(|| filled(&rows));
    let truth = search(&index, &queries, k);
    let (beginning, mut training) = timed(|| index.begin_training());
    let mut steps = Vec::new();
    loop {
        let (seconds, more) = timed(|| training.step(&index));
        steps.push(seconds);
        if !more {
            break;
        }
    }
    let (ending, old) = timed(|| index.finish_training(training));
    drop(old);
    let trained = beginning + ending + steps.iter().sum::<f64>();
    row("ours: build", &format!("{:.1} s: fill {filling:.1}, train {trained:.1} | |", filling + trained));
    steps.sort_by(f64::total_cmp);
    let (count_of, middle, last) = (steps.len(), steps[steps.len() / 2] * 1e3, steps[steps.len() - 1] * 1e3);
    let figures = format!("{count_of} of {middle:.1} ms, the longest {last:.1} ms | |");
    row("ours: steps of training", &figures);
    row("ours: begin and finish", &format!("{:.0} µs, {:.0} µs | |", beginning * 1e6, ending * 1e6));
    let mut times = Vec::new();
    let mut found = Vec::new();
    for _ in 0..TURNS {
        found.clear();
        for query in &queries {
            let (seconds, hits) = timed(|| search(&index, std::slice::from_ref(query), k));
            times.push(seconds * 1e6);
            found.extend(hits);
        }
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let mean = times.iter().sum::<f64>() / times.len() as f64;
    let figures =
        format!("mean {mean:.0}, p50 {:.0}, p99 {:.0} µs | {:.4} |", at(0.5), at(0.99), recall(&found, &truth));
    row("ours", &figures);
    row("ours: memory", &format!("{:.1} bytes a vector | |", index.memory().total() as f64 / count as f64));
    let (layout, placed) = (index.layout().cloned().expect("it was trained"), index.placements(0, usize::MAX).lists);
    drop(index);
    let (loading, loaded) = timed(|| {
        let mut index = Index::with_layout(dimension, Metric::Cosine, layout).expect("of this dimension");
        placed.iter().for_each(|(slot, list)| index.insert_at(*slot, &rows[*slot as usize], *list));
        index
    });
    let same = recall(&search(&loaded, &queries, k), &found[..queries.len()]);
    row("ours: load", &format!("{loading:.2} s, finds the same: {same:.4} | |"));
}

/// Where lists begin to pay: searches of both kinds by size.
fn sizes() {
    head("where lists begin to pay, top 10");
    for dimension in [64, 128, 512] {
        for count in [2_500, 5_000, 10_000, 20_000, 40_000] {
            let (rows, queries) = (clustered(1, count, dimension), clustered(2, 500, dimension));
            let mut index = filled(&rows);
            let times =
                |index: &Index| median((0..TURNS).map(|_| timed(|| search(index, &queries, 10)).0 * 2e3).collect());
            let (truth, whole) = (search(&index, &queries, 10), times(&index));
            train(&mut index);
            let (lists, recall) = (times(&index), recall(&search(&index, &queries, 10), &truth));
            row(
                &format!("{count} × {dimension}"),
                &format!("{whole:.0} µs whole, {lists:.0} µs by lists | {recall:.4} | |"),
            );
        }
    }
}

/// What a list takes beside the search: choosing 20 of the nearest 200, and all of it, from a history of 20 on.
fn lists() {
    const QUERIES: usize = 500;
    head("lists of 20");
    for (count, dimension) in [(10_000, 256), (10_000, 512)] {
        let (vectors, queries) = (clustered(1, count, dimension), clustered(2, QUERIES, dimension));
        let index = filled(&vectors);
        let pools: Vec<Vec<Hit>> = queries.iter().map(|query| index.search(query, 200, |_| true)).collect();
        let candidates: Vec<Vec<Candidate<'_>>> = pools
            .iter()
            .map(|pool| {
                let candidate = |hit: &Hit| {
                    let vector = &vectors[hit.slot as usize];
                    Candidate { score: hit.score, vector, scale: 1.0, tags: &[] }
                };
                pool.iter().map(candidate).collect()
            })
            .collect();
        for diversity in [0.0, 0.3] {
            let variety = Variety::new(diversity);
            let seconds =
                (0..TURNS).map(|_| timed(|| candidates.iter().map(|c| choose(c, 20, &variety).len()).sum::<usize>()).0);
            let seconds = median(seconds.collect()) / QUERIES as f64;
            row(&format!("20 of 200 × {dimension}, diversity {diversity}"), &format!("{:.0} µs | |", seconds * 1e6));
        }
        let definition = serde_json::from_value(json!({"dimension": dimension})).expect("a definition");
        let live = Candidates::new(definition);
        let now = jiff::Timestamp::UNIX_EPOCH;
        for (n, vector) in vectors.iter().enumerate() {
            let item = json!({"id": n.to_string(), "vector": [], "tags": [format!("tag-{}", n % 50)]});
            let item: Item = serde_json::from_value(item).expect("an item");
            live.put(&Item { vector: vector.clone(), ..item }, now);
        }
        let seen: Vec<Vec<String>> =
            (0..QUERIES).map(|q| (0..20).map(|n| (q * 20 + n).to_string()).collect()).collect();
        let list = |seen: &Vec<String>| {
            let seen: Vec<(&str, f64)> = seen.iter().map(|id| (id.as_str(), 60.0)).collect();
            let wanted =
                Wanted { k: 20, diversity: None, max_per_tag: Some(4), tags: &[], exclude: &[], alike: false, now };
            live.for_visitor(&seen, &wanted).items.len()
        };
        let seconds = (0..TURNS).map(|_| timed(|| seen.iter().map(list).sum::<usize>()).0).collect();
        let seconds = median(seconds) / QUERIES as f64;
        row(&format!("history to list, {count} × {dimension}"), &format!("{:.0} µs | |", seconds * 1e6));
    }
}

fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    let wants = |name: &str| chosen.iter().all(|name| name == "alone") || chosen.iter().any(|chosen| chosen == name);
    let folder = tempfile::tempdir().expect("a scratch directory can be made");
    let mut peers = if chosen.iter().any(|name| name == "alone") { None } else { Peers::start() };
    if wants("lists") {
        lists();
    }
    if wants("exact") {
        exact(&mut peers, folder.path(), 10_000, 512);
        exact(&mut peers, folder.path(), 100_000, 256);
    }
    if wants("approximate") {
        approximate(&mut peers, folder.path());
    }
    if wants("blurred") {
        blurred(&mut peers, folder.path());
    }
    if wants("sizes") {
        sizes();
    }
    if wants("million") {
        million();
    }
}
