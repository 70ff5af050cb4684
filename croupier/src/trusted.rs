//! Settings of proxies whose word counts.

use crate::cli::Failure;
use crate::settings::parse;
use axum::http::HeaderName;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::str::FromStr;
use store::Role;

/// Proxies, and how they name people.
#[derive(Debug, Clone)]
pub(crate) struct Trusted {
    pub(crate) proxies: Vec<IpNet>,
    /// As HTTP writes it; none if they name nobody.
    pub(crate) header: Option<HeaderName>,
    pub(crate) editors: BTreeSet<String>,
    pub(crate) others: Role,
}

/// Addresses, as ADDRESS or ADDRESS/BITS.
struct Network(IpNet);

impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map(Self).map_err(drop)
    }
}

impl Trusted {
    pub(crate) fn check(values: &BTreeMap<String, String>) -> Result<Self, Failure> {
        let text = |name: &str| values.get(name).map(String::as_str).unwrap_or_default();
        let list =
            |name: &str| text(name).split(',').map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>();
        let (proxies, header, role) =
            ("dashboard.trusted_proxies", "dashboard.trusted_header", "dashboard.trusted_role");
        let networks = list(proxies).into_iter().map(|network| {
            // Whoever comes from anywhere is no proxy.
            let may_be = "must be addresses and networks, as 10.0.0.7, 10.1.0.0/16, and not every address there is";
            parse::<Network>(proxies, network, may_be, |Network(n)| n.prefix_len() > 0).map(|Network(n)| n)
        });
        let trusted = Self {
            proxies: networks.collect::<Result<_, _>>()?,
            header: match text(header) {
                "" => None,
                name => Some(parse(header, name, "must be the name of a header, as X-Forwarded-Email", |_| true)?),
            },
            editors: list("dashboard.trusted_editors").into_iter().map(str::to_owned).collect(),
            others: Role::parse(text(role))
                .ok_or_else(|| Failure::unusable(role, text(role), "must be 'viewer' or 'editor'"))?,
        };
        if trusted.header.is_some() && trusted.proxies.is_empty() {
            let why = "must be the addresses of the proxy that sets dashboard.trusted_header";
            return Err(Failure::unusable(proxies, text(proxies), why));
        }
        Ok(trusted)
    }
}
