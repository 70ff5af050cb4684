//! Catalogs whose vectors are of models.

use super::Place;
use super::catalogs::{found, two};
use crate::{Catalog, Catalogs, StoreError};
use recommend::{Embedder, Item, Serving, Text};

fn by(model: &str) -> Embedder {
    Embedder::Static { model: model.into() }
}

fn serving(model: &str, dimension: usize) -> Serving {
    Serving { embedder: by(model), version: format!("{model}-1"), dimension }
}

fn catalog(model: &str, dimension: usize, serving: Option<Serving>) -> Catalog {
    let definition = serde_json::from_str(&format!(r#"{{"dimension":{dimension}}}"#)).unwrap();
    let definition = recommend::CatalogDefinition { embedder: by(model), serving, ..definition };
    Catalog { id: "c".into(), definition }
}

fn item(id: &str, text: &str) -> Item {
    let json = serde_json::json!({"id": id, "vector": [], "text": {"text": text}, "payload": text});
    serde_json::from_value(json).unwrap()
}

fn with_vector(item: &Item, model: &str, x: f32) -> Item {
    let mut text: Text = (**item.text.as_ref().unwrap()).clone();
    text.set(model, vec![x, 1.0]);
    Item { text: Some(Box::new(text)), ..item.clone() }
}

async fn definition(catalogs: &dyn Catalogs) -> recommend::CatalogDefinition {
    catalogs.catalogs().await.unwrap().remove(0).definition
}

/// A catalog goes by one model until it is told to go by the one that its definition names; items stay, also where the
/// dimension is another.
pub async fn lists_go_by_what_serves(place: impl Place) {
    let catalogs = place.open().await.catalogs;
    let missing = catalogs.serve(&catalog("a", 2, None), &serving("a", 2)).await;
    assert!(matches!(missing, Err(StoreError::Missing(_))), "{missing:?}");
    catalogs.put_catalog(&catalog("a", 2, Some(serving("a", 2)))).await.unwrap();
    catalogs.put_items("c", &[item("i", "x")]).await.unwrap();
    catalogs.put_catalog(&catalog("b", 3, Some(serving("b", 3)))).await.unwrap();
    assert_eq!(definition(&*catalogs).await, catalog("b", 3, Some(serving("a", 2))).definition, "it goes on by a");
    for (wanted, what) in
        [(catalog("a", 3, None), "it is to go by b"), (catalog("b", 2, None), "and by another dimension")]
    {
        assert_eq!(catalogs.serve(&wanted, &serving("a", 2)).await.unwrap(), None, "{what}");
    }
    let before = catalogs.last_change().await.unwrap();
    let number = catalogs.serve(&catalog("b", 3, None), &serving("b", 3)).await.unwrap().unwrap();
    assert_eq!(number, before + 1);
    assert_eq!(definition(&*catalogs).await, catalog("b", 3, Some(serving("b", 3))).definition);
    assert_eq!(found(&*catalogs, "c", &["i".into()]).await, [Some(item("i", "x"))]);
    let none = Catalog { id: "c".into(), definition: serde_json::from_str(r#"{"dimension":3}"#).unwrap() };
    let refused = catalogs.put_catalog(&none).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "items have no vectors of their own: {refused:?}");
    catalogs.remove_items("c", &["i".into()]).await.unwrap();
    catalogs.put_catalog(&none).await.unwrap();
    assert_eq!(definition(&*catalogs).await, none.definition);
}

/// An item is replaced only by who knows what it is, and that is noted.
pub async fn items_are_replaced_if_they_are_the_same(place: impl Place) {
    let catalogs = place.open().await.catalogs;
    let missing = catalogs.replace_items("c", &[(item("i", "x"), item("i", "y"))]).await;
    assert!(matches!(missing, Err(StoreError::Missing(_))), "{missing:?}");
    catalogs.put_catalog(&catalog("a", 2, None)).await.unwrap();
    let long = "靴".repeat(10_000);
    let kept = [item("a", "x"), item("b", ""), item("c", &long)];
    catalogs.put_items("c", &kept).await.unwrap();
    let before = catalogs.last_change().await.unwrap();
    let pairs = [
        (item("a", "x"), with_vector(&item("a", "x"), "m", 1.0)),
        (item("b", "another"), with_vector(&item("b", ""), "m", 2.0)),
        (item("c", &long), with_vector(&item("c", &long), "m", 3.0)),
        (item("gone", "x"), with_vector(&item("gone", "x"), "m", 4.0)),
    ];
    assert_eq!(catalogs.replace_items("c", &pairs).await.unwrap(), [true, false, true, false]);
    let ids = ["a", "b", "c", "gone"].map(Into::into);
    let now = found(&*catalogs, "c", &ids).await;
    assert_eq!(now, [Some(pairs[0].1.clone()), Some(kept[1].clone()), Some(pairs[2].1.clone()), None]);
    let changes = catalogs.changes_since(before, 10).await.unwrap().unwrap();
    let crate::Changed::Items(noted) = &changes[0].what else { panic!("{changes:?}") };
    assert!(noted.contains(&"a".into()) && noted.contains(&"c".into()), "{noted:?}");
    assert_eq!(catalogs.replace_items("c", &pairs).await.unwrap(), [false; 4], "none is as it was");
    assert_eq!(catalogs.replace_items("c", &[]).await.unwrap(), [false; 0]);
}

/// Whoever replaces beside somebody who puts never takes back what was put.
pub async fn replacing_loses_no_put(place: impl Place) {
    let [one, other] = &two(&place).await;
    one.put_catalog(&catalog("a", 2, None)).await.unwrap();
    one.put_items("c", &[item("i", "0")]).await.unwrap();
    let putting = async {
        for round in 1..60 {
            one.put_items("c", &[item("i", &round.to_string())]).await.unwrap();
        }
    };
    let replacing = async {
        for round in 0..60_u8 {
            let old = found(&**other, "c", &["i".into()]).await.remove(0).unwrap();
            let new = with_vector(&old, "m", f32::from(round));
            other.replace_items("c", &[(old, new)]).await.unwrap();
        }
    };
    futures::future::join(putting, replacing).await;
    let last = found(&**one, "c", &["i".into()]).await.remove(0).unwrap();
    assert_eq!(last.text.unwrap().text, "59");
    assert_eq!(last.payload.unwrap().get(), "\"59\"");
}

/// Whoever puts an item beside somebody who makes its vector takes none away: it has the vectors of what it takes the place
/// of, and is as new.
pub async fn putting_loses_no_vector(place: impl Place) {
    const MODELS: u8 = 20;
    let [one, other] = &two(&place).await;
    one.put_catalog(&catalog("a", 2, None)).await.unwrap();
    let first = Item { added_at: Some(super::moment(7)), ..item("i", "x") };
    one.put_items("c", std::slice::from_ref(&first)).await.unwrap();
    let ids = ["i".to_owned()];
    let vectors = async || found(&**other, "c", &ids).await.remove(0).unwrap().text.unwrap().vectors.len();
    let putting = async {
        for round in 0..60_i64 {
            let again = Item { added_at: Some(super::moment(round)), ..item("i", "x") };
            one.put_items("c", &[again, item(&format!("new-{round}"), "x")]).await.unwrap();
        }
    };
    let making = async {
        // A model more each time: what was made stays, whoever puts meanwhile.
        for made in 0..MODELS {
            while vectors().await == usize::from(made) {
                let old = found(&**other, "c", &ids).await.remove(0).unwrap();
                let new = with_vector(&old, &format!("m{made}"), f32::from(made));
                other.replace_items("c", &[(old, new)]).await.unwrap();
            }
            assert_eq!(vectors().await, usize::from(made) + 1);
        }
    };
    futures::future::join(putting, making).await;
    one.put_items("c", &[item("i", "another")]).await.unwrap();
    let last = found(&**one, "c", &ids).await.remove(0).unwrap();
    let text = last.text.unwrap();
    assert_eq!((text.text.as_str(), text.vectors.len(), last.added_at), ("another", MODELS.into(), first.added_at));
    assert!(text.needs("m7"), "it has those of the old text until its own are made");
}
