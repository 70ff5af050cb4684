//! People and sessions.

use super::{Place, moment};
use crate::{NewSession, People, Person, PersonChange, Role, Session, StoreError};
use jiff::Timestamp;

const TOKEN: [u8; 32] = [0xff; 32];

async fn add(people: &dyn People, name: &str) -> Person {
    people.add_person(name, Role::Viewer, "$argon2id$1", moment(1)).await.unwrap()
}

async fn open(people: &dyn People, person: &Person, token: [u8; 32], ms: i64, ends: i64) -> bool {
    let csrf = format!("csrf of {}", token[0]);
    let session = NewSession { token: &token, person, csrf: &csrf, at: moment(ms), ends_at: moment(ends) };
    people.open_session(&session).await.unwrap()
}

async fn found(people: &dyn People, token: [u8; 32], now: i64) -> Option<Session> {
    people.session(&token, moment(now), Timestamp::UNIX_EPOCH).await.unwrap()
}

/// A name belongs to one person, for good; what they are changes.
pub async fn added_listed_changed(place: impl Place) {
    let stores = place.open().await;
    let people = &*stores.people;
    assert!(!people.anybody().await.unwrap());
    assert_eq!((people.list_people().await.unwrap(), people.person("操作").await.unwrap()), (vec![], None));
    let first = people.add_person("操作 '\"x", Role::Editor, "$argon2id$ü", moment(1)).await.unwrap();
    let expected = Person {
        id: first.id,
        name: "操作 '\"x".into(),
        role: Role::Editor,
        generation: first.generation,
        created_at: moment(1),
        disabled_at: None,
    };
    assert_eq!(first, expected);
    assert!(people.anybody().await.unwrap());
    let second = add(people, "Second").await;
    let other = add(people, "second").await;
    let taken = people.add_person("Second", Role::Editor, "other", moment(2)).await;
    assert!(matches!(taken, Err(StoreError::Conflict(_))), "{taken:?}");
    assert_eq!(people.person("Second").await.unwrap(), Some((second.clone(), "$argon2id$1".into())));

    for (change, missing) in [(PersonChange::Disable(moment(5)), "nobody"), (PersonChange::Enable, "SECOND")] {
        let changed = people.change_person(missing, &change).await;
        assert!(matches!(changed, Err(StoreError::Missing(_))), "{changed:?}");
    }
    for change in [
        PersonChange::Role(Role::Editor),
        PersonChange::Disable(moment(5)),
        PersonChange::Disable(moment(9)),
        PersonChange::Password("$argon2id$2".into()),
    ] {
        people.change_person("Second", &change).await.unwrap();
    }
    drop(stores);
    let people = place.open().await.people;
    let (now, password) = people.person("Second").await.unwrap().unwrap();
    assert_eq!((now.role, now.disabled_at, password.as_str()), (Role::Editor, Some(moment(5)), "$argon2id$2"));
    assert_eq!(people.list_people().await.unwrap(), [first, now.clone(), other]);
    people.change_person("Second", &PersonChange::Enable).await.unwrap();
    assert_eq!(people.person("Second").await.unwrap().unwrap().0, Person { disabled_at: None, ..now });
}

/// A session goes on until it is closed, its end comes, or nobody used it for too long.
pub async fn sessions_end(place: impl Place) {
    let stores = place.open().await;
    let people = &*stores.people;
    let (ann, bob) = (add(people, "ann").await, add(people, "bob").await);
    assert!(open(people, &ann, TOKEN, 10, 100).await && open(people, &bob, [0; 32], 20, 200).await);
    drop(stores);
    let stores = place.open().await;
    let people = &*stores.people;
    let session = Session { person: ann.clone(), csrf: "csrf of 255".into(), used_at: moment(10) };
    assert_eq!(found(people, TOKEN, 99).await, Some(session));
    assert_eq!(found(people, [0; 32], 99).await.unwrap().person, bob);
    assert_eq!((found(people, TOKEN, 100).await, found(people, [1; 32], 99).await), (None, None));

    let used = async |since| people.session(&TOKEN, moment(50), moment(since)).await.unwrap().map(|s| s.used_at);
    assert_eq!((used(9).await, used(10).await), (Some(moment(10)), None));
    people.use_session(&TOKEN, moment(30)).await.unwrap();
    people.use_session(&TOKEN, moment(20)).await.unwrap();
    people.use_session(&[1; 32], moment(20)).await.unwrap();
    assert_eq!((used(29).await, used(30).await), (Some(moment(30)), None), "use never goes back");

    people.close_session(&TOKEN).await.unwrap();
    people.close_session(&TOKEN).await.unwrap();
    assert_eq!(found(people, TOKEN, 50).await, None);
    assert!(found(people, [0; 32], 50).await.is_some(), "of somebody else");
    // Those that ended are let go of when the next begins: the token is free again.
    assert!(open(people, &ann, [0; 32], 200, 300).await);
    assert_eq!(found(people, [0; 32], 200).await.unwrap().person, ann);
}

/// A role counts at once. A new password and being disabled end all sessions of the person, also one that begins with what
/// was verified before; being enabled again brings none back.
pub async fn sessions_end_with_what_they_rest_on(place: impl Place) {
    let stores = place.open().await;
    let people = &*stores.people;
    let (ann, bob) = (add(people, "ann").await, add(people, "bob").await);
    assert!(open(people, &bob, [7; 32], 1, 100).await);
    assert!(open(people, &ann, [1; 32], 1, 100).await && open(people, &ann, [2; 32], 1, 100).await);
    people.change_person("ann", &PersonChange::Role(Role::Editor)).await.unwrap();
    assert_eq!(found(people, [1; 32], 2).await.unwrap().person.role, Role::Editor);

    people.change_person("ann", &PersonChange::Password("$argon2id$2".into())).await.unwrap();
    assert_eq!((found(people, [1; 32], 2).await, found(people, [2; 32], 2).await), (None, None));
    assert!(!open(people, &ann, [3; 32], 3, 100).await, "verified against the old password");
    let (ann, _) = people.person("ann").await.unwrap().unwrap();
    assert!(open(people, &ann, [3; 32], 3, 100).await);

    people.change_person("ann", &PersonChange::Disable(moment(4))).await.unwrap();
    assert!(!open(people, &ann, [4; 32], 4, 100).await);
    let (disabled, _) = people.person("ann").await.unwrap().unwrap();
    assert!(!open(people, &disabled, [4; 32], 4, 100).await);
    assert_eq!((found(people, [3; 32], 5).await, found(people, [4; 32], 5).await), (None, None));
    people.change_person("ann", &PersonChange::Enable).await.unwrap();
    assert_eq!(found(people, [3; 32], 5).await, None);
    assert!(open(people, &disabled, [5; 32], 5, 100).await);
    assert!(found(people, [7; 32], 5).await.is_some(), "of somebody else");
}
