//! Folders with broken models: an error that names the file, never a panic.

use crate::made;
use embed::{Model, ModelError, SentenceModel, StaticModel};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Opens the model and uses it; what it says of the text does not matter.
fn open(folder: &Path, sentence: bool) -> Result<(), ModelError> {
    let text = ["two words".to_owned()];
    if sentence {
        SentenceModel::open(folder).map(|model| drop(model.vectors(&text)))
    } else {
        StaticModel::open(folder).map(|model| drop(model.vectors(&text)))
    }
}

fn whole(sentence: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    if sentence {
        made::sentence_model(folder.path())
    } else {
        made::static_model(folder.path())
    }
    open(folder.path(), sentence).unwrap();
    folder
}

fn files() -> impl Strategy<Value = (bool, &'static str)> {
    prop_oneof![
        Just((false, "model.safetensors")),
        Just((false, "tokenizer.json")),
        Just((true, "model.safetensors")),
        Just((true, "config.json")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_file_that_is_cut_off_is_named((sentence, name) in files(), share in 0.0..1.0_f64) {
        let folder = whole(sentence);
        let path = folder.path().join(name);
        let bytes = fs::read(&path).unwrap();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let cut = (bytes.len() as f64 * share) as usize;
        fs::write(&path, &bytes[..cut]).unwrap();
        let Err(ModelError::File { path: named, why }) = open(folder.path(), sentence) else { panic!("cut at {cut}") };
        prop_assert_eq!(named, path);
        prop_assert!(!why.contains('\n'), "{}", why);
    }

    #[test]
    fn a_file_with_another_byte_ends_nothing((sentence, name) in files(), place in any::<prop::sample::Index>(), byte: u8) {
        let folder = whole(sentence);
        let path = folder.path().join(name);
        let mut bytes = fs::read(&path).unwrap();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        fs::write(&path, bytes).unwrap();
        let _ = open(folder.path(), sentence);
    }
}

/// What opening says after `change` to a JSON file.
fn after(sentence: bool, file: &str, change: impl Fn(&mut Value)) -> String {
    let folder = whole(sentence);
    let path = folder.path().join(file);
    let mut json = fs::read(&path).map_or(json!({}), |bytes| serde_json::from_slice(&bytes).unwrap());
    change(&mut json);
    fs::write(&path, json.to_string()).unwrap();
    open(folder.path(), sentence).map_or_else(|e| e.to_string(), |()| "opened".into())
}

#[test]
fn a_config_of_another_model_is_refused() {
    for (field, value, why) in [
        ("hidden_size", json!(1_u64 << 60), "hidden_size is 1152921504606846976: must be 1 to 4096"),
        ("hidden_size", json!(0), "must be 1 to"),
        ("hidden_size", json!(17), "a multiple of num_attention_heads"),
        ("hidden_size", json!(18), "has the shape [2, 16]: must be [2, 18]"),
        ("intermediate_size", json!(33), "has the shape [32, 16]: must be [33, 16]"),
        ("num_hidden_layers", json!(3), "has no 'encoder.layer.2."),
        ("vocab_size", json!(20), "has 56 tokens, and config.json 20"),
        ("max_position_embeddings", json!(2), "max_seq_length must be 3 at least"),
        ("layer_norm_eps", json!(-1.0), "layer_norm_eps must be"),
        ("hidden_act", json!("relu"), "hidden_act is \"relu\": only \"gelu\""),
        ("model_type", json!("roberta"), "only \"bert\""),
        ("num_attention_heads", json!("two"), "invalid type"),
    ] {
        let said = after(true, "config.json", |config| config[field] = value.clone());
        assert!(said.contains(why) && said.contains("/"), "{field}: {said}");
    }
}

#[test]
fn modules_that_are_not_done_are_refused() {
    let module = |kind: &str, path: &str| json!({"type": format!("sentence_transformers.models.{kind}"), "path": path});
    for (modules, why) in [
        (json!([module("Transformer", "")]), "has no Pooling"),
        (json!([module("Pooling", "../1_Pooling")]), "must be a folder inside"),
        (json!([module("Pooling", "/etc")]), "must be a folder inside"),
        (json!([module("Pooling", "1_Pooling")]), "1_Pooling/config.json: is not there"),
        (json!([module("Pooling", "x"), module("Dense", "y")]), "x/config.json"),
        (json!([module("Dense", "y")]), "asks for \"sentence_transformers.models.Dense\""),
    ] {
        let said = after(true, "modules.json", |json| *json = modules.clone());
        assert!(said.contains(why), "{modules}: {said}");
    }
}

#[test]
fn tables_that_cannot_be_are_refused() {
    let folder = whole(false);
    let table = folder.path().join("model.safetensors");
    let whole = fs::read(&table).unwrap();
    let mut endless = whole.clone();
    endless[..8].fill(0xff);
    let mut nan = whole.clone();
    let last = nan.len() - 4;
    nan[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    for (bytes, why) in
        [(endless, "is not a file of tensors"), (nan, "holds NaN"), (Vec::new(), "is not a file of tensors")]
    {
        fs::write(&table, bytes).unwrap();
        let error = open(folder.path(), false).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    fs::remove_file(&table).unwrap();
    let error = open(folder.path(), false).unwrap_err().to_string();
    assert!(error.contains("model.safetensors: cannot be read: it is not there"), "{error}");
}
