//! Who may do what.

use crate::app::App;
use crate::problem::Problem;
use arc_swap::ArcSwap;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rand::TryRng;
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::sync::Arc;
use store::{Key, Keys, Scope};
use subtle::ConstantTimeEq;

/// Who is let in.
#[derive(Clone)]
pub enum Access {
    /// Everyone who reaches a loopback address of this machine.
    Loopback,
    /// Who brings a key, as `Authorization: Bearer …`; pages may also send a decide key as `?key=`.
    Keys(Arc<ArcSwap<Vec<Key>>>),
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Loopback => "Loopback",
            Self::Keys(_) => "Keys",
        })
    }
}

/// Name of a caller without a key, in the audit log.
const NOBODY: &str = "this machine";

/// The caller, for the audit log.
#[derive(Clone)]
pub(crate) struct Caller(pub(crate) Arc<str>);

impl Access {
    /// Asks for keys.
    #[must_use]
    pub fn keys() -> Self {
        Self::Keys(Arc::default())
    }

    /// Reads which keys are valid.
    ///
    /// # Errors
    /// When they cannot be read; the keys known before stay.
    pub async fn refresh(&self, keys: &dyn Keys) -> store::Result<()> {
        if let Self::Keys(valid) = self {
            valid.store(Arc::new(keys.valid_keys().await?));
        }
        Ok(())
    }

    /// Lets a caller in who may do what `needed` says, and tells the name of the key.
    pub(crate) fn admit(&self, headers: &HeaderMap, uri: &Uri, needed: Scope) -> Result<Option<Arc<str>>, Problem> {
        match self {
            Self::Loopback if needed == Scope::Decide => Ok(None),
            Self::Loopback => same_machine(headers).map(|()| None),
            Self::Keys(valid) => {
                let header = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(secret_of);
                let in_url = header.is_none() && needed == Scope::Decide;
                let given = if in_url { key_of(uri) } else { header };
                let missing =
                    || Problem::new(StatusCode::UNAUTHORIZED, "a key is needed: send 'Authorization: Bearer KEY'");
                let hash = hash_secret(&given.ok_or_else(missing)?);
                // All are compared, each in constant time, so that timing tells nothing of which came close.
                let valid = valid.load();
                let mut found: Option<&Key> = None;
                for key in valid.iter() {
                    if bool::from(key.hash.ct_eq(&hash)) {
                        found = Some(key);
                    }
                }
                match found {
                    None => Err(Problem::new(StatusCode::UNAUTHORIZED, "the key is unknown or revoked")),
                    Some(key) if in_url && key.scope == Scope::Admin => Err(Problem::new(
                        StatusCode::FORBIDDEN,
                        "an admin key does not belong into a URL: use a decide key",
                    )),
                    Some(key) if key.scope == needed || key.scope == Scope::Admin => Ok(Some(key.name.as_str().into())),
                    Some(_) => Err(Problem::new(
                        StatusCode::FORBIDDEN,
                        "the key is for deciding and events only: use an admin key",
                    )),
                }
            }
        }
    }
}

/// The secret of `Bearer SECRET`.
fn secret_of(authorization: &str) -> Option<String> {
    let (scheme, value) = authorization.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer")).then(|| value.trim().to_owned())
}

/// The key of `?key=`: pages that want no preflight, and beacons, cannot send headers.
fn key_of(uri: &Uri) -> Option<String> {
    let pairs = crate::body::query(uri).ok()?;
    pairs.into_iter().find_map(|(name, value)| (name == "key").then_some(value))
}

/// Without keys, a web page in this machine's browser must not administer: neither by a form or a request of its
/// own origin, nor by a name that it made resolve to this address.
fn same_machine(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    let host = text(HOST).unwrap_or("localhost");
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |(name, _)| name);
    let name = name.trim_matches(['[', ']']);
    let local = name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if !local {
        let why = format!("without keys, admin requests must be addressed to localhost, not '{}'", host.escape_debug());
        return Err(Problem::new(StatusCode::FORBIDDEN, why));
    }
    if ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"]
        .iter()
        .any(|name| headers.contains_key(*name))
    {
        let why = "without keys, admin requests that a proxy forwards are refused: they may be anybody's";
        return Err(Problem::new(StatusCode::FORBIDDEN, why));
    }
    match text(ORIGIN) {
        Some(origin) if origin.split_once("://").is_none_or(|(_, from)| from != host) => {
            Err(Problem::new(StatusCode::FORBIDDEN, "without keys, admin requests of other origins are refused"))
        }
        _ => Ok(()),
    }
}

/// SHA-256 of a key's secret. Secrets have 256 random bits, so that a slow hash would protect nothing more.
#[must_use]
pub fn hash_secret(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// A new secret: `ck_` and 64 hexadecimal digits from the system's generator.
///
/// # Errors
/// When the system has no randomness to give.
pub fn new_secret() -> Result<String, String> {
    let mut bytes = [0u8; 32];
    rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(|e| format!("the system's random generator failed: {e}"))?;
    Ok(bytes.iter().fold("ck_".to_owned(), |s, b| s + &format!("{b:02x}")))
}

pub(crate) async fn admin(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    guard(&app.config.access, request, next).await
}

async fn guard(access: &Access, mut request: Request, next: Next) -> Response {
    match access.admit(request.headers(), request.uri(), Scope::Admin) {
        Ok(name) => {
            request.extensions_mut().insert(Caller(name.unwrap_or_else(|| NOBODY.into())));
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}
