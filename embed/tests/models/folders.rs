//! What an operator has.

use crate::made;
use embed::{EmbedError, EndpointSettings, Kind, ModelError, Models};
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

fn models(directory: &Path) -> Models {
    Models::open(Some(directory.to_owned()), Some(EndpointSettings::new("http://127.0.0.1:9/v1")))
}

fn version(models: &Models, kind: Kind, name: &str) -> String {
    models.get(kind, name, None).unwrap().version().to_owned()
}

fn line(error: Result<Arc<dyn embed::Embedder>, ModelError>) -> String {
    error.err().expect("a model was found").to_string()
}

#[test]
fn a_folder_is_a_model_that_all_share() {
    let directory = tempfile::tempdir().unwrap();
    made::static_model(&directory.path().join("words-8"));
    made::sentence_model(&directory.path().join("mini"));
    fs::create_dir(directory.path().join(".hidden")).unwrap();
    let models = models(directory.path());
    assert_eq!(models.names(), ["mini", "words-8"]);
    let model = models.get(Kind::Static, "words-8", None).unwrap();
    assert!(Arc::ptr_eq(&model, &models.get(Kind::Static, "words-8", Some(made::STATIC)).unwrap()));
    assert_eq!(model.dimension(), made::STATIC);
    assert_eq!(models.get(Kind::Sentence, "mini", None).unwrap().dimension(), made::SENTENCE);
    let other = line(models.get(Kind::Static, "words-8", Some(9)));
    assert_eq!(other, "model 'words-8' makes vectors of 8 numbers, not 9");
}

#[test]
fn a_version_is_what_files_hold() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c"] {
        made::sentence_model(&directory.path().join(name));
    }
    // A byte of the weights, and what the text is cut to.
    let weights = directory.path().join("b/model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(weights, bytes).unwrap();
    let models = models(directory.path());
    let [a, b, c] = ["a", "b", "c"].map(|name| version(&models, Kind::Sentence, name));
    assert!(a == c && a != b && a.starts_with("sentence:"), "{a} {b} {c}");
    fs::write(directory.path().join("c/sentence_bert_config.json"), r#"{"max_seq_length":9}"#).unwrap();
    let anew = self::models(directory.path());
    assert_ne!(version(&anew, Kind::Sentence, "c"), a);
    assert_eq!(version(&anew, Kind::Sentence, "a"), a);
    let endpoint = models.get(Kind::Endpoint, "some/model", Some(7)).unwrap();
    assert_eq!(endpoint.version(), "endpoint:127.0.0.1:9:some/model:7");
}

#[test]
fn what_is_not_there_is_said_in_a_line() {
    let directory = tempfile::tempdir().unwrap();
    made::static_model(&directory.path().join("words"));
    fs::create_dir(directory.path().join("empty")).unwrap();
    let models = models(&directory.path().join("words/.."));
    for name in
        ["", ".", "..", "../words", "words/../words", "/etc", ".words", "wörter", "a\nb", "a\0", &"a".repeat(129)]
    {
        let said = line(models.get(Kind::Static, name, None));
        assert!(said.contains("is not the name of a model") && !said.contains('\n'), "{name:?}: {said}");
    }
    assert_eq!(line(models.get(Kind::Static, "other", None)), "there is no model 'other': there are empty, words");
    assert!(
        line(models.get(Kind::Static, "empty", None)).contains("empty/tokenizer.json: cannot be read: it is not there")
    );
    assert!(line(models.get(Kind::Sentence, "words", None)).contains("config.json: is not there"));
    assert!(line(models.get(Kind::Endpoint, "m", None)).contains("need a dimension"));
    assert!(line(models.get(Kind::Endpoint, "m", Some(5_000))).contains("1 to 4096"));
    let none = Models::open(None, None);
    assert!(none.names().is_empty());
    assert!(line(none.get(Kind::Static, "words", None)).contains("no directory of models is set"));
    assert!(line(none.get(Kind::Endpoint, "m", Some(5))).contains("no address of an embeddings endpoint is set"));
}

#[test]
fn few_models_are_remembered() {
    let directory = tempfile::tempdir().unwrap();
    for i in 0..9 {
        made::static_model(&directory.path().join(i.to_string()));
    }
    let models = models(directory.path());
    let get = |i: usize| models.get(Kind::Static, &i.to_string(), None).unwrap();
    let (first, second) = (get(0), get(1));
    (2..8).for_each(|i| drop(get(i)));
    // The first is used again, so that the second is the one that was longest not used.
    assert!(Arc::ptr_eq(&first, &get(0)));
    get(8);
    assert!(Arc::ptr_eq(&first, &get(0)) && !Arc::ptr_eq(&second, &get(1)));
}

#[tokio::test]
async fn threads_change_no_vector() {
    let directory = tempfile::tempdir().unwrap();
    made::static_model(&directory.path().join("words"));
    made::sentence_model(&directory.path().join("mini"));
    let texts: Vec<String> =
        (0..60).map(|i| "the quick brown fox jumps over it ".repeat(i % 7 + 1)[i % 9..].into()).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for (kind, name) in [(Kind::Static, "words"), (Kind::Sentence, "mini")] {
        let on = |n: usize| {
            models(directory.path()).on_threads(NonZeroUsize::new(n).unwrap()).get(kind, name, None).unwrap()
        };
        let (one, four) = (on(1).embed(&texts).await.unwrap(), on(4).embed(&texts).await.unwrap());
        for ((a, b), text) in one.iter().zip(&four).zip(&texts) {
            assert!(a.len() == on(1).dimension() && a.iter().all(|x| x.is_finite()));
            let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(apart < 1e-5, "{name}: {text:?} is {apart} away");
        }
        assert_eq!(on(2).embed(&[]).await.unwrap(), Vec::<Vec<f32>>::new());
    }
    let refused = models(directory.path()).get(Kind::Static, "words", None).unwrap().embed(&["fox", ""]).await;
    assert!(matches!(refused, Err(EmbedError::Refused { .. })), "{refused:?}");
}
