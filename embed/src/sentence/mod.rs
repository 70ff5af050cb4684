//! Vectors of texts by an encoder.

mod config;
mod encoder;
mod layer;

use crate::folder::Folder;
use crate::numbers::normalise;
use crate::tensors::{self, WEIGHTS};
use crate::threads::Model;
use crate::tokens::Tokenizer;
use crate::{EmbedError, ModelError};
use config::{Config, Pooling};
use encoder::Encoder;
use std::path::Path;

const KIND: &str = "sentence";
/// Tokens that are computed at once, unless one text has more: enough for matrix products to be worth it, and few enough for
/// what is between them to stay in a core's cache.
const TOKENS: usize = 512;

/// An encoder of the BERT type (<https://arxiv.org/abs/1810.04805>) in the layout of Hugging Face's transformers, with the
/// pooling of sentence-transformers (<https://arxiv.org/abs/1908.10084>).
pub struct SentenceModel {
    tokenizer: Tokenizer,
    around: (u32, u32),
    encoder: Encoder,
    config: Config,
    version: String,
}

impl SentenceModel {
    /// Reads `config.json`, `model.safetensors`, `tokenizer.json`, and what sentence-transformers adds if it is there:
    /// `modules.json`, `sentence_bert_config.json` and the pooling's `config.json`. Without these the vector is the mean over
    /// all tokens, at length 1.
    ///
    /// # Errors
    /// When a file is missing or broken, or asks for what is not done here.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let mut folder = Folder::new(folder, KIND);
        let config = Config::read(&mut folder)?;
        let tokenizer = Tokenizer::read(&mut folder)?;
        let (Some(start), Some(end)) = (tokenizer.start, tokenizer.end) else {
            return Err(folder.refuse("tokenizer.json", "has no tokens for the beginning and the end of a text"));
        };
        let largest = tokenizer.tokens.max(start.max(end) as usize + 1);
        if largest > config.bert.vocab_size {
            let why =
                format!("has {largest} tokens, and config.json {}: they are not of one model", config.bert.vocab_size);
            return Err(folder.refuse("tokenizer.json", why));
        }
        let bytes = folder.read(WEIGHTS)?;
        let encoder = tensors::open(&bytes).and_then(|file| Encoder::read(&file, &config.bert));
        let encoder = encoder.map_err(|why| folder.refuse(WEIGHTS, why))?;
        Ok(Self { version: folder.version(KIND), tokenizer, around: (start, end), encoder, config })
    }

    /// A text's tokens as the model reads them: what is too long is cut off.
    #[must_use]
    pub fn tokens(&self, text: &str) -> Vec<u32> {
        let known = |token: &u32| (*token as usize) < self.config.bert.vocab_size;
        let inside = self.tokenizer.tokens(text).into_iter().filter(known).take(self.config.most_tokens - 2);
        std::iter::once(self.around.0).chain(inside).chain([self.around.1]).collect()
    }
}

impl Model for SentenceModel {
    fn version(&self) -> &str {
        &self.version
    }

    fn dimension(&self) -> usize {
        self.config.bert.hidden_size
    }

    fn batch(&self) -> usize {
        64
    }

    fn vectors(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let tokens: Vec<Vec<u32>> = texts.iter().map(|text| self.tokens(text)).collect();
        let mut vectors = Vec::with_capacity(texts.len());
        let mut rest = tokens.as_slice();
        while !rest.is_empty() {
            let mut sum = 0;
            let fit = rest.iter().take_while(|tokens| {
                sum += tokens.len();
                sum <= TOKENS
            });
            let (now, later) = rest.split_at(fit.count().max(1));
            rest = later;
            vectors.extend(self.encoder.states(now).into_iter().map(|states| match self.config.pooling {
                Pooling::First => states.row(0).to_vec(),
                Pooling::Mean => states.mean_axis(ndarray::Axis(0)).unwrap_or_default().to_vec(),
            }));
        }
        for vector in &mut vectors {
            let whole = vector.iter().all(|x| x.is_finite()) && (!self.config.normalise || normalise(vector));
            if !whole {
                return Err(EmbedError::Refused {
                    why: "the model's vector of the text is not finite, or zero".into(),
                });
            }
        }
        Ok(vectors)
    }
}
