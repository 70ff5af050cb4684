//! Texts in place of vectors, by a real process that is killed in the middle of a batch and of a change of models.

use crate::endpoint::{Endpoint, cosine};
use crate::support::{Server, setting};
use rand::{RngExt, SeedableRng};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

const QUERY: &str = "what is looked for";

fn text(n: usize) -> String {
    format!("text {n}")
}

fn by(kind: &str, model: &str) -> Value {
    json!({"embedder": {"kind": kind, "model": model}, "diversity": 0})
}

fn start(data: &Path, endpoint: &Endpoint) -> Server {
    Server::start(data, &["--embeddings-url", &endpoint.url, "--embeddings-per-minute", "100000"])
}

/// Puts items whose payloads are their texts.
async fn put(server: &Server, texts: impl Iterator<Item = (String, String)>) {
    let items: Vec<Value> = texts.map(|(id, text)| json!({"id": id, "text": text, "payload": text})).collect();
    let answer = server.expect(Method::PUT, "/v1/catalogs/shop/items", Some(&json!(items)), 200).await;
    assert_eq!(answer, json!({"accepted": items.len(), "rejected": []}));
}

/// The items nearest to a text: every score is that of one of these models, the same for all.
async fn list(server: &Server, models: &[&str]) -> usize {
    let found = server.post("/v1/catalogs/shop/search", &json!({"text": QUERY, "k": 100})).await;
    let items = found["items"].as_array().unwrap();
    let fits = |model: &&&str| {
        items.iter().all(|item| {
            let expected = cosine(model, QUERY, item["payload"].as_str().unwrap());
            (item["score"].as_f64().unwrap() - expected).abs() < 1e-5
        })
    };
    assert!(models.iter().any(|model| fits(&model)), "a list that no model alone makes: {found}");
    items.len()
}

/// Asks until the catalog is as it should be, looking at a list each time.
async fn until(server: &Server, models: &[&str], right: impl Fn(&Value) -> bool) -> Value {
    let wait = async {
        loop {
            list(server, models).await;
            let standing = server.get("/v1/catalogs/shop/vectors").await;
            if right(&standing) {
                return standing;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(120), wait).await.expect("the vectors are not made in time")
}

/// Killed in the middle of batches, of items that come and of a change of models: each item has its vector in the end, no
/// text was sent again that had its vector, and every list is of one model.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_middle_of_a_batch_it_goes_on() {
    // The updater that comes after waits until the lease of the one that was killed runs out.
    let kills = setting("KILLS", 1);
    let endpoint = Endpoint::start(Duration::from_millis(30)).await;
    let dir = tempfile::tempdir().unwrap();
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let mut server = start(dir.path(), &endpoint);
    let (one, other) = ("one-8", "other-12");
    let definition = |model: &str, dimension: usize| {
        let mut definition = by("endpoint", model);
        definition["dimension"] = json!(dimension);
        definition
    };
    server.expect(Method::PUT, "/v1/catalogs/shop", Some(&definition(one, 8)), 201).await;
    let mut count = 0;
    for models in [&[one][..], &[one, other]] {
        if models.len() == 2 {
            server.expect(Method::PUT, "/v1/catalogs/shop", Some(&definition(other, 12)), 200).await;
        }
        for _ in 0..kills {
            put(&server, (count..count + 400).map(|n| (format!("item-{n}"), text(n)))).await;
            count += 400;
            endpoint.asked(rng.random_range(1..4)).await;
            server.kill();
            server = start(dir.path(), &endpoint);
            list(&server, models).await;
        }
        let serving = *models.last().unwrap();
        let standing = until(&server, models, |standing| {
            standing["waiting"] == 0
                && standing["embedded"] == count
                && standing["serving"]["embedder"]["model"] == serving
        })
        .await;
        assert_eq!((&standing["set_aside"], &standing["changing"]), (&json!(0), &json!(false)));
        assert_eq!(list(&server, &[serving]).await, 100);
    }
    for model in [one, other] {
        let (again, texts) = endpoint.repeats(model);
        let all = model == one || texts > count as u64;
        // The batches that were cut off, and the searches, which all ask for one text.
        let searches = endpoint.repeats_of(model, QUERY);
        assert!(all && again - searches <= 2 * 256 * kills, "{again} of {texts} texts again by {model}");
    }
    put(&server, (0..count).map(|n| (format!("item-{n}"), text(n)))).await;
    assert_eq!(list(&server, &[other]).await, 100, "what is sent again keeps its vector");
}

/// An endpoint that is overloaded is asked again; what it answers that is no vector of that text is never in a list.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_endpoint_gives_no_wrong_vectors() {
    let endpoint = Endpoint::start(Duration::from_millis(5)).await;
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &endpoint);
    let mut definition = by("endpoint", "model-8");
    let refused = server.expect(Method::PUT, "/v1/catalogs/shop", Some(&definition), 400).await;
    assert!(refused["errors"]["embedder.model"].is_string(), "it does not say how long vectors are: {refused}");
    definition["dimension"] = json!(8);
    server.expect(Method::PUT, "/v1/catalogs/shop", Some(&definition), 201).await;
    let words = ["good", "429", "fine", "500", "longer", "nan", "few", "refused", "well"];
    put(&server, words.iter().map(|word| ((*word).to_owned(), format!("{word} text")))).await;
    let done = |standing: &Value| standing["set_aside"] == 4 && standing["embedded"] == 5;
    let standing = until(&server, &["model-8"], done).await;
    let aside: BTreeSet<&str> =
        standing["aside"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!(aside, ["few", "longer", "nan", "refused"].into());
    assert_eq!(list(&server, &["model-8"]).await, 5);
    let all = server.post("/v1/catalogs/shop/items/retry", &json!({})).await;
    assert_eq!(all, json!({"retried": 4}));
    until(&server, &["model-8"], |standing| standing["set_aside"] == 4).await;
    let one = server.send(Method::POST, "/v1/catalogs/shop/items/retry", Some(&json!({"id": "good"}))).await.unwrap();
    assert_eq!(one.status(), 404, "it was not set aside");
    put(&server, [("nan".to_owned(), "a better text".to_owned())].into_iter()).await;
    until(&server, &["model-8"], |standing| standing["embedded"] == 6 && standing["set_aside"] == 3).await;
    // It never answers: half a minute later it is asked again, and searches do not wait for that.
    put(&server, [("hang".to_owned(), "hang on".to_owned())].into_iter()).await;
    until(&server, &["model-8"], |standing| standing["embedded"] == 7 && standing["waiting"] == 0).await;
    assert_eq!(endpoint.repeats_of("model-8", "hang on"), 1);
    // The same model is said to make longer vectors, which it does not: lists stay as they are.
    definition["dimension"] = json!(12);
    server.expect(Method::PUT, "/v1/catalogs/shop", Some(&definition), 200).await;
    let held = |standing: &Value| standing["trouble"].as_str().is_some_and(|why| why.contains("would lose items"));
    let standing = until(&server, &["model-8"], held).await;
    assert_eq!((&standing["embedded"], &standing["changing"]), (&json!(7), &json!(true)), "{standing}");
    assert_eq!(list(&server, &["model-8"]).await, 7);
}

/// A real model from a folder: what is alike is near, and names that are no model's are told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_model_finds_what_is_alike() {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools");
    if !tools.join("wordllama/model.safetensors").exists() {
        assert!(std::env::var_os("CI").is_none(), "wordllama is not in target/tools: see .ci/services");
        return eprintln!("NOT TESTED: wordllama is not in target/tools, see .ci/services");
    }
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--models", &tools.display().to_string()]);
    let refused = server.expect(Method::PUT, "/v1/catalogs/shop", Some(&by("static", "wordlama")), 400).await;
    assert!(refused["errors"]["embedder.model"].as_str().unwrap().contains("wordllama"), "{refused}");
    let mut wrong = by("static", "wordllama");
    wrong["dimension"] = json!(12);
    let refused = server.expect(Method::PUT, "/v1/catalogs/shop", Some(&wrong), 400).await;
    assert!(refused["errors"]["dimension"].as_str().unwrap().contains("256"), "{refused}");
    let made = server.expect(Method::PUT, "/v1/catalogs/shop", Some(&by("static", "wordllama")), 201).await;
    assert_eq!(made["dimension"], 256);
    let texts =
        ["Leather boots for hiking in the mountains", "A cotton summer dress", "Wireless headphones with a case"];
    put(&server, texts.iter().map(|text| (text.split(' ').next().unwrap().to_owned(), (*text).to_owned()))).await;
    let brought = json!([{"id": "x", "vector": [1.0]}, {"id": "y", "text": " "}, {"id": "z"}]);
    let answer = server.expect(Method::PUT, "/v1/catalogs/shop/items", Some(&brought), 200).await;
    let why: Vec<&str> = answer["rejected"].as_array().unwrap().iter().map(|r| r["detail"].as_str().unwrap()).collect();
    assert!(why[0].starts_with("vector: ") && why[1].starts_with("text: ") && why[2].starts_with("text: "), "{why:?}");
    let wait = async {
        while server.get("/v1/catalogs/shop/vectors").await["embedded"] != 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap();
    for (query, first) in
        [("shoes to walk in", "Leather"), ("music player earphones", "Wireless"), ("a dress for summer", "A")]
    {
        let found = server.post("/v1/catalogs/shop/search", &json!({"text": query})).await;
        assert_eq!(found["items"][0]["id"], first, "{query}: {found}");
    }
}
