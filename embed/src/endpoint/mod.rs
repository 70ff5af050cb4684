//! Vectors from a service with the embeddings interface of `OpenAI`,
//! <https://platform.openai.com/docs/api-reference/embeddings>.

mod answer;
mod call;
mod rate;
mod settings;

pub(crate) use answer::vectors;
pub use settings::EndpointSettings;

use crate::{EmbedError, Embedder, MAX_DIMENSION, ModelError};
use async_trait::async_trait;
use call::Call;
use rate::Rate;

/// Most texts of a call, and bytes of them. The service's own bounds are above: 2,048 texts and 300,000 tokens.
const MOST_TEXTS: usize = 128;
const MOST_BYTES: usize = 256 << 10;

/// A model behind `POST {url}/embeddings`.
pub struct Endpoint {
    call: Call,
    rate: Rate,
    dimension: usize,
    version: String,
}

impl Endpoint {
    /// The service's model of that name, whose vectors have `dimension` numbers. Nothing is sent yet.
    ///
    /// # Errors
    /// When the settings cannot be used, or there is no dimension, or none that can be.
    pub fn new(settings: &EndpointSettings, model: &str, dimension: Option<usize>) -> Result<Self, ModelError> {
        if model.is_empty() || model.len() > 256 || model.chars().any(char::is_control) {
            return Err(ModelError::Endpoint("a model's name has 1 to 256 bytes and no control characters".into()));
        }
        let dimension = dimension.filter(|d| (1..=MAX_DIMENSION).contains(d));
        let dimension = dimension.ok_or_else(|| ModelError::NoDimension(model.to_owned()))?;
        let url = settings.url()?;
        let host = url.host_str().unwrap_or_default();
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let version = format!("endpoint:{host}{port}:{model}:{dimension}");
        let call = Call::new(settings, url, model, dimension)?;
        Ok(Self { call, rate: Rate::new(settings.calls_per_minute, settings.timeout), dimension, version })
    }
}

/// The texts of each call: as many as it takes.
fn calls<'a, 'b>(texts: &'a [&'b str]) -> Vec<&'a [&'b str]> {
    let (mut calls, mut rest) = (Vec::new(), texts);
    while !rest.is_empty() {
        let mut bytes = 0;
        let fit = rest.iter().take(MOST_TEXTS).take_while(|text| {
            bytes += text.len();
            bytes <= MOST_BYTES
        });
        // A text that is too long by itself goes alone: the service says so better than a bound here.
        let (call, behind) = rest.split_at(fit.count().max(1));
        calls.push(call);
        rest = behind;
    }
    calls
}

#[async_trait]
impl Embedder for Endpoint {
    fn version(&self) -> &str {
        &self.version
    }

    fn dimension(&self) -> usize {
        self.dimension
    }

    fn batch(&self) -> usize {
        MOST_TEXTS
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut vectors = Vec::with_capacity(texts.len());
        for texts in calls(texts) {
            self.rate.wait().await?;
            let answer = self.call.send(texts).await?;
            vectors.extend(answer::vectors(&answer, texts.len(), self.dimension)?);
        }
        Ok(vectors)
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_BYTES, MOST_TEXTS, calls};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn calls_are_bounded_and_leave_no_text_out(lengths in proptest::collection::vec(0..100_000_usize, 0..300)) {
            let texts: Vec<String> = lengths.iter().map(|n| "x".repeat(*n)).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let calls = calls(&texts);
            prop_assert_eq!(&calls.concat(), &texts);
            for call in calls {
                prop_assert!(call.len() <= MOST_TEXTS);
                prop_assert!(call.len() == 1 || call.iter().map(|t| t.len()).sum::<usize>() <= MOST_BYTES);
            }
        }
    }
}
