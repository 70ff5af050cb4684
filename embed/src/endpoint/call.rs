//! One call of the service.

use super::EndpointSettings;
use crate::{EmbedError, ModelError};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Bytes of an answer for each number: twice what the longest takes that is written with a double's digits.
const BYTES_PER_NUMBER: usize = 48;
/// Bytes beside them.
const MOST_BESIDE: usize = 64 << 10;
/// Characters of a refusal that are passed on.
const MOST_SAID: usize = 200;
/// Longest time that a service may ask to wait.
const MOST_WAIT: Duration = Duration::from_secs(24 * 3_600);

pub(super) struct Call {
    client: Client,
    url: Url,
    key: Option<String>,
    model: String,
    dimension: usize,
    ask_dimension: bool,
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    input: &'a [&'a str],
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<usize>,
}

impl Call {
    pub(super) fn new(
        settings: &EndpointSettings,
        url: Url,
        model: &str,
        dimension: usize,
    ) -> Result<Self, ModelError> {
        choose_cryptography();
        let key = settings.key.clone().filter(|key| !key.is_empty());
        if key.as_ref().is_some_and(|key| !key.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(ModelError::Endpoint("its key must be printable ASCII without spaces".into()));
        }
        let client = Client::builder()
            .timeout(settings.timeout)
            // A key goes to the address that it was set for, and to no other.
            .redirect(Policy::none())
            .build()
            .map_err(|e| ModelError::Endpoint(format!("no client can be made: {}", e.without_url())))?;
        Ok(Self { client, url, key, model: model.to_owned(), dimension, ask_dimension: settings.ask_dimension })
    }

    /// The answer's bytes, if it is one.
    pub(super) async fn send(&self, texts: &[&str]) -> Result<Vec<u8>, EmbedError> {
        match self.once(texts).await {
            // A connection that was kept open may be gone when it is used again, which says nothing of the service.
            Err(e) if !e.is_timeout() => self.once(texts).await,
            done => done,
        }
        .unwrap_or_else(|e| Err(failed(&e)))
    }

    /// The outer error is the connection's.
    async fn once(&self, texts: &[&str]) -> reqwest::Result<Result<Vec<u8>, EmbedError>> {
        let dimensions = self.ask_dimension.then_some(self.dimension);
        let request = Request { model: &self.model, input: texts, dimensions };
        let mut call = self.client.post(self.url.clone()).json(&request);
        if let Some(key) = &self.key {
            call = call.bearer_auth(key);
        }
        let mut answer = call.send().await?;
        if !answer.status().is_success() {
            return Ok(Err(self.refused(answer).await));
        }
        let most = MOST_BESIDE + texts.len() * (self.dimension * BYTES_PER_NUMBER + 256);
        Ok(match read(&mut answer, most).await? {
            Some(bytes) => Ok(bytes),
            None => {
                let why = format!("the embeddings endpoint answered more than {most} bytes for {} texts", texts.len());
                Err(EmbedError::Refused { why })
            }
        })
    }

    async fn refused(&self, mut answer: Response) -> EmbedError {
        let status = answer.status();
        let after = retry_after(answer.headers());
        let why = format!("the embeddings endpoint answered {status}");
        match status {
            // Of these the operator is told, not the texts: once it is set right, they go through.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                EmbedError::Later { why: format!("{why}: it does not take the key"), after }
            }
            StatusCode::NOT_FOUND => {
                EmbedError::Later { why: format!("{why}: it has no such model, or its address is another"), after }
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => EmbedError::Later { why, after },
            _ if status.is_client_error() => {
                let said = read(&mut answer, MOST_BESIDE).await.ok().flatten().and_then(|bytes| self.said(&bytes));
                EmbedError::Refused { why: said.map_or(why.clone(), |said| format!("{why}: {said}")) }
            }
            // Redirections too: they are a matter of the address.
            _ => EmbedError::Later { why, after },
        }
    }

    /// What a refusal says to people, unless it repeats the key.
    fn said(&self, bytes: &[u8]) -> Option<String> {
        #[derive(Deserialize)]
        struct Refusal {
            error: Said,
        }
        #[derive(Deserialize)]
        struct Said {
            message: String,
        }
        let Refusal { error: Said { message } } = serde_json::from_slice(bytes).ok()?;
        if self.key.as_ref().is_some_and(|key| message.contains(key)) {
            return None;
        }
        Some(message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST_SAID).collect())
    }
}

/// The body, unless it is longer than `most` bytes.
async fn read(answer: &mut Response, most: usize) -> reqwest::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if bytes.len() + chunk.len() > most {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes))
}

fn failed(e: &reqwest::Error) -> EmbedError {
    let what = match e {
        _ if e.is_timeout() => "did not answer in time",
        _ if e.is_connect() => "cannot be reached",
        _ => "broke off",
    };
    EmbedError::Later { why: format!("the embeddings endpoint {what}"), after: None }
}

/// Seconds, or a date, which is taken from the answer's own date: no clock needs to agree with the service's.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let wait = text(RETRY_AFTER)?;
    let date = |text: &str| httpdate::parse_http_date(text).ok();
    let wait = match wait.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => date(wait)?.duration_since(date(text(DATE)?)?).unwrap_or_default(),
    };
    Some(wait.min(MOST_WAIT))
}

/// With the clients of the cloud comes more than one provider of cryptography; this process chooses one for all, here unless it
/// has done so before.
fn choose_cryptography() {
    #[cfg(feature = "cloud")]
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another thread may have been faster, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}
