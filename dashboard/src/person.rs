//! Who is at the other end.

use crate::app::App;
use crate::failure::Failure;
use axum::Form;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use store::{Change, Role};
use subtle::ConstantTimeEq;

/// Somebody who is let in.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    /// For the audit log.
    pub(crate) name: Arc<str>,
    pub(crate) role: Role,
    /// What forms of this person's pages carry.
    pub(crate) csrf: Arc<str>,
    /// What is kept of the token of their session, if they signed in here.
    pub(crate) session: Option<[u8; 32]>,
    /// What their request is called.
    pub(crate) request: Arc<str>,
}

impl Person {
    pub(crate) fn may_edit(&self) -> bool {
        self.role == Role::Editor
    }

    /// What the audit log says of a change that this person makes now, and why.
    pub(crate) fn change(&self, app: &App, why: &str) -> Change {
        let (who, request) = (self.name.to_string(), self.request.to_string());
        Change { who, why: why.trim().into(), at: app.now(), request }
    }
}

/// That the request is of a person who may change things.
pub(crate) struct Editor;

impl FromRequestParts<App> for Editor {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Failure> {
        match parts.extensions.get::<Person>() {
            Some(person) if person.may_edit() => Ok(Self),
            _ => Err(Failure::forbidden()),
        }
    }
}

/// The fields of a form that somebody sent from a page of ours: its hidden field `csrf` is the person's.
pub(crate) struct Sent<T>(pub(crate) Person, pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Sent<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let person = request.extensions().get::<Person>().cloned().ok_or_else(Failure::signed_out)?;
        let form = read_form(request, app, &person.csrf).await?;
        Ok(Self(person, form))
    }
}

/// The same of an editor.
pub(crate) struct Posted<T>(pub(crate) Person, pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Posted<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        Editor::from_request_parts(&mut parts, app).await?;
        let Sent(person, form) = Sent::from_request(Request::from_parts(parts, body), app).await?;
        Ok(Self(person, form))
    }
}

/// The fields of a form whose hidden field `csrf` is the one expected; an empty one is nobody's.
pub(crate) async fn read_form<T: DeserializeOwned>(request: Request, app: &App, csrf: &str) -> Result<T, Failure> {
    let Form(pairs) = Form::<Vec<(String, String)>>::from_request(request, app).await.map_err(|_| Failure::form())?;
    let given = pairs.iter().find(|(name, _)| name == "csrf").map_or("", |(_, value)| value);
    if csrf.is_empty() || !bool::from(given.as_bytes().ct_eq(csrf.as_bytes())) {
        return Err(Failure::stale());
    }
    let fields = pairs.into_iter().filter(|(name, _)| name != "csrf");
    let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    serde_urlencoded::from_str(&encoded).map_err(|_| Failure::form())
}
