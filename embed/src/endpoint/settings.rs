//! Where the service is, and how it may be used.

use crate::ModelError;
use reqwest::Url;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

/// Where the service is, and how it may be used.
#[derive(Clone)]
pub struct EndpointSettings {
    /// What `/embeddings` is appended to, as `https://api.openai.com/v1`.
    pub url: String,
    /// Sent as a bearer token; never shown.
    pub key: Option<String>,
    /// How long a call may take, its answer included; and how long it may wait for its turn.
    pub timeout: Duration,
    /// Calls in a minute, spread evenly.
    pub calls_per_minute: NonZeroU32,
    /// Whether calls ask for vectors of the dimension, which some models shorten theirs to and others refuse.
    pub ask_dimension: bool,
}

impl EndpointSettings {
    /// With no key, 30 seconds and 3,000 calls a minute, not asking for a dimension.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            key: None,
            timeout: Duration::from_secs(30),
            calls_per_minute: NonZeroU32::MIN.saturating_add(2_999),
            ask_dimension: false,
        }
    }

    /// The address of calls.
    pub(super) fn url(&self) -> Result<Url, ModelError> {
        let refuse = |why: &str| ModelError::Endpoint(why.into());
        // What cannot be read is not shown: there may be a key in it.
        let mut url = Url::parse(&self.url).map_err(|e| refuse(&format!("its address cannot be read: {e}")))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(refuse("its address must begin with https:// or http:// and name a host"));
        }
        if url.scheme() == "https" && !cfg!(feature = "cloud") {
            return Err(refuse("https needs a build with the feature 'cloud', as released binaries are"));
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("its address must end with its path, and hold no name, password or key"));
        }
        let path = format!("{}/embeddings", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(url)
    }
}

impl fmt::Debug for EndpointSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url: _, key, timeout, calls_per_minute, ask_dimension } = self;
        // An address that is refused may hold a key.
        let url = self.url().map_or_else(|e| e.to_string(), String::from);
        f.debug_struct("EndpointSettings")
            .field("url", &url)
            .field("key", &key.as_ref().map(|_| "***"))
            .field("timeout", timeout)
            .field("calls_per_minute", calls_per_minute)
            .field("ask_dimension", ask_dimension)
            .finish()
    }
}
