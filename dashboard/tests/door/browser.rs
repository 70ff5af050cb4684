//! A browser before the door: it keeps cookies and fills in forms.

use crate::house::{Reply, answer};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, header};
use bandit::Clock;
use dashboard::Door;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

pub(crate) const PASSWORD: &str = "correct horse battery";

/// A clock whose hands the test turns.
pub(crate) struct Hands(Mutex<Timestamp>);

impl Hands {
    pub(crate) fn at(now: Timestamp) -> Arc<Self> {
        Arc::new(Self(Mutex::new(now)))
    }

    pub(crate) fn turn_to(&self, now: Timestamp) {
        *self.0.lock().unwrap() = now;
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// A door that nobody stands before.
pub(crate) fn door(hands: &Arc<Hands>, loopback: bool) -> Door {
    Door { loopback, proxies: vec![], identity: None, clock: hands.clone() }
}

pub(crate) struct Browser {
    router: Router,
    pub(crate) cookies: BTreeMap<String, String>,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) host: &'static str,
    pub(crate) peer: [u8; 4],
}

impl Browser {
    pub(crate) fn before(router: Router) -> Self {
        let (cookies, headers) = (BTreeMap::new(), Vec::new());
        Self { router, cookies, headers, host: "localhost:8080", peer: [127, 0, 0, 1] }
    }

    /// Another before the same door.
    pub(crate) fn like(&self) -> Self {
        Self::before(self.router.clone())
    }

    pub(crate) async fn get(&mut self, uri: &str) -> Reply {
        self.send(Request::get(uri), String::new()).await
    }

    pub(crate) async fn post(&mut self, uri: &str, fields: &[(&str, &str)]) -> Reply {
        self.send(Request::post(uri).header("content-type", "application/x-www-form-urlencoded"), encoded(fields)).await
    }

    pub(crate) async fn sign_in(&mut self, name: &str, password: &str) -> Reply {
        self.cookies.remove("croupier_session");
        self.cookies.remove("__Host-croupier_session");
        let form = self.get("/dashboard/sign-in").await;
        self.sign_in_with(&form, name, password).await
    }

    pub(crate) async fn sign_in_with(&mut self, form: &Reply, name: &str, password: &str) -> Reply {
        let (csrf, next) = (field(&form.body, "csrf"), field(&form.body, "next"));
        let fields = [("csrf", &*csrf), ("next", &*next), ("name", name), ("password", password)];
        self.post("/dashboard/sign-in", &fields).await
    }

    async fn send(&mut self, mut builder: axum::http::request::Builder, body: String) -> Reply {
        for (name, value) in &self.headers {
            builder = builder.header(*name, *value);
        }
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = builder.header("host", self.host).header("cookie", cookies.join("; "));
        let mut request = request.body(Body::from(body)).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from((self.peer, 40_000))));
        let reply = answer(self.router.clone(), request).await;
        for cookie in reply.headers.get_all(header::SET_COOKIE) {
            let (pair, rest) = cookie.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if rest.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.into(), value.into());
            }
        }
        reply
    }
}

pub(crate) fn encoded(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// The value of a hidden field.
pub(crate) fn field(html: &str, name: &str) -> String {
    let (_, rest) = html.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{name} in {html}"));
    let value = rest.split_once('"').unwrap().0;
    value.replace("&#38;", "&")
}

/// What is logged.
#[derive(Clone)]
pub(crate) struct Log(pub(crate) Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
