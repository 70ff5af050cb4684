//! An endpoint on loopback, as it should be and as it should not.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Response};
use axum::routing::post;
use embed::{EmbedError, Embedder, Endpoint, EndpointSettings};
use serde_json::{Value, json};
use std::future::pending;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

const KEY: &str = "sk-very-secret";

/// What a call said.
#[derive(Clone)]
struct Said {
    headers: HeaderMap,
    body: Value,
}

type Answer = Response<Body>;
type Headers = &'static [(&'static str, &'static str)];

fn settings(url: &str) -> EndpointSettings {
    EndpointSettings { key: Some(KEY.into()), timeout: Duration::from_secs(20), ..EndpointSettings::new(url) }
}

/// A service that answers with `answer`, and what it was asked.
async fn serve(answer: impl Fn(&Said) -> Answer + Clone + Send + Sync + 'static) -> (String, Arc<Mutex<Vec<Said>>>) {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&calls);
    let handler = async move |headers: HeaderMap, body: Bytes| {
        let said = Said { headers, body: serde_json::from_slice(&body).unwrap() };
        noted.lock().unwrap().push(said.clone());
        answer(&said)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, Router::new().route("/v1/embeddings", post(handler))).into_future());
    (url, calls)
}

/// Vectors of 3 numbers, last first: the text's length is the second number.
fn good(said: &Said) -> Answer {
    let texts = said.body["input"].as_array().unwrap().iter().enumerate();
    let mut data: Vec<Value> = texts
        .map(|(i, t)| json!({"object": "embedding", "index": i, "embedding": [1.0, t.as_str().unwrap().len(), 0.25]}))
        .collect();
    data.reverse();
    Answer::new(json!({"object": "list", "data": data, "model": "m", "usage": {"total_tokens": 1}}).to_string().into())
}

fn status(code: u16, headers: &[(&str, &str)], body: &str) -> Answer {
    let answer =
        headers.iter().fold(Response::builder().status(code), |answer, (name, value)| answer.header(*name, *value));
    answer.body(body.to_owned().into()).unwrap()
}

async fn ask(answer: impl Fn(&Said) -> Answer + Clone + Send + Sync + 'static) -> Result<Vec<Vec<f32>>, EmbedError> {
    let (url, _) = serve(answer).await;
    Endpoint::new(&settings(&url), "m", Some(3)).unwrap().embed(&["a", "bc"]).await
}

#[tokio::test]
async fn vectors_come_in_the_order_of_texts() {
    let (url, calls) = serve(good).await;
    let endpoint = Endpoint::new(&settings(&url), "some-model", Some(3)).unwrap();
    let texts: Vec<String> = (1..=300).map(|n| "x".repeat(n)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let vectors = endpoint.embed(&texts).await.unwrap();
    assert!(vectors.iter().zip(1_u16..).all(|(v, n)| *v == [1.0, f32::from(n), 0.25]) && vectors.len() == 300);
    let asking = EndpointSettings { ask_dimension: true, key: None, ..settings(&url) };
    Endpoint::new(&asking, "m", Some(3)).unwrap().embed(&["a"]).await.unwrap();
    let calls = calls.lock().unwrap();
    let counts: Vec<usize> = calls.iter().map(|call| call.body["input"].as_array().unwrap().len()).collect();
    assert_eq!(counts, [128, 128, 44, 1]);
    assert_eq!((&calls[0].body["model"], calls[0].body.get("dimensions")), (&json!("some-model"), None));
    assert_eq!(calls[0].headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!((&calls[3].body["dimensions"], calls[3].headers.get("authorization")), (&json!(3), None));
}

/// Half a minute, by two dates.
const DATES: [(&str, &str); 2] =
    [("retry-after", "Sun, 22 Nov 2026 10:00:30 GMT"), ("date", "Sun, 22 Nov 2026 10:00:00 GMT")];

#[tokio::test]
async fn a_service_that_is_busy_or_away_is_asked_later() {
    let cases: [(u16, Headers, Option<u64>); 9] = [
        (429, &[("retry-after", "7")], Some(7)),
        (429, &[], None),
        (500, &[], None),
        (503, &DATES, Some(30)),
        (503, &[("retry-after", "soon")], None),
        (502, &[("retry-after", "99999999")], Some(86_400)),
        (401, &[], None),
        (404, &[], None),
        (302, &[("location", "http://127.0.0.1:9/")], None),
    ];
    for (code, headers, wait) in cases {
        let found = ask(move |_| status(code, headers, "internals")).await;
        let Err(EmbedError::Later { why, after }) = found else { panic!("{code}: {found:?}") };
        assert_eq!(after.map(|wait| wait.as_secs()), wait, "{code}");
        assert!(why.contains(&code.to_string()) && !why.contains("internals") && !why.contains('\n'), "{why}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_texts_is_refused() {
    let message = |said: &str| json!({"error": {"message": said}}).to_string();
    let long = message(&format!("text 2\nis too long {}", "!".repeat(1_000)));
    let echo = message(&format!("bad key {KEY}"));
    for (code, body, why) in [(400, long, Some("text 2 is too long")), (422, echo, None), (413, "<html>".into(), None)]
    {
        let found = ask(move |_| status(code, &[], &body)).await;
        let Err(EmbedError::Refused { why: said }) = found else { panic!("{code}: {found:?}") };
        assert!(why.is_none_or(|why| said.contains(why)) && said.len() < 400 && !said.contains(KEY), "{said}");
    }
}

#[tokio::test]
async fn a_wrong_answer_gives_no_vector() {
    let answers: [fn(&Said) -> Answer; 4] = [
        |_| status(200, &[], r#"{"data":[{"index":0,"embedding":[1,2,3]}]}"#),
        |_| status(200, &[], r#"{"data":[{"index":0,"embedding":[1,2]},{"index":1,"embedding":[1,2]}]}"#),
        |_| status(200, &[], r#"{"data":[{"index":0,"embedding":[1,NaN,3]},{"index":1,"embedding":[1,2,3]}]}"#),
        |_| status(200, &[], &" ".repeat(1 << 20)),
    ];
    for answer in answers {
        let found = ask(answer).await;
        assert!(matches!(found, Err(EmbedError::Refused { .. })), "{found:?}");
    }
}

#[tokio::test]
async fn a_slow_service_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let handler = async || pending::<()>().await;
    tokio::spawn(axum::serve(listener, Router::new().route("/v1/embeddings", post(handler))).into_future());
    let hasty = EndpointSettings { timeout: Duration::from_millis(50), ..settings(&url) };
    let found = Endpoint::new(&hasty, "m", Some(3)).unwrap().embed(&["a"]).await;
    let Err(EmbedError::Later { why, .. }) = found else { panic!("{found:?}") };
    assert!(why.contains("did not answer in time"), "{why}");
}

/// Closes `drops` connections without an answer, then answers one.
async fn drops(drops: usize) -> Result<Vec<Vec<f32>>, EmbedError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for call in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let mut bytes = vec![0; 4_096];
            // Once its beginning has come, the request is on its way.
            loop {
                stream.readable().await.unwrap();
                match stream.try_read(&mut bytes) {
                    Ok(n) => break assert!(n > 0),
                    Err(e) => assert_eq!(e.kind(), ErrorKind::WouldBlock),
                }
            }
            if call >= drops {
                let body = r#"{"data":[{"index":0,"embedding":[1,2,3]}]}"#;
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                stream.writable().await.unwrap();
                assert_eq!(stream.try_write(answer.as_bytes()).unwrap(), answer.len());
                pending::<()>().await;
            }
        }
    });
    Endpoint::new(&settings(&url), "m", Some(3)).unwrap().embed(&["a"]).await
}

#[tokio::test]
async fn a_call_whose_connection_broke_is_made_once_more() {
    assert_eq!(drops(1).await, Ok(vec![vec![1.0, 2.0, 3.0]]));
    assert!(matches!(drops(2).await, Err(EmbedError::Later { .. })));
}

#[tokio::test]
async fn a_key_is_not_shown_and_addresses_are_checked() {
    let debug = format!("{:?}", settings("https://u:sk-in-address@host/v1"));
    assert!(!debug.contains("secret") && !debug.contains("sk-in"), "{debug}");
    for url in ["", "host/v1", "ftp://host/v1", "http://u:sk-x@host/v1", "http://host/v1?key=sk-x", "http:///"] {
        let said = Endpoint::new(&settings(url), "m", Some(3)).err().expect(url).to_string();
        assert!(said.contains("its address") && !said.contains("sk-x"), "{url}: {said}");
    }
    let secure = Endpoint::new(&settings("https://host/v1"), "m", Some(3)).err().map(|e| e.to_string());
    assert_eq!(secure.is_none(), cfg!(feature = "cloud"), "{secure:?}");
    let bad = EndpointSettings { key: Some("sk-x\r\nhost: y".into()), ..settings("http://host") };
    assert!(!Endpoint::new(&bad, "m", Some(3)).err().unwrap().to_string().contains("sk-x"));
}
