//! Who is at the other end.

use crate::app::App;
use crate::failure::Failure;
use axum::Form;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// What a person may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Look.
    Viewer,
    /// Look and change.
    Editor,
}

/// Somebody who is let in.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    /// For the audit log.
    pub(crate) name: Arc<str>,
    pub(crate) role: Role,
    /// What forms of this person's pages carry.
    pub(crate) csrf: Arc<str>,
}

impl Person {
    pub(crate) fn may_edit(&self) -> bool {
        self.role == Role::Editor
    }
}

/// A person who may change things.
pub(crate) struct Editor(pub(crate) Person);

impl FromRequestParts<App> for Editor {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Failure> {
        match parts.extensions.get::<Person>() {
            Some(person) if person.may_edit() => Ok(Self(person.clone())),
            _ => Err(Failure::forbidden()),
        }
    }
}

/// The fields of a form that an editor sent from a page of ours: its hidden field `csrf` is the person's.
pub(crate) struct Posted<T>(pub(crate) Person, pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Posted<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let Editor(person) = Editor::from_request_parts(&mut parts, app).await?;
        let request = Request::from_parts(parts, body);
        let Form(pairs) =
            Form::<Vec<(String, String)>>::from_request(request, app).await.map_err(|_| Failure::form())?;
        let given = pairs.iter().find(|(name, _)| name == "csrf").map_or("", |(_, value)| value);
        if person.csrf.is_empty() || !bool::from(given.as_bytes().ct_eq(person.csrf.as_bytes())) {
            return Err(Failure::stale());
        }
        let fields = pairs.into_iter().filter(|(name, _)| name != "csrf");
        let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        serde_urlencoded::from_str(&encoded).map(|form| Self(person, form)).map_err(|_| Failure::form())
    }
}

/// Without a sign-in everyone who is let in may do everything.
pub(crate) async fn everyone(mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(Person {
        name: "this machine".into(),
        role: Role::Editor,
        csrf: "unguarded".into(),
    });
    next.run(request).await
}
