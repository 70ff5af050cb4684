//! A service that makes vectors of texts, as good or bad as the texts ask it to be.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// What it was asked.
pub(crate) struct Endpoint {
    pub(crate) url: String,
    seen: Arc<Seen>,
}

struct Seen {
    delay: Duration,
    /// How often each model was asked for each text.
    texts: Mutex<BTreeMap<(String, String), u64>>,
    /// Calls that are being answered, or were.
    calls: watch::Sender<u64>,
}

/// Numbers in the vectors of a model: the name ends in it.
pub(crate) fn dimension(model: &str) -> usize {
    model.rsplit('-').next().unwrap().parse().unwrap()
}

/// What a model makes of a text: numbers that any other text or model gives others.
pub(crate) fn vector(model: &str, text: &str) -> Vec<f64> {
    let mut state = recommend::text_hash(&format!("{model} {text}"));
    let mut next = || {
        state = state.rotate_left(7).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        f64::from(u16::try_from(state >> 48).unwrap()) / 65_536.0 - 0.5
    };
    (0..dimension(model)).map(|_| next()).collect()
}

/// The cosine between what a model makes of two texts.
pub(crate) fn cosine(model: &str, one: &str, other: &str) -> f64 {
    let (a, b) = (vector(model, one), vector(model, other));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
}

impl Endpoint {
    /// Answers each call after `delay`.
    pub(crate) async fn start(delay: Duration) -> Self {
        let seen = Arc::new(Seen { delay, texts: Mutex::default(), calls: watch::channel(0).0 });
        let router = Router::new().route("/v1/embeddings", post(answer)).with_state(seen.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, seen }
    }

    /// Resolves when `more` further calls have come, the last of which has no answer yet.
    pub(crate) async fn asked(&self, more: u64) {
        let mut calls = self.seen.calls.subscribe();
        let until = *calls.borrow() + more;
        tokio::time::timeout(Duration::from_secs(60), calls.wait_for(|n| *n >= until)).await.unwrap().unwrap();
    }

    /// How often a model was asked for texts that it had been asked for before, and for how many it was asked at all.
    pub(crate) fn repeats(&self, model: &str) -> (u64, u64) {
        let texts = self.seen.texts.lock().unwrap();
        let of = texts.iter().filter(|((m, _), _)| m == model).map(|(_, times)| *times);
        of.fold((0, 0), |(again, all), times| (again + times - 1, all + 1))
    }

    /// How often a model was asked for a text again.
    pub(crate) fn repeats_of(&self, model: &str, text: &str) -> u64 {
        let texts = self.seen.texts.lock().unwrap();
        texts.get(&(model.to_owned(), text.to_owned())).map_or(0, |times| times - 1)
    }
}

async fn answer(State(seen): State<Arc<Seen>>, Json(asked): Json<Value>) -> Response {
    let model = asked["model"].as_str().unwrap().to_owned();
    let texts: Vec<String> = asked["input"].as_array().unwrap().iter().map(|t| t.as_str().unwrap().into()).collect();
    let first = {
        let mut known = seen.texts.lock().unwrap();
        let mut first = false;
        for text in &texts {
            let times = known.entry((model.clone(), text.clone())).or_default();
            first |= *times == 0;
            *times += 1;
        }
        first
    };
    seen.calls.send_modify(|calls| *calls += 1);
    tokio::time::sleep(seen.delay).await;
    let has = |word: &str| texts.iter().any(|text| text.starts_with(word));
    if first && has("hang") {
        return std::future::pending().await;
    }
    if first && has("429") {
        return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")]).into_response();
    }
    if first && has("500") {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    if has("refused") {
        return (StatusCode::BAD_REQUEST, "too odd a text").into_response();
    }
    let row = |(index, text): (usize, &String)| {
        let mut vector: Vec<Value> = vector(&model, text).into_iter().map(Value::from).collect();
        match text.split(' ').next() {
            Some("longer") => vector.push(json!(0.5)),
            Some("nan") => vector[0] = Value::Null,
            _ => {}
        }
        json!({"index": index, "embedding": vector})
    };
    let few = usize::from(has("few"));
    let rows: Vec<Value> = texts.iter().enumerate().skip(few).map(row).collect();
    Json(json!({"object": "list", "model": model, "data": rows})).into_response()
}
