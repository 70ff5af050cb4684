//! API keys.

use super::{Place, moment};
use crate::{Key, Scope, StoreError};

/// Keys are listed in order, valid until revoked, and kept.
pub async fn created_listed_revoked(place: impl Place) {
    let stores = place.open().await;
    let keys = stores.keys.clone();
    assert_eq!(keys.list_keys().await.unwrap(), []);
    let admin = keys.create_key("操作 \"x\"", Scope::Admin, &[0xff; 32], moment(1)).await.unwrap();
    let expected = Key {
        id: admin.id,
        name: "操作 \"x\"".into(),
        scope: Scope::Admin,
        hash: [0xff; 32],
        created_at: moment(1),
        revoked_at: None,
    };
    assert_eq!(admin, expected);
    let decide = keys.create_key("same name", Scope::Decide, &[0; 32], moment(2)).await.unwrap();
    let twin = keys.create_key("same name", Scope::Decide, &[1; 32], moment(3)).await.unwrap();
    assert!(admin.id < decide.id && decide.id < twin.id);
    let doubled = keys.create_key("other", Scope::Decide, &[0; 32], moment(4)).await;
    assert!(matches!(doubled, Err(StoreError::Conflict(_))), "{doubled:?}");
    assert_eq!(keys.valid_keys().await.unwrap(), [admin.clone(), decide.clone(), twin.clone()]);

    keys.revoke_key(decide.id, moment(5)).await.unwrap();
    keys.revoke_key(decide.id, moment(9)).await.unwrap();
    let missing = keys.revoke_key(twin.id + 1, moment(5)).await;
    assert!(matches!(missing, Err(StoreError::Missing(_))), "{missing:?}");
    let revoked = Key { revoked_at: Some(moment(5)), ..decide };
    drop((stores, keys));
    let keys = place.open().await.keys;
    assert_eq!(keys.list_keys().await.unwrap(), [admin.clone(), revoked, twin.clone()]);
    assert_eq!(keys.valid_keys().await.unwrap(), [admin, twin]);
}
