//! What the files beside the weights say.

use crate::folder::Folder;
use crate::{MAX_DIMENSION, ModelError};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::{Component, Path};

/// How the states of a text's tokens become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pooling {
    /// Their mean.
    Mean,
    /// That of the first, which stands for the text.
    First,
}

pub(super) struct Config {
    pub(super) bert: Bert,
    pub(super) pooling: Pooling,
    pub(super) normalise: bool,
    /// Tokens of a text, those around it included; 3 at least.
    pub(super) most_tokens: usize,
}

/// Of `config.json`.
#[derive(Deserialize)]
pub(super) struct Bert {
    model_type: String,
    #[serde(default = "gelu")]
    hidden_act: String,
    #[serde(default = "absolute")]
    position_embedding_type: String,
    pub(super) hidden_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    pub(super) intermediate_size: usize,
    pub(super) max_position_embeddings: usize,
    pub(super) type_vocab_size: usize,
    pub(super) vocab_size: usize,
    #[serde(default = "epsilon")]
    pub(super) layer_norm_eps: f32,
}

fn gelu() -> String {
    "gelu".into()
}

fn absolute() -> String {
    "absolute".into()
}

fn epsilon() -> f32 {
    1e-12
}

/// Of `modules.json`.
#[derive(Deserialize)]
struct Module {
    #[serde(rename = "type")]
    kind: String,
    path: String,
}

/// Of `sentence_bert_config.json`.
#[derive(Deserialize, Default)]
struct Sentence {
    max_seq_length: Option<usize>,
}

const BERT: &str = "config.json";
const MODULES: &str = "modules.json";
const SENTENCE: &str = "sentence_bert_config.json";

impl Config {
    pub(super) fn read(folder: &mut Folder) -> Result<Self, ModelError> {
        let bert: Bert =
            folder.json(BERT)?.ok_or_else(|| folder.refuse(BERT, "is not there; a model's folder needs it"))?;
        bert.check().map_err(|why| folder.refuse(BERT, why))?;
        let Sentence { max_seq_length } = folder.json(SENTENCE)?.unwrap_or_default();
        let most_tokens = max_seq_length.unwrap_or(usize::MAX).min(bert.max_position_embeddings);
        if most_tokens < 3 {
            return Err(folder.refuse(SENTENCE, "max_seq_length must be 3 at least"));
        }
        let (pooling, normalise) = match folder.json::<Vec<Module>>(MODULES)? {
            Some(modules) => follow(folder, &modules)?,
            None => (Pooling::Mean, true),
        };
        Ok(Self { bert, pooling, normalise, most_tokens })
    }
}

/// What sentence-transformers does after the encoder.
fn follow(folder: &mut Folder, modules: &[Module]) -> Result<(Pooling, bool), ModelError> {
    let (mut pooled, mut normalised) = (None, false);
    for module in modules {
        match module.kind.rsplit('.').next() {
            Some("Transformer") => {}
            Some("Pooling") => {
                let path = Path::new(&module.path);
                if !path.components().all(|part| matches!(part, Component::Normal(_))) {
                    return Err(folder.refuse(MODULES, "a module's path must be a folder inside the model's"));
                }
                let file = path.join(BERT).display().to_string();
                let fields: Option<Map<String, Value>> = folder.json(&file)?;
                let fields = fields.ok_or_else(|| folder.refuse(&file, "is not there, and modules.json names it"))?;
                pooled = Some(pooling(&fields).map_err(|why| folder.refuse(&file, why))?);
            }
            Some("Normalize") => normalised = true,
            _ => {
                let kind: String = module.kind.chars().take(100).collect();
                let why = format!("asks for {kind:?}: only Transformer, Pooling and Normalize are done");
                return Err(folder.refuse(MODULES, why));
            }
        }
    }
    Ok((pooled.ok_or_else(|| folder.refuse(MODULES, "has no Pooling"))?, normalised))
}

/// One mode is named, or marked by a field of its own.
fn pooling(fields: &Map<String, Value>) -> Result<Pooling, String> {
    let marked = fields.iter().filter(|(_, on)| **on == Value::Bool(true)).map(|(name, _)| name.as_str());
    let named = fields.get("pooling_mode").and_then(Value::as_str);
    let modes: Vec<&str> = marked.filter(|name| name.starts_with("pooling_mode_")).chain(named).collect();
    match modes.as_slice() {
        ["pooling_mode_mean_tokens" | "mean"] => Ok(Pooling::Mean),
        ["pooling_mode_cls_token" | "cls"] => Ok(Pooling::First),
        _ => Err("must ask for one kind of pooling, the mean of tokens or the first token".into()),
    }
}

impl Bert {
    fn check(&self) -> Result<(), String> {
        let words = [
            ("model_type", &self.model_type, "bert"),
            ("hidden_act", &self.hidden_act, "gelu"),
            ("position_embedding_type", &self.position_embedding_type, "absolute"),
        ];
        if let Some((name, is, must)) = words.into_iter().find(|(_, is, must)| is != must) {
            return Err(format!("{name} is {:?}: only {must:?} is done", is.chars().take(100).collect::<String>()));
        }
        let sizes = [
            ("hidden_size", self.hidden_size, MAX_DIMENSION),
            ("num_hidden_layers", self.num_hidden_layers, 128),
            ("num_attention_heads", self.num_attention_heads, 256),
            ("intermediate_size", self.intermediate_size, 1 << 16),
            ("max_position_embeddings", self.max_position_embeddings, 1 << 13),
            ("type_vocab_size", self.type_vocab_size, 1 << 10),
            ("vocab_size", self.vocab_size, 1 << 21),
        ];
        if let Some((name, is, most)) = sizes.into_iter().find(|(_, is, most)| !(1..=*most).contains(is)) {
            return Err(format!("{name} is {is}: must be 1 to {most}"));
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err("hidden_size must be a multiple of num_attention_heads".into());
        }
        if !(self.layer_norm_eps > 0.0 && self.layer_norm_eps < 1.0) {
            return Err("layer_norm_eps must be between 0 and 1".into());
        }
        Ok(())
    }
}
