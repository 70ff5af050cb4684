//! The door: signing in and out.

use crate::app::App;
use crate::door::{self, Caller, FormToken, PasswordError, Shut, wanted};
use crate::failure::Failure;
use crate::format::Num;
use crate::frame::Frame;
use crate::lang::Phrase;
use crate::person::{Person, Sent, read_form};
use askama::Template;
use axum::Extension;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;
use store::NewSession;

/// Seconds until somebody may try again who came while too many others did.
const BUSY_SECONDS: u64 = 2;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn {
    frame: Frame,
    csrf: String,
    next: String,
    name: String,
    problem: Option<Phrase>,
    /// Whether there is somebody who could sign in.
    inhabited: bool,
}

/// Where somebody wanted to go.
#[derive(Deserialize)]
pub(crate) struct Next {
    #[serde(default)]
    next: String,
}

/// What somebody says who they are.
#[derive(Deserialize)]
struct Claim {
    name: String,
    password: String,
    #[serde(default)]
    next: String,
}

/// Without fields of its own.
#[derive(Deserialize)]
pub(crate) struct Nothing {}

/// Why nobody signs in.
enum Refusal {
    /// Name or password are wrong, or the person is disabled: nobody is told which.
    Wrong,
    /// Too many attempts; how many seconds to wait.
    Often(u64),
}

/// `GET /dashboard/sign-in?next=`
pub(crate) async fn sign_in(
    State(app): State<App>,
    frame: Frame,
    person: Option<Extension<Person>>,
    shut: Option<Extension<Shut>>,
    Extension(FormToken(token)): Extension<FormToken>,
    Query(Next { next }): Query<Next>,
) -> Result<Response, Failure> {
    if let Some(Extension(Shut(failure))) = shut {
        return Err(failure);
    }
    if person.is_some() {
        return Ok(Redirect::to(wanted(&next)).into_response());
    }
    page(&app, frame, &token, next, String::new(), None).await
}

/// `POST /dashboard/sign-in`
pub(crate) async fn enter(
    State(app): State<App>,
    frame: Frame,
    Extension(caller): Extension<Caller>,
    Extension(FormToken(token)): Extension<FormToken>,
    person: Option<Extension<Person>>,
    request: Request,
) -> Result<Response, Failure> {
    let Claim { name, password, next } = read_form(request, &app, &token).await?;
    let known = match admit(&app, &name, password, caller).await? {
        Ok(known) => known,
        Err(refusal) => return page(&app, frame, &token, next, name, Some(refusal)).await,
    };
    // Another token than before, whoever sent that one.
    if let Some(old) = person.and_then(|Extension(person)| person.session) {
        app.stores.people.close_session(&old).await?;
    }
    let (session, csrf) = match (door::secret(), door::secret()) {
        (Ok(session), Ok(csrf)) => (session, csrf),
        (Err(e), _) | (_, Err(e)) => return Err(Failure::internal(&e)),
    };
    let at = app.entrance.now();
    let digest = door::digest(&session);
    let new = NewSession { token: &digest, person: &known, csrf: &csrf, at, ends_at: at + door::LONGEST };
    if !app.stores.people.open_session(&new).await? {
        // Disabled, or given another password, in this very moment.
        return page(&app, frame, &token, next, name, Some(Refusal::Wrong)).await;
    }
    tracing::info!(name = ?known.name, address = ?caller.address, "signed in");
    Ok(leave_with(door::session(&session, caller), wanted(&next)))
}

/// Whether somebody is who they say. Known or not, the same is done.
async fn admit(
    app: &App,
    name: &str,
    password: String,
    caller: Caller,
) -> Result<Result<store::Person, Refusal>, Failure> {
    if let Err(seconds) = app.entrance.limits.attempt(name, caller.address) {
        tracing::warn!(address = ?caller.address, "too many attempts to sign in");
        return Ok(Err(Refusal::Often(seconds)));
    }
    let (person, hash) = app.stores.people.person(name).await?.unzip();
    let right = match app.entrance.passwords.verify(hash, password).await {
        Ok(right) => right,
        Err(PasswordError::Busy(_)) => return Ok(Err(Refusal::Often(BUSY_SECONDS))),
        Err(e) => return Err(Failure::internal(&e)),
    };
    // A name that nobody has may be a password in the wrong field: it is not logged.
    let whom = person.as_ref().map_or_else(|| "somebody unknown".to_owned(), |p| p.name.clone());
    match person.filter(|person| right && person.disabled_at.is_none()) {
        Some(person) => {
            app.entrance.limits.forgive(name, caller.address);
            Ok(Ok(person))
        }
        None => {
            tracing::warn!(name = ?whom, address = ?caller.address, "refused to sign in");
            Ok(Err(Refusal::Wrong))
        }
    }
}

async fn page(
    app: &App,
    frame: Frame,
    token: &str,
    next: String,
    name: String,
    refusal: Option<Refusal>,
) -> Result<Response, Failure> {
    let (status, problem, wait) = match refusal {
        None => (StatusCode::OK, None, None),
        Some(Refusal::Wrong) => {
            let text = frame.say("This name and this password do not belong together, or may not sign in any more. Check both, or ask whoever runs this server.", &[]);
            (StatusCode::UNAUTHORIZED, Some(text), None)
        }
        Some(Refusal::Often(seconds)) => {
            let n = Num::count(seconds);
            let text = frame.say("Too many attempts. Try again in {n} seconds.", &[("n", (&n).into())]);
            (StatusCode::TOO_MANY_REQUESTS, Some(text), Some(seconds))
        }
    };
    let inhabited = app.entrance.inhabited(&*app.stores.people).await?;
    let shown = SignIn { frame, csrf: token.into(), next: wanted(&next).into(), name, problem, inhabited };
    let mut response = (status, [(header::CACHE_CONTROL, "no-store")], Html(shown.render()?)).into_response();
    if let Some(seconds) = wait {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    Ok(response)
}

/// `POST /dashboard/sign-out`
pub(crate) async fn sign_out(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    sent: Result<Sent<Nothing>, Failure>,
) -> Result<Response, Failure> {
    match sent {
        Ok(Sent(person, Nothing {})) => {
            if let Some(session) = person.session {
                app.stores.people.close_session(&session).await?;
                tracing::info!(name = ?person.name, address = ?caller.address, "signed out");
            }
        }
        // The session ended before.
        Err(Failure::SignedOut) => {}
        Err(failure) => return Err(failure),
    }
    Ok(leave_with(door::clear(caller), "/dashboard/sign-in"))
}

fn leave_with(cookie: Option<HeaderValue>, to: &str) -> Response {
    let mut response = Redirect::to(to).into_response();
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}
