//! Forms that change something, of people who may and who may not.

use super::{Door, digest, guard, only_ours, recognise};
use crate::app::App;
use crate::person::Posted;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::post;
use axum::{Extension, Router};
use bandit::Clock;
use jiff::Timestamp;
use serde::Deserialize;
use std::sync::{Arc, Mutex};
use store::{NewSession, People, PersonChange, Role};
use tower::ServiceExt;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

struct At;

impl Clock for At {
    fn now(&self) -> Timestamp {
        NOW
    }
}

#[derive(Deserialize)]
struct Form {
    word: String,
}

/// Who changed what.
type Changes = Arc<Mutex<Vec<String>>>;

async fn change(
    State(_): State<App>,
    Extension(changes): Extension<Changes>,
    Posted(person, Form { word }): Posted<Form>,
) -> StatusCode {
    changes.lock().unwrap().push(format!("{}: {word}", person.name));
    StatusCode::NO_CONTENT
}

async fn sign_in(people: &dyn People, name: &str, role: Role) {
    let person = people.add_person(name, role, "hash", NOW).await.unwrap();
    let csrf = format!("csrf-of-{name}");
    let ends_at = NOW + super::LONGEST;
    let session = NewSession { token: &digest(name), person: &person, csrf: &csrf, at: NOW, ends_at };
    assert!(people.open_session(&session).await.unwrap());
}

#[tokio::test]
async fn only_editors_change_things_and_only_with_their_own_forms() {
    let dir = tempfile::tempdir().unwrap();
    let stores = store::open(&store::Locations::in_dir(dir.path())).await.unwrap();
    let people = stores.people.clone();
    for (name, role) in [("ed", Role::Editor), ("eve", Role::Editor), ("vi", Role::Viewer)] {
        sign_in(&*people, name, role).await;
    }
    let door = Door { loopback: true, proxies: vec![], identity: None, clock: Arc::new(At) };
    let app = App::new(stores, Arc::default(), Arc::new(At), None, door);
    let changes = Changes::default();
    let router = Router::new()
        .route("/dashboard/change", post(change))
        .layer(Extension(changes.clone()))
        .layer(from_fn(guard))
        .layer(from_fn(only_ours))
        .layer(from_fn_with_state(app.clone(), recognise))
        .with_state(app);
    let send = async |cookie: &str, body: &str, site: &'static str| {
        let request = Request::post("/dashboard/change")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("cookie", cookie)
            .header("sec-fetch-site", site)
            .body(Body::from(body.to_owned()))
            .unwrap();
        router.clone().oneshot(request).await.unwrap().status()
    };
    let (ed, right, ours) = ("croupier_session=ed", "csrf=csrf-of-ed&word=x", "same-origin");
    for (cookie, body, site, status) in [
        ("", right, ours, StatusCode::UNAUTHORIZED),
        ("croupier_session=nobody", right, ours, StatusCode::UNAUTHORIZED),
        ("__Host-croupier_session=ed", right, ours, StatusCode::UNAUTHORIZED),
        ("croupier_session=vi", "csrf=csrf-of-vi&word=x", ours, StatusCode::FORBIDDEN),
        (ed, "word=x", ours, StatusCode::FORBIDDEN),
        (ed, "csrf=&word=x", ours, StatusCode::FORBIDDEN),
        (ed, "csrf=csrf-of-e&word=x", ours, StatusCode::FORBIDDEN),
        (ed, "csrf=csrf-of-eve&word=x", ours, StatusCode::FORBIDDEN),
        ("croupier_session=ed; croupier_form=mine", "csrf=mine&word=x", ours, StatusCode::FORBIDDEN),
        (ed, right, "cross-site", StatusCode::FORBIDDEN),
        (ed, right, "same-site", StatusCode::FORBIDDEN),
        (ed, "csrf=csrf-of-ed", ours, StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(send(cookie, body, site).await, status, "{cookie} {body} {site}");
    }
    assert_eq!(*changes.lock().unwrap(), [""; 0], "nothing was changed");
    assert_eq!(send(ed, right, ours).await, StatusCode::NO_CONTENT);
    people.change_person("ed", &PersonChange::Role(Role::Viewer)).await.unwrap();
    assert_eq!(send(ed, right, ours).await, StatusCode::FORBIDDEN, "a role counts at once");
    people.change_person("eve", &PersonChange::Disable(NOW)).await.unwrap();
    let eve = send("croupier_session=eve", "csrf=csrf-of-eve&word=x", ours).await;
    assert_eq!((eve, &*changes.lock().unwrap()), (StatusCode::UNAUTHORIZED, &vec!["ed: x".to_owned()]));
}
