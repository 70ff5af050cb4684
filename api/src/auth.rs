//! Who may do what.

use crate::app::App;
use crate::cors::host_of;
use crate::keyring::{Keyring, KnownKey};
use crate::problem::Problem;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bandit::Clock;
use rand::TryRng;
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::sync::Arc;
use store::{Keys, Scope};

/// Where providers of OpenFeature put a key.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// What a browser says of a request that it sends to the page's own origin.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Who is let in. Keys come as `Authorization: Bearer …` or `X-API-Key`; pages may also send a decide key as `?key=`.
#[derive(Clone)]
pub enum Access {
    /// Everyone who reaches a loopback address of this machine; but a key that somebody brings all the same must be valid,
    /// and allows what it does anywhere: who mistyped one learns it here and not in production.
    Loopback(Arc<Keyring>),
    /// Who brings a key.
    Keys(Arc<Keyring>),
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Loopback(_) => "Loopback",
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
    /// Asks for no key.
    #[must_use]
    pub fn loopback() -> Self {
        Self::Loopback(Arc::default())
    }

    /// Asks for keys.
    #[must_use]
    pub fn keys() -> Self {
        Self::Keys(Arc::default())
    }

    fn ring(&self) -> &Arc<Keyring> {
        let (Self::Loopback(ring) | Self::Keys(ring)) = self;
        ring
    }

    /// Reads which keys are valid.
    ///
    /// # Errors
    /// When they cannot be read; the keys known before stay.
    pub(crate) async fn refresh(&self, keys: &dyn Keys, clock: &Arc<dyn Clock>) -> store::Result<()> {
        self.ring().refresh(keys, clock).await
    }

    /// Lets a caller in who may do what `needed` says, and tells the name of the key.
    pub(crate) fn admit(&self, headers: &HeaderMap, uri: &Uri, needed: Scope) -> Result<Option<Arc<str>>, Problem> {
        let refused = |why| Problem::new(StatusCode::UNAUTHORIZED, why);
        let open = matches!(self, Self::Loopback(_));
        if open && needed == Scope::Admin {
            same_machine(headers)?;
        }
        let header = secret_of(headers);
        let in_url = header.is_none() && needed == Scope::Decide;
        let given = if in_url { key_of(uri) } else { header };
        let Some(given) = given.filter(|given| !given.is_empty()) else {
            let why = "a key is needed: send 'Authorization: Bearer KEY' or 'X-API-Key: KEY'";
            return if open { Ok(None) } else { Err(refused(why)) };
        };
        let unknown = if open {
            "the key is unknown or revoked: send a valid one, or none, since this address needs none"
        } else {
            "the key is unknown or revoked"
        };
        let known = self.ring().find(&hash_secret(&given)).ok_or_else(|| refused(unknown))?;
        may(&known, headers, needed, in_url)?;
        known.touch();
        if let Some(limit) = &known.limit {
            limit.count().map_err(Problem::too_many)?;
        }
        Ok(Some(known.name.clone()))
    }
}

/// Whether a valid key may do what is needed, from where it is used.
fn may(known: &KnownKey, headers: &HeaderMap, needed: Scope, in_url: bool) -> Result<(), Problem> {
    let forbidden = |why: &str| Err(Problem::new(StatusCode::FORBIDDEN, why));
    match (known.key.scope, needed) {
        (Scope::Admin, _) if in_url => forbidden("an admin key does not belong into a URL: use a decide key"),
        (Scope::Decide, Scope::Admin) => forbidden("the key is for deciding and events only: use an admin key"),
        (Scope::Decide, Scope::Decide) if !comes_from(&known.key.origins, headers) => forbidden(
            "the key is for other pages: make one with 'croupier keys create --scope decide --origin ORIGIN', \
             or without an origin for servers",
        ),
        _ => Ok(()),
    }
}

/// Whether a request comes from a page of one of these origins, or needs to come from none. Browsers name the origin except
/// where a page reads from its own; that it is its own they say too, and no page can make them say so.
fn comes_from(origins: &[String], headers: &HeaderMap) -> bool {
    if origins.is_empty() {
        return true;
    }
    match headers.get(ORIGIN) {
        Some(origin) => origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()),
        None => {
            let own = headers.get(FETCH_SITE).is_some_and(|site| site == "same-origin");
            let host = headers.get(HOST).and_then(|host| host.to_str().ok());
            own && host
                .is_some_and(|host| origins.iter().any(|o| host_of(o).is_some_and(|o| o.eq_ignore_ascii_case(host))))
        }
    }
}

/// The secret of a header: `Authorization: Bearer SECRET` or `X-API-Key: SECRET`.
fn secret_of(headers: &HeaderMap) -> Option<String> {
    let text = |name: &HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
    let bearer = text(&AUTHORIZATION).and_then(|value| value.split_once(' '));
    let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, secret)| secret);
    bearer.or_else(|| text(&API_KEY)).map(|secret| secret.trim().to_owned())
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
    if !is_local(host) {
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
        Some(origin) if host_of(origin) != Some(host) => {
            Err(Problem::new(StatusCode::FORBIDDEN, "without keys, admin requests of other origins are refused"))
        }
        _ => Ok(()),
    }
}

/// Whether `host:port` names this machine to itself.
pub(crate) fn is_local(host: &str) -> bool {
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |(name, _)| name);
    let name = name.trim_matches(['[', ']']);
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
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
