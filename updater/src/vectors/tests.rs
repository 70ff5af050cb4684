//! Against the embedded stores, by models that do what a test says.

use super::*;
use async_trait::async_trait;
use embed::{EmbedError, Embedder as Model};
use futures::FutureExt;
use jiff::{SignedDuration, Timestamp};
use recommend::{Embedder, Item, Wanted, text_hash};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use store::{Durability, Locations, Shelf};

#[derive(Debug, Default)]
struct Now(Mutex<SignedDuration>);

impl Clock for Now {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap() + *self.0.lock().unwrap()
    }
}

/// Its vectors point where its name and the text say. Texts that begin with "bad" it refuses.
#[derive(Debug, Default)]
struct Double {
    version: String,
    dimension: usize,
    asked: Mutex<BTreeMap<String, usize>>,
    away: Mutex<Option<Duration>>,
    wrong: Mutex<Option<Vec<f32>>>,
}

impl Double {
    fn vector(&self, text: &str) -> Vec<f32> {
        let mut angle = text_hash(&format!("{}{text}", self.version));
        let mut next = || {
            angle = angle.rotate_left(7).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            f32::from(u16::try_from(angle >> 48).unwrap()) / 65_536.0 - 0.5
        };
        (0..self.dimension).map(|_| next()).collect()
    }

    fn times(&self, text: &str) -> usize {
        self.asked.lock().unwrap().get(text).copied().unwrap_or(0)
    }
}

#[async_trait]
impl Model for Double {
    fn version(&self) -> &str {
        &self.version
    }

    fn dimension(&self) -> usize {
        self.dimension
    }

    fn batch(&self) -> usize {
        8
    }

    async fn embed(&self, texts: &[&str]) -> std::result::Result<Vec<Vec<f32>>, EmbedError> {
        tokio::task::yield_now().await;
        if let Some(after) = *self.away.lock().unwrap() {
            return Err(EmbedError::Later { why: "away".into(), after: Some(after) });
        }
        if texts.iter().any(|text| text.starts_with("bad")) {
            return Err(EmbedError::Refused { why: "it cannot be read".into() });
        }
        for text in texts {
            *self.asked.lock().unwrap().entry((*text).to_owned()).or_default() += 1;
        }
        let wrong = self.wrong.lock().unwrap().clone();
        Ok(texts.iter().map(|text| wrong.clone().unwrap_or_else(|| self.vector(text))).collect())
    }
}

#[derive(Debug, Default)]
struct Shop(Mutex<BTreeMap<String, Arc<Double>>>);

#[async_trait]
impl Find for Shop {
    async fn find(&self, _: &str, name: &str, dimension: Option<usize>) -> std::result::Result<Arc<dyn Model>, String> {
        let found = self.0.lock().unwrap().get(name).cloned().ok_or_else(|| format!("no model '{name}'"))?;
        match dimension {
            Some(wanted) if wanted != found.dimension => Err("another dimension".into()),
            _ => Ok(found),
        }
    }
}

struct House {
    stores: Stores,
    models: Arc<Shop>,
    clock: Arc<Now>,
    shelf: Shelf,
    _dir: tempfile::TempDir,
}

fn by(model: &str) -> Embedder {
    Embedder::Static { model: model.into() }
}

fn item(id: &str, text: &str) -> Item {
    serde_json::from_value(json!({"id": id, "vector": [], "text": {"text": text}, "payload": text})).unwrap()
}

impl House {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let locations = Locations { durability: Durability::Os, ..Locations::in_dir(dir.path()) };
        let stores = store::open(&locations).await.unwrap();
        let house = Self { stores, models: Arc::default(), clock: Arc::default(), shelf: Shelf::default(), _dir: dir };
        house.model("a", "a1", 4);
        house.define("a").await;
        house
    }

    fn model(&self, name: &str, version: &str, dimension: usize) -> Arc<Double> {
        let double = Arc::new(Double { version: version.into(), dimension, ..Double::default() });
        self.models.0.lock().unwrap().insert(name.into(), double.clone());
        double
    }

    /// As the API defines it.
    async fn define(&self, model: &str) {
        let found = self.models.find("", model, None).await.unwrap();
        let (version, dimension) = (found.version().to_owned(), found.dimension());
        let serving = Serving { embedder: by(model), version, dimension };
        let definition = serde_json::from_value(json!({"dimension": dimension, "diversity": 0})).unwrap();
        let definition = recommend::CatalogDefinition { embedder: by(model), serving: Some(serving), ..definition };
        self.stores.catalogs.put_catalog(&Catalog { id: "shop".into(), definition }).await.unwrap();
    }

    /// As the API puts it: with the vectors that are there.
    async fn put(&self, id: &str, text: &str) {
        let mut item = item(id, text);
        if let Some(known) = self.item(id).await {
            item.text.as_mut().unwrap().vectors = known.text.unwrap().vectors;
        }
        self.stores.catalogs.put_items("shop", &[item]).await.unwrap();
    }

    async fn item(&self, id: &str) -> Option<Item> {
        self.stores.catalogs.items("shop", &[id.into()]).await.unwrap().remove(0).map(|kept| kept.unwrap())
    }

    fn vectors(&self) -> Vectors {
        Vectors::new(self.stores.clone(), self.models.clone(), self.clock.clone())
    }

    async fn make_all(&self) {
        let mut vectors = self.vectors();
        while vectors.pass().await.unwrap() {}
    }

    /// What lists have: how many items there are, each of them with the vector that the model they go by makes of its text.
    async fn in_lists(&self) -> Vec<String> {
        self.shelf.catch_up(&*self.stores.catalogs, &*self.clock).await.unwrap();
        let candidates = self.shelf.get("shop").unwrap();
        let serving = candidates.definition().serving.clone().unwrap();
        let query = vec![1.0; serving.dimension];
        let wanted = Wanted {
            k: 1_000,
            diversity: None,
            max_per_tag: None,
            tags: &[],
            exclude: &[],
            alike: true,
            now: self.clock.now(),
        };
        let listed = candidates.near(&query, &wanted);
        let models: Vec<Arc<Double>> = self.models.0.lock().unwrap().values().cloned().collect();
        for shown in &listed {
            let text: String = serde_json::from_str(shown.payload.as_ref().unwrap().get()).unwrap();
            let Some(model) = models.iter().find(|model| model.version == serving.version) else { continue };
            let expected = recommend::index::unit(&model.vector(&text)).unwrap();
            let found = candidates.vector(&shown.id).unwrap();
            let same = found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6);
            assert!(same && found.len() == expected.len(), "{} has a vector of another model or text", shown.id);
        }
        let mut ids: Vec<String> = listed.iter().map(|shown| shown.id.to_string()).collect();
        ids.sort_unstable();
        ids
    }

    fn later(&self, seconds: i64) {
        *self.clock.0.lock().unwrap() += SignedDuration::from_secs(seconds);
    }
}

/// A text is found once it has a vector, and gets another only when it changes, however often it is sent or noted.
#[tokio::test]
async fn a_text_is_embedded_once() {
    let house = House::new().await;
    house.make_all().await;
    for id in ["i1", "i2", "i3"] {
        house.put(id, &format!("text of {id}")).await;
    }
    assert_eq!(house.in_lists().await, [""; 0]);
    house.make_all().await;
    assert_eq!(house.in_lists().await, ["i1", "i2", "i3"]);
    for id in ["i1", "i2", "i3"] {
        house.put(id, &format!("text of {id}")).await;
        assert_eq!(house.in_lists().await.len(), 3, "it keeps its vector");
    }
    let again = [("shop".to_owned(), vec!["i1".to_owned(), "gone".into()])];
    house.stores.vector_work.note(&again, 1, house.clock.now()).await.unwrap();
    house.make_all().await;
    let model = house.models.0.lock().unwrap()["a"].clone();
    assert_eq!((model.times("text of i1"), model.times("text of i3")), (1, 1));
    house.put("i2", "another text").await;
    house.make_all().await;
    assert_eq!((model.times("another text"), model.times("text of i2")), (1, 1));
    assert_eq!(house.in_lists().await.len(), 3);
    assert_eq!(house.stores.vector_work.standing("shop", 9).await.unwrap().waiting, 0);
}

/// A text that the model refuses is set aside alone, and tried again when somebody says so, or sends another.
#[tokio::test]
async fn what_is_refused_is_set_aside() {
    let house = House::new().await;
    for n in 0..20 {
        house.put(&format!("i{n:02}"), if n == 7 { "bad text" } else { "text" }).await;
    }
    house.make_all().await;
    assert_eq!(house.in_lists().await.len(), 19);
    let standing = house.stores.vector_work.standing("shop", 9).await.unwrap();
    assert_eq!((standing.waiting, standing.set_aside), (0, 1));
    assert_eq!((&*standing.aside[0].item, &*standing.aside[0].why), ("i07", "it cannot be read"));
    assert_eq!(house.stores.vector_work.retry("shop", None, house.clock.now()).await.unwrap(), 1);
    house.make_all().await;
    assert_eq!(house.stores.vector_work.standing("shop", 9).await.unwrap().set_aside, 1);
    house.put("i07", "a better text").await;
    house.make_all().await;
    assert_eq!(house.in_lists().await.len(), 20);
    assert_eq!(house.stores.vector_work.standing("shop", 9).await.unwrap().set_aside, 0);
}

/// A vector of the wrong length, or with what is no number, is never kept.
#[tokio::test]
async fn wrong_vectors_are_never_kept() {
    let house = House::new().await;
    let model = house.models.0.lock().unwrap()["a"].clone();
    for (n, wrong) in [vec![0.5; 3], vec![0.5; 5], vec![0.5, f32::NAN, 0.5, 0.5], vec![f32::INFINITY; 4], vec![0.0; 4]]
        .into_iter()
        .enumerate()
    {
        *model.wrong.lock().unwrap() = Some(wrong);
        house.put(&format!("i{n}"), "text").await;
        house.make_all().await;
        assert_eq!(house.in_lists().await, [""; 0]);
        assert_eq!(house.item(&format!("i{n}")).await.unwrap().text.unwrap().vectors, []);
        assert_eq!(house.stores.vector_work.standing("shop", 9).await.unwrap().set_aside, n as u64 + 1);
    }
    *model.wrong.lock().unwrap() = None;
    house.stores.vector_work.retry("shop", None, house.clock.now()).await.unwrap();
    house.make_all().await;
    assert_eq!(house.in_lists().await.len(), 5);
}

/// A model that is away is asked again later, each item at most so often before it is set aside.
#[tokio::test]
async fn a_model_that_is_away_is_waited_for() {
    let house = House::new().await;
    let model = house.models.0.lock().unwrap()["a"].clone();
    *model.away.lock().unwrap() = Some(Duration::from_secs(90));
    house.put("i", "text").await;
    house.make_all().await;
    let waiting = async || house.stores.vector_work.standing("shop", 9).await.unwrap();
    assert_eq!((waiting().await.waiting, waiting().await.set_aside), (1, 0));
    house.later(89);
    assert_eq!(house.stores.vector_work.due("shop", house.clock.now(), 9).await.unwrap(), [], "it asked for 90 s");
    let mut tries = 1;
    while waiting().await.set_aside == 0 {
        house.later(3_600);
        house.make_all().await;
        tries += 1;
    }
    assert_eq!((tries, &*waiting().await.aside[0].why), (20, "away"));
    *model.away.lock().unwrap() = None;
    house.stores.vector_work.retry("shop", Some("i"), house.clock.now()).await.unwrap();
    house.make_all().await;
    assert_eq!(house.in_lists().await, ["i"]);
}

/// A model that is not there is said to be missing, and made up for.
#[tokio::test]
async fn a_missing_model_is_told() {
    let house = House::new().await;
    let gone = house.models.0.lock().unwrap().remove("a").unwrap();
    house.put("i", "text").await;
    house.make_all().await;
    let trouble = async || house.stores.vector_work.standing("shop", 9).await.unwrap().trouble;
    assert_eq!(trouble().await.as_deref(), Some("no model 'a'"));
    house.models.0.lock().unwrap().insert("a".into(), gone);
    house.make_all().await;
    assert_eq!((trouble().await, house.in_lists().await), (None, vec!["i".to_owned()]));
}

/// Another model takes the lists over whole, with another dimension too, and what comes meanwhile is in them all the while.
#[tokio::test]
async fn another_model_takes_over_whole() {
    let house = House::new().await;
    for n in 0..600 {
        house.put(&format!("i{n:03}"), &format!("text {n}")).await;
    }
    house.make_all().await;
    house.model("b", "b1", 6);
    house.define("b").await;
    let mut vectors = house.vectors();
    let mut served = Vec::new();
    while vectors.pass().await.unwrap() {
        let listed = house.in_lists().await;
        assert!(listed.len() >= 600);
        let late = listed.contains(&"a-late".to_owned());
        served.push((house.shelf.get("shop").unwrap().definition().serving.clone().unwrap().version, late));
        if served.len() == 1 {
            house.put("a-late", "late").await;
        }
    }
    assert_eq!(served.last(), Some(&("b1".to_owned(), true)));
    assert!(served.is_sorted() && served[0].0 == "a1", "once, and not at once: {served:?}");
    assert!(served.contains(&("a1".to_owned(), true)), "what comes meanwhile is in the old lists too");
    let item = house.item("i007").await.unwrap();
    let models: Vec<_> = item.text.as_ref().unwrap().vectors.iter().map(|made| &*made.model).collect();
    assert_eq!(models, ["b1"], "old vectors are let go of");
    // The folder of a model holds another one day.
    house.model("b", "b2", 5);
    house.make_all().await;
    assert_eq!(house.in_lists().await.len(), 601);
    let definition = house.shelf.get("shop").unwrap().definition().clone();
    assert_eq!((definition.dimension, definition.serving.unwrap().version), (5, "b2".into()));
}

/// A model that takes what is in lists no more does not get them; once it does, or what it refuses is gone, it does.
#[tokio::test]
async fn no_model_takes_over_that_would_lose_items() {
    let house = House::new().await;
    for n in 0..20 {
        house.put(&format!("i{n:02}"), &format!("text {n}")).await;
    }
    house.put("never", "bad text").await;
    house.make_all().await;
    let model = house.model("b", "b1", 6);
    *model.wrong.lock().unwrap() = Some(vec![0.5; 4]);
    house.define("b").await;
    let standing = async || house.stores.vector_work.standing("shop", 9).await.unwrap();
    house.make_all().await;
    assert_eq!(house.in_lists().await.len(), 20, "lists are as they were");
    assert_eq!((standing().await.waiting, standing().await.set_aside), (0, 21));
    let why = standing().await.trouble.unwrap();
    assert!(why.contains("would lose items") && why.contains("'i"), "{why}");
    house.make_all().await;
    assert_eq!(standing().await.trouble.unwrap(), why, "it is told until it is over");
    *model.wrong.lock().unwrap() = None;
    house.stores.vector_work.retry("shop", None, house.clock.now()).await.unwrap();
    house.make_all().await;
    assert_eq!((standing().await.set_aside, standing().await.trouble), (1, None), "what had no vector is no loss");
    assert_eq!(house.in_lists().await.len(), 20);
    assert_eq!(house.shelf.get("shop").unwrap().definition().serving.clone().unwrap().version, "b1");
}

/// What one model did not take, another is asked for.
#[tokio::test]
async fn what_was_set_aside_is_tried_by_another_model() {
    let house = House::new().await;
    let model = house.models.0.lock().unwrap()["a"].clone();
    *model.wrong.lock().unwrap() = Some(vec![0.5; 6]);
    for n in 0..3 {
        house.put(&format!("i{n}"), &format!("text {n}")).await;
    }
    house.make_all().await;
    assert_eq!(house.stores.vector_work.standing("shop", 9).await.unwrap().set_aside, 3);
    house.model("b", "b1", 6);
    house.define("b").await;
    house.make_all().await;
    assert_eq!(house.stores.vector_work.standing("shop", 9).await.unwrap().set_aside, 0);
    assert_eq!(house.in_lists().await, ["i0", "i1", "i2"]);
}

/// Cut off anywhere, while items come and the model changes, it goes on: in the end each item has its vector, and no list
/// ever mixes models.
#[tokio::test]
async fn cut_off_anywhere_it_goes_on() {
    let house = House::new().await;
    house.model("b", "b1", 6);
    let rounds = std::env::var("CUTS").ok().and_then(|n| n.parse().ok()).unwrap_or(60_usize);
    let polled = AtomicUsize::new(0);
    for round in 0..rounds {
        for n in 0..10 {
            house.put(&format!("i{}", (round * 7 + n) % 90), &format!("text {},{round}", (round + n) % 50)).await;
        }
        if round % 15 == 7 {
            house.define(if round % 2 == 0 { "a" } else { "b" }).await;
        }
        let mut vectors = house.vectors();
        let mut work = Box::pin(async {
            while vectors.pass().await? {}
            store::Result::Ok(())
        });
        for _ in 0..(round * 37) % 300 {
            polled.fetch_add(1, Ordering::Relaxed);
            if (&mut work).now_or_never().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(work);
        house.shelf.catch_up(&*house.stores.catalogs, &*house.clock).await.unwrap();
    }
    house.make_all().await;
    let standing = house.stores.vector_work.standing("shop", 9).await.unwrap();
    assert_eq!((standing.waiting, standing.set_aside), (0, 0));
    assert_eq!(house.in_lists().await.len(), 90.min(7 * (rounds - 1) + 10));
    assert!(polled.load(Ordering::Relaxed) > rounds, "it came somewhere");
}
