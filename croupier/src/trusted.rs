//! Settings of proxies whose word counts.

use crate::cli::Failure;
use crate::settings::parse;
use axum::http::HeaderName;
use clap::Args;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::str::FromStr;
use store::Role;

/// Those settings as given on the command line or in variables.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Settings")]
pub(crate) struct TrustedArgs {
    /// Proxies in front of the dashboard, as 10.0.0.7,10.1.0.0/16: they say where a request came from [default: none]
    #[arg(long, global = true, env = "CROUPIER_DASHBOARD_TRUSTED_PROXIES", value_name = "ADDRESSES")]
    dashboard_trusted_proxies: Option<String>,
    /// Header in which those proxies name people, who need no password then [default: none]
    #[arg(long, global = true, env = "CROUPIER_DASHBOARD_TRUSTED_HEADER", value_name = "HEADER")]
    dashboard_trusted_header: Option<String>,
    /// What people may do whom a proxy names: viewer or editor [default: viewer]
    #[arg(long, global = true, env = "CROUPIER_DASHBOARD_TRUSTED_ROLE", value_name = "ROLE")]
    dashboard_trusted_role: Option<String>,
    /// Those of them who are editors [default: none]
    #[arg(long, global = true, env = "CROUPIER_DASHBOARD_TRUSTED_EDITORS", value_name = "NAMES")]
    dashboard_trusted_editors: Option<String>,
}

impl TrustedArgs {
    pub(crate) fn given(&self) -> [(&'static str, &Option<String>); 4] {
        [
            ("dashboard.trusted_proxies", &self.dashboard_trusted_proxies),
            ("dashboard.trusted_header", &self.dashboard_trusted_header),
            ("dashboard.trusted_role", &self.dashboard_trusted_role),
            ("dashboard.trusted_editors", &self.dashboard_trusted_editors),
        ]
    }
}

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

#[cfg(test)]
mod tests {
    use crate::settings::{DEFAULTS, Settings, table};

    #[test]
    fn a_header_is_trusted_from_named_proxies_alone() {
        let of = |text: &str| {
            let mut values = table(DEFAULTS, "defaults").unwrap();
            values.extend(table(text, "test").unwrap());
            Settings::check(&values).map(|s| s.trusted)
        };
        let without = of("dashboard.trusted_header = 'X-Email'").unwrap_err().to_string();
        assert!(without.starts_with("dashboard.trusted_proxies = '': must be "), "{without}");
        let trusted = of("[dashboard]\ntrusted_header = 'X-Email'\ntrusted_proxies = ['10.0.0.7', '10.1.0.0/16']\n\
                          trusted_editors = 'a@b, c@d'");
        let trusted = trusted.unwrap();
        assert_eq!(trusted.header.unwrap(), "x-email");
        assert_eq!(trusted.proxies, ["10.0.0.7/32".parse().unwrap(), "10.1.0.0/16".parse().unwrap()]);
        assert_eq!((trusted.editors.len(), trusted.others), (2, store::Role::Viewer));
    }
}
