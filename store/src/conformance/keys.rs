//! API keys.

use super::{Place, moment};
use crate::{Key, NewKey, Scope, StoreError};

/// Keys are listed in order, valid until revoked, and kept.
pub async fn created_listed_revoked(place: impl Place) {
    let stores = place.open().await;
    let keys = stores.keys.clone();
    assert_eq!(keys.list_keys().await.unwrap(), []);
    let admin = keys.create_key(&NewKey::new("操作 \"x\"", Scope::Admin, [0xff; 32]), moment(1)).await.unwrap();
    let expected = Key {
        id: admin.id,
        name: "操作 \"x\"".into(),
        scope: Scope::Admin,
        hash: [0xff; 32],
        origins: vec![],
        per_minute: None,
        created_at: moment(1),
        revoked_at: None,
        used_at: None,
    };
    assert_eq!(admin, expected);
    let origins = ["https://shop.example".to_owned(), "http://localhost:3000".to_owned()];
    let page =
        NewKey { origins: &origins, per_minute: Some(u32::MAX), ..NewKey::new("same name", Scope::Decide, [0; 32]) };
    let decide = keys.create_key(&page, moment(2)).await.unwrap();
    assert_eq!((&decide.origins[..], decide.per_minute), (&origins[..], Some(u32::MAX)));
    let twin = keys.create_key(&NewKey::new("same name", Scope::Decide, [1; 32]), moment(3)).await.unwrap();
    assert!(admin.id < decide.id && decide.id < twin.id);
    let doubled = keys.create_key(&NewKey::new("other", Scope::Decide, [0; 32]), moment(4)).await;
    assert!(matches!(doubled, Err(StoreError::Conflict(_))), "{doubled:?}");
    assert_eq!(keys.valid_keys().await.unwrap(), [admin.clone(), decide.clone(), twin.clone()]);

    keys.revoke_key(decide.id, moment(5)).await.unwrap();
    keys.revoke_key(decide.id, moment(9)).await.unwrap();
    let missing = keys.revoke_key(twin.id + 1, moment(5)).await;
    assert!(matches!(missing, Err(StoreError::Missing(_))), "{missing:?}");
    for hour in [7, 3] {
        keys.use_keys(&[admin.id, decide.id], moment(hour)).await.unwrap();
    }
    keys.use_keys(&[], moment(9)).await.unwrap();
    let admin = Key { used_at: Some(moment(7)), ..admin };
    let revoked = Key { revoked_at: Some(moment(5)), used_at: Some(moment(7)), ..decide };
    drop((stores, keys));
    let keys = place.open().await.keys;
    assert_eq!(keys.list_keys().await.unwrap(), [admin.clone(), revoked, twin.clone()]);
    assert_eq!(keys.valid_keys().await.unwrap(), [admin, twin]);
}
