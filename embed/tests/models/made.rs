//! Small models, made for a test.

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};
use std::path::Path;

pub(crate) const STATIC: usize = 8;
pub(crate) const SENTENCE: usize = 16;

/// Special tokens, letters, and letters inside of words.
fn vocabulary() -> Vec<String> {
    let letters = || ('a'..='z').map(String::from);
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"].map(str::to_owned);
    special.into_iter().chain(letters()).chain(letters().map(|c| format!("##{c}"))).collect()
}

fn tokenizer() -> Value {
    let vocabulary: serde_json::Map<_, _> = vocabulary().into_iter().zip((0..).map(Value::from)).collect();
    let added = |(id, content): (usize, &str)| {
        json!({"id": id, "content": content, "special": true, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false})
    };
    let added: Vec<Value> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"].into_iter().enumerate().map(added).collect();
    let special = |id: usize, name: &str| json!({"id": name, "ids": [id], "tokens": [name]});
    let template = |name: &str| json!({"SpecialToken": {"id": name, "type_id": 0}});
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": added,
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null,
                       "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing",
            "single": [template("[CLS]"), {"Sequence": {"id": "A", "type_id": 0}}, template("[SEP]")],
            "pair": [], "special_tokens": {"[CLS]": special(2, "[CLS]"), "[SEP]": special(3, "[SEP]")}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocabulary},
    })
}

/// Tensors of those names and shapes, with numbers that differ.
fn weights(path: &Path, shapes: &[(String, Vec<usize>)]) {
    let mut seed = 1_u32;
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(u16::try_from(seed >> 16).unwrap()) / 65_536.0 - 0.5
    };
    let data: Vec<Vec<u8>> = shapes
        .iter()
        .map(|(_, shape)| (0..shape.iter().product()).flat_map(|_: usize| next().to_le_bytes()).collect())
        .collect();
    let tensors = shapes
        .iter()
        .zip(&data)
        .map(|((name, shape), data)| (name.clone(), TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
    std::fs::write(path, safetensors::serialize(tensors, None).unwrap()).unwrap();
}

/// A static model.
pub(crate) fn static_model(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("tokenizer.json"), tokenizer().to_string()).unwrap();
    weights(&folder.join("model.safetensors"), &[("embeddings".into(), vec![vocabulary().len(), STATIC])]);
}

/// A sentence model of two layers with two heads, for 24 tokens at most.
pub(crate) fn sentence_model(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("tokenizer.json"), tokenizer().to_string()).unwrap();
    let (wide, tokens) = (32, vocabulary().len());
    let config = json!({"model_type": "bert", "hidden_act": "gelu", "hidden_size": SENTENCE, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": wide, "max_position_embeddings": 24, "type_vocab_size": 2,
        "vocab_size": tokens, "layer_norm_eps": 1e-12});
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let mut shapes: Vec<(String, Vec<usize>)> = Vec::new();
    for (name, rows) in [("word", tokens), ("position", 24), ("token_type", 2)] {
        shapes.push((format!("embeddings.{name}_embeddings.weight"), vec![rows, SENTENCE]));
    }
    let mut both = |name: String, weight: Vec<usize>| {
        shapes.push((format!("{name}.bias"), vec![weight[0]]));
        shapes.push((format!("{name}.weight"), weight));
    };
    both("embeddings.LayerNorm".into(), vec![SENTENCE]);
    for layer in 0..2 {
        let at = |name: &str| format!("encoder.layer.{layer}.{name}");
        for name in ["self.query", "self.key", "self.value", "output.dense"] {
            both(at(&format!("attention.{name}")), vec![SENTENCE, SENTENCE]);
        }
        both(at("attention.output.LayerNorm"), vec![SENTENCE]);
        both(at("intermediate.dense"), vec![wide, SENTENCE]);
        both(at("output.dense"), vec![SENTENCE, wide]);
        both(at("output.LayerNorm"), vec![SENTENCE]);
    }
    weights(&folder.join("model.safetensors"), &shapes);
}
