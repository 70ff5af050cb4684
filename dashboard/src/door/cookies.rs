//! The two cookies of the door.
//!
//! Both are `Lax`: a browser sends them when somebody follows a link from a chat or a mail, and with no form or request of
//! another site. `Strict` would show such a reader the sign-in, and its form's token would replace the one of open pages.
//! Over https their names begin with `__Host-`, by which browsers take them from this very host and over https alone.

use super::{Caller, LONGEST};
use crate::preferences::cookie;
use axum::http::{HeaderMap, HeaderValue};
use rand::TryRng;
use rand::rngs::{SysError, SysRng};

const SESSION: [&str; 2] = ["croupier_session", "__Host-croupier_session"];
const FORM: [&str; 2] = ["croupier_form", "__Host-croupier_form"];

/// 256 random bits from the system, in hexadecimal digits.
pub(crate) fn secret() -> Result<String, SysError> {
    let mut bytes = [0u8; 32];
    SysRng.try_fill_bytes(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The token of a request's session.
pub(super) fn session_of(headers: &HeaderMap, caller: Caller) -> Option<&str> {
    cookie(headers, SESSION[usize::from(caller.https)]).filter(|token| !token.is_empty())
}

/// The token that forms carry where there is no session.
pub(super) fn form_of(headers: &HeaderMap, caller: Caller) -> Option<&str> {
    cookie(headers, FORM[usize::from(caller.https)]).filter(|token| !token.is_empty())
}

/// Begins a session in the browser.
pub(crate) fn session(token: &str, caller: Caller) -> Option<HeaderValue> {
    set(SESSION, token, LONGEST.as_secs(), caller)
}

/// Ends it there.
pub(crate) fn clear(caller: Caller) -> Option<HeaderValue> {
    set(SESSION, "", 0, caller)
}

pub(super) fn form(token: &str, caller: Caller) -> Option<HeaderValue> {
    set(FORM, token, 31_536_000, caller)
}

/// Our own words, always a header.
fn set(names: [&str; 2], value: &str, seconds: i64, caller: Caller) -> Option<HeaderValue> {
    let name = names[usize::from(caller.https)];
    let scope = if caller.https { "Path=/; Secure" } else { "Path=/dashboard" };
    HeaderValue::from_str(&format!("{name}={value}; Max-Age={seconds}; {scope}; HttpOnly; SameSite=Lax")).ok()
}
