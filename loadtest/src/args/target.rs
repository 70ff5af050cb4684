//! Addresses of targets, and whether load may go there.

use crate::failure::Failure;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

/// `http://host:port/prefix`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    /// As it was typed.
    pub(crate) text: String,
    host: String,
    port: u16,
    /// What comes before every path; without a slash at its end.
    pub(crate) prefix: String,
}

impl FromStr for Url {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: hyper::Uri = text.parse().map_err(|_| "is no address; it is as in http://127.0.0.1:8080")?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err("is HTTPS, which this tool does not speak: name the plain port behind the proxy");
            }
            _ => return Err("begins with http://, as in http://127.0.0.1:8080"),
        }
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(
                "names a user, whom this tool does not sign in: leave that out, and give --header if one is wanted",
            );
        }
        if uri.query().is_some() {
            return Err("has a query; requests bring their own");
        }
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { text: text.to_owned(), host, port: uri.port_u16().unwrap_or(80), prefix })
    }
}

impl Url {
    /// The `host` header.
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == 80 { host } else { format!("{host}:{}", self.port) }
    }

    /// Where it is; only this machine, unless the host is among those allowed.
    ///
    /// # Errors
    /// When the name leads nowhere, or elsewhere without leave.
    pub(crate) fn resolve(&self, allowed: &[String]) -> Result<SocketAddr, Failure> {
        let unknown = |why: String| Failure::Connect { target: self.text.clone(), why };
        let mut found = (self.host.as_str(), self.port).to_socket_addrs().map_err(|e| unknown(e.to_string()))?;
        let address = found.next().ok_or_else(|| unknown("the name has no address".to_owned()))?;
        let here = address.ip().is_loopback() && found.all(|other| other.ip().is_loopback());
        if here || allowed.contains(&self.host) { Ok(address) } else { Err(Failure::Host { host: self.host.clone() }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_unless_allowed() {
        let url: Url = "http://127.0.0.1:8080/api/".parse().unwrap();
        assert_eq!((url.authority().as_str(), url.prefix.as_str()), ("127.0.0.1:8080", "/api"));
        assert!(url.resolve(&[]).is_ok());
        assert_eq!("http://[::1]:81".parse::<Url>().unwrap().authority(), "[::1]:81");
        let far: Url = "http://192.0.2.7".parse().unwrap();
        let error = far.resolve(&["192.0.2.8".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("--allow-host 192.0.2.7") && error.code() == 2, "{error}");
        assert!(far.resolve(&["192.0.2.7".to_owned()]).is_ok());
        for text in ["127.0.0.1:80", "https://x", "http://x/?q", "ftp://x", "http://ann:secret@x", ""] {
            assert!(text.parse::<Url>().is_err(), "{text}");
        }
    }
}
