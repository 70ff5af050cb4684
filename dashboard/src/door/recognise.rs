//! Who sends a request, and whether they are let in.

use super::{Caller, Entrance, IDLE, cookies, digest, origin};
use crate::app::App;
use crate::failure::Failure;
use crate::person::Person;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use store::{Role, Session};

/// Who changes things where everyone is let in, as the API calls them.
pub(crate) const THIS_MACHINE: &str = "this machine";
/// How exactly the use of a session is known.
const EXACTLY: SignedDuration = SignedDuration::from_mins(1);

/// What forms of this browser carry where there is no session; empty if it has no cookie for it.
#[derive(Clone)]
pub(crate) struct FormToken(pub(crate) Arc<str>);

/// Why it cannot be known who it is.
#[derive(Clone)]
pub(crate) struct Shut(pub(crate) Failure);

/// Tells the request who sends it, and the browser its token for forms.
pub(crate) async fn recognise(State(app): State<App>, mut request: Request, next: Next) -> Response {
    if request.uri().path().starts_with("/dashboard/assets/") {
        return next.run(request).await;
    }
    let caller = Caller::of(&app.entrance, &request);
    let known: Option<Arc<str>> = cookies::form_of(request.headers(), caller).map(Into::into);
    // A form that comes without its cookie is not helped by a new one.
    let made = if known.is_none() && request.method() == Method::GET { cookies::secret().ok() } else { None };
    let token = known.or_else(|| made.as_deref().map(Into::into)).unwrap_or_default();
    match who(&app, caller, request.headers(), &token).await {
        Ok(Some(person)) => drop(request.extensions_mut().insert(person)),
        Ok(None) => {}
        Err(failure) => drop(request.extensions_mut().insert(Shut(failure))),
    }
    request.extensions_mut().insert(caller);
    request.extensions_mut().insert(FormToken(token));
    let mut response = next.run(request).await;
    if let Some(cookie) = made.and_then(|token| cookies::form(&token, caller)) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

async fn who(app: &App, caller: Caller, headers: &HeaderMap, token: &Arc<str>) -> Result<Option<Person>, Failure> {
    let entrance = &app.entrance;
    // Whoever composes the process names each request that has no sound name yet, in this very header.
    let request: Arc<str> = headers.get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default().into();
    if let Some((name, role)) = named(entrance, caller, headers) {
        return Ok(Some(Person { name, role, csrf: token.clone(), session: None, request }));
    }
    if let Some(session) = cookies::session_of(headers, caller) {
        let (session, now) = (digest(session), entrance.now());
        if let Some(found) = app.stores.people.session(&session, now, now - IDLE).await? {
            // A page that keeps itself current does not keep a session.
            if headers.get("sec-fetch-dest").is_none_or(|dest| dest != "empty") {
                note(app, session, &found, now);
            }
            let Session { person, csrf, .. } = found;
            let (name, csrf) = (person.name.into(), csrf.into());
            return Ok(Some(Person { name, role: person.role, csrf, session: Some(session), request }));
        }
    }
    if !entrance.open(&*app.stores.people).await? {
        return Ok(None);
    }
    if !origin::local(headers) || origin::forwarded(headers) {
        return Err(Failure::elsewhere());
    }
    Ok(Some(Person { name: THIS_MACHINE.into(), role: Role::Editor, csrf: token.clone(), session: None, request }))
}

/// Whom a trusted proxy names. Two names are none: one of them is not the proxy's.
fn named(entrance: &Entrance, caller: Caller, headers: &HeaderMap) -> Option<(Arc<str>, Role)> {
    let identity = entrance.door.identity.as_ref().filter(|_| caller.by_proxy)?;
    let mut values = headers.get_all(&identity.header).iter();
    let value = std::str::from_utf8(values.next()?.as_bytes()).ok()?;
    if values.next().is_some() || bandit::check_id(value).is_err() {
        return None;
    }
    let role = if identity.editors.contains(value) { Role::Editor } else { identity.others };
    Some((value.into(), role))
}

/// Writes down that a session is used, without the reader waiting for it: the database may be taking in a whole log.
fn note(app: &App, token: [u8; 32], session: &Session, now: Timestamp) {
    if now.duration_since(session.used_at) < EXACTLY {
        return;
    }
    let Ok(permit) = app.entrance.uses.clone().try_acquire_owned() else { return };
    let (people, turn) = (app.stores.people.clone(), app.entrance.noting.clone());
    tokio::spawn(async move {
        let turn = turn.lock().await;
        if let Err(e) = people.use_session(&token, now).await {
            tracing::warn!("the use of a session is not known: {e}");
        }
        drop((turn, permit));
    });
}

/// Lets nobody in who is not recognised. A page sends them to the sign-in and back; what is drawn on one, and a form, do
/// not.
pub(crate) async fn guard(request: Request, next: Next) -> Result<Response, Failure> {
    if request.extensions().get::<Person>().is_some() {
        return Ok(next.run(request).await);
    }
    if let Some(Shut(failure)) = request.extensions().get() {
        return Err(failure.clone());
    }
    let uri = request.uri();
    let json = request.headers().get(header::ACCEPT).is_some_and(|a| a.as_bytes().starts_with(b"application/json"));
    if !request.method().is_safe() || json || uri.path().contains("/plots/") {
        return Err(Failure::signed_out());
    }
    let wanted = uri.path_and_query().map_or("/dashboard", |p| p.as_str());
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", wanted).finish();
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, format!("/dashboard/sign-in?{query}"))]).into_response())
}
