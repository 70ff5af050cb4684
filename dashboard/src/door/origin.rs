//! What comes from elsewhere: other sites' requests, names that resolve here, addresses that lead away.

use crate::failure::Failure;
use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use std::net::IpAddr;

/// Where people go who want nothing else.
const HOME: &str = "/dashboard";

/// Refuses requests that change something and come from pages of other sites or of other ports, whatever they carry.
pub(crate) async fn only_ours(request: Request, next: Next) -> Result<Response, Failure> {
    if request.method().is_safe() || same_origin(request.headers()) {
        return Ok(next.run(request).await);
    }
    Err(Failure::stale())
}

/// The browser's own word first; browsers say `Origin` alone over plain http.
fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|v| v.to_str().unwrap_or("?"));
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    let host = text("host").unwrap_or_default();
    text("origin").is_none_or(|origin| origin.split_once("://").is_some_and(|(_, from)| from == host))
}

/// Whether a browser took this machine for this machine, and not for a name that somebody made resolve to it.
pub(super) fn local(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else { return true };
    let Some(host) = host.to_str().ok().and_then(|h| h.parse::<Authority>().ok()) else { return false };
    let name = host.host().trim_matches(['[', ']']);
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whether somebody else's machine may have asked a proxy on this one.
pub(super) fn forwarded(headers: &HeaderMap) -> bool {
    ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"]
        .iter()
        .any(|name| headers.contains_key(*name))
}

/// The page of ours that `next` names, else the first one: a link must not lead through the sign-in to elsewhere.
pub(crate) fn wanted(next: &str) -> &str {
    let plain = next.len() <= 4096 && next.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    let Some(uri) = next.parse::<Uri>().ok().filter(|_| plain) else { return HOME };
    let path = uri.path().to_ascii_lowercase();
    let inside = path == HOME || path.strip_prefix(HOME).is_some_and(|rest| rest.starts_with('/'));
    let here = uri.scheme().is_none() && uri.authority().is_none() && next.starts_with(HOME);
    let straight = !path.split('/').any(|part| matches!(part.replace("%2e", ".").as_str(), "." | ".."));
    let door = path.starts_with("/dashboard/sign-");
    if here && inside && straight && !door && !path.contains("//") { next } else { HOME }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_pages_of_the_dashboard_are_wanted() {
        for page in [
            "/dashboard",
            "/dashboard?q=a%20b&after=x",
            "/dashboard/experiments/product-page?as=csv",
            "/dashboard/x?next=https://evil.example",
        ] {
            assert_eq!(wanted(page), page);
        }
        for elsewhere in [
            "",
            "/",
            "//evil",
            "///evil",
            "/\\evil",
            "\\\\evil",
            "https:",
            "https://evil/dashboard",
            "https:/dashboard",
            "javascript:alert(1)",
            "dashboard",
            "/dashboardevil",
            "/dashboard.evil/",
            "/dashboard@evil",
            "/dashboard\\evil",
            "/dashboard//evil",
            "/dashboard/../evil",
            "/dashboard/%2E./v1/experiments",
            "/dashboard/x\r\nSet-Cookie: a=b",
            "/dashboard/x y",
            "/dashboard/é",
            "/dashboard/sign-in?next=/dashboard",
            "/dashboard/sign-out",
            "/v1/experiments",
        ] {
            assert_eq!(wanted(elsewhere), HOME, "{elsewhere}");
        }
        assert_eq!(wanted(&format!("/dashboard?{}", "x".repeat(5000))), HOME);
    }

    #[test]
    fn requests_of_other_sites_are_known() {
        let from = |pairs: &[_]| same_origin(&headers(pairs));
        assert!(from(&[]), "no browser");
        assert!(from(&[("sec-fetch-site", "same-origin"), ("origin", "https://outside.example"), ("host", "inner")]));
        for site in ["cross-site", "same-site", "anything"] {
            assert!(
                !from(&[("sec-fetch-site", site), ("origin", "http://localhost"), ("host", "localhost")]),
                "{site}"
            );
        }
        assert!(from(&[("origin", "http://localhost:8080"), ("host", "localhost:8080")]));
        for origin in ["null", "http://localhost:9", "http://evil.example", ""] {
            assert!(!from(&[("origin", origin), ("host", "localhost:8080")]), "{origin}");
        }
    }

    #[test]
    fn only_this_machines_names_are_local() {
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "127.9.9.9", "[::1]:8080"] {
            assert!(local(&headers(&[("host", host)])), "{host}");
        }
        for host in ["evil.example:8080", "localhost.evil.example", "192.168.0.1", "127.0.0.1.evil.example", "a b", ""]
        {
            assert!(!local(&headers(&[("host", host)])), "{host}");
        }
    }
}
