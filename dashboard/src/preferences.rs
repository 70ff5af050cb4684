//! The language and the colours that a reader chose, kept in cookies of a year.

use crate::address;
use crate::lang::Lang;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

/// What pages look like to a reader.
pub(crate) struct Preferences {
    pub(crate) lang: Lang,
    pub(crate) theme: Option<&'static str>,
}

impl Preferences {
    /// Those of a request: its cookies, else what the browser prefers.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let lang = cookie(headers, "croupier_lang").and_then(Lang::of_tag);
        Self {
            lang: lang.unwrap_or_else(|| Lang::preferred(headers)),
            theme: cookie(headers, "croupier_theme").and_then(theme),
        }
    }
}

fn theme(name: &str) -> Option<&'static str> {
    ["light", "dark"].into_iter().find(|known| *known == name)
}

/// The value of a cookie.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// Any page takes `?lang=` and `?theme=`: keeps the choice and shows the page without it, so that addresses stay those
/// of what is shown. `theme=auto` leaves it to the browser again.
pub(crate) async fn choose(request: Request, next: Next) -> Response {
    let uri = request.uri();
    // `//elsewhere` would be another site's address.
    if !uri.path().starts_with("/dashboard") {
        return next.run(request).await;
    }
    let mut cookies = Vec::new();
    for (name, value) in address::pairs(uri) {
        let kept = match name.as_str() {
            "lang" => Lang::of_tag(&value).map(|lang| format!("croupier_lang={}; Max-Age=31536000", lang.tag())),
            "theme" if value == "auto" => Some("croupier_theme=; Max-Age=0".into()),
            "theme" => theme(&value).map(|theme| format!("croupier_theme={theme}; Max-Age=31536000")),
            _ => None,
        };
        cookies.extend(kept);
    }
    if cookies.is_empty() {
        return next.run(request).await;
    }
    let mut response = Redirect::to(&address::without(uri, &["lang", "theme"])).into_response();
    for cookie in cookies {
        // Our own words: always a header.
        if let Ok(value) = HeaderValue::from_str(&format!("{cookie}; Path=/dashboard; SameSite=Lax; HttpOnly")) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    response
}
