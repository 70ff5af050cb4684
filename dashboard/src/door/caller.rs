//! Where a request came from.

use super::Entrance;
use axum::extract::{ConnectInfo, Request};
use axum::http::HeaderMap;
use std::net::{IpAddr, SocketAddr};

/// The other end, as far as it can be believed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    /// The browser's address; the proxy's if it says no other.
    pub(crate) address: Option<IpAddr>,
    /// Whether the browser came by https.
    pub(crate) https: bool,
    /// Whether a trusted proxy sent the request.
    pub(crate) by_proxy: bool,
}

impl Caller {
    pub(crate) fn of(entrance: &Entrance, request: &Request) -> Self {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical());
        let by_proxy = peer.is_some_and(|peer| entrance.trusts(peer));
        if !by_proxy {
            return Self { address: peer, https: false, by_proxy };
        }
        let headers = request.headers();
        // Each proxy adds whom it heard from at the end: the last that is none of ours is the one to believe.
        let forwarded = listed(headers, "x-forwarded-for").into_iter().rev().map_while(address);
        let address = forwarded.map(|a| a.to_canonical()).find(|a| !entrance.trusts(*a)).or(peer);
        let https = listed(headers, "x-forwarded-proto").first().is_some_and(|p| p.eq_ignore_ascii_case("https"));
        Self { address, https, by_proxy }
    }
}

/// An address as proxies write it: 192.0.2.1, 192.0.2.1:5678, 2001:db8::1, [2001:db8::1] or [2001:db8::1]:5678.
fn address(written: &str) -> Option<IpAddr> {
    let bare = written.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(written);
    bare.parse().or_else(|_| written.parse().map(|with_port: SocketAddr| with_port.ip())).ok()
}

/// The values of a header that lists them, over all its lines.
fn listed<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_may_have_ports() {
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        for written in ["192.0.2.1", "192.0.2.1:5678"] {
            assert_eq!(address(written), Some([192, 0, 2, 1].into()), "{written}");
        }
        for written in ["2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:99"] {
            assert_eq!(address(written), Some(v6), "{written}");
        }
        for nothing in ["", "unknown", "_hidden", "192.0.2.1:", "192.0.2.1:99999", "[192.0.2.1", "[::1]x", "a:1"] {
            assert_eq!(address(nothing), None, "{nothing}");
        }
    }
}
