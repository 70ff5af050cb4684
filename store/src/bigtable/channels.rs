//! Connections to Google's services, or to an emulator in their place, and what proves who we are.

use google_cloud_auth::credentials::{Builder, CacheableResource, Credentials};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

/// What may be done with the token: read and write data, look at and make tables.
const SCOPES: [&str; 2] =
    ["https://www.googleapis.com/auth/bigtable.data", "https://www.googleapis.com/auth/bigtable.admin.table"];

/// Longest that connecting may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Bytes that a service may send ahead of being read: a posterior set's parts.
const WINDOW: u32 = 8 << 20;

/// Some connections that take turns, since one carries a hundred calls at once and uses one core on either side.
#[derive(Clone)]
pub(super) struct Channels {
    channels: Arc<[Channel]>,
    turn: Arc<AtomicUsize>,
    /// None for an emulator.
    credentials: Option<Credentials>,
}

impl Channels {
    /// To `host` (over TLS, with Application Default Credentials), or to the emulator at `HOST:PORT`. Nothing is
    /// connected before the first call.
    pub(super) fn new(host: &str, emulator: Option<&str>, count: usize) -> Result<Self, Status> {
        let (endpoint, credentials) = match emulator {
            Some(address) => (Endpoint::from_shared(format!("http://{address}")), None),
            None => (Endpoint::from_shared(format!("https://{host}")).and_then(secured), Some(credentials()?)),
        };
        let endpoint = endpoint
            .map_err(|e| Status::invalid_argument(format!("cannot connect: {}", chain(&e))))?
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(4 * WINDOW);
        let channels = (0..count).map(|_| endpoint.connect_lazy()).collect();
        Ok(Self { channels, turn: Arc::default(), credentials })
    }

    /// The next connection's turn.
    pub(super) fn next(&self) -> Channel {
        let turn = self.turn.fetch_add(1, Relaxed);
        self.channels[turn % self.channels.len()].clone()
    }

    /// The headers that prove who we are; none for an emulator. The library keeps the token and renews it before it
    /// ends.
    pub(super) async fn token(&self) -> Result<MetadataMap, Status> {
        let Some(credentials) = &self.credentials else { return Ok(MetadataMap::new()) };
        match credentials.headers(Default::default()).await.map_err(|e| refused(&e, e.is_transient()))? {
            CacheableResource::New { data, .. } => Ok(MetadataMap::from_headers(data)),
            CacheableResource::NotModified => Err(Status::internal("a token was kept back")),
        }
    }

    /// `message` with our token and the header that routes it; it tells the service to give up after `deadline`.
    pub(super) async fn request<M>(
        &self,
        message: M,
        routing: &MetadataValue<Ascii>,
        deadline: Duration,
    ) -> Result<Request<M>, Status> {
        let mut request = Request::new(message);
        *request.metadata_mut() = self.token().await?;
        request.metadata_mut().insert("x-goog-request-params", routing.clone());
        request.set_timeout(deadline);
        Ok(request)
    }
}

fn secured(endpoint: Endpoint) -> Result<Endpoint, tonic::transport::Error> {
    crate::choose_cryptography();
    // As Google's own clients do, to notice a connection that died silently.
    let endpoint = endpoint
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true);
    endpoint.tls_config(ClientTlsConfig::new().with_native_roots())
}

fn credentials() -> Result<Credentials, Status> {
    crate::choose_cryptography();
    Builder::default().with_scopes(SCOPES).build().map_err(|e| refused(&e, false))
}

/// A token that could not be had.
fn refused(error: &(dyn Error + 'static), transient: bool) -> Status {
    let why = chain(error);
    // With no file of credentials, the library asks the machine for its own, and when there is no such service either
    // it calls that transient and gives this advice.
    if why.contains("application-default login") {
        return Status::unauthenticated("there are no Google credentials");
    }
    let why = format!("no token from the Google credentials: {why}");
    if transient { Status::unavailable(why) } else { Status::unauthenticated(why) }
}

/// An error and its causes, each said once.
fn chain(error: &(dyn Error + 'static)) -> String {
    std::iter::successors(Some(error), |&e| e.source()).map(ToString::to_string).fold(String::new(), |said, cause| {
        match said.as_str() {
            "" => cause,
            _ if said.contains(&cause) => said,
            _ => format!("{said}: {cause}"),
        }
    })
}

/// The header that routes a call by what it names. Nothing that is percent-encoded is not a header.
pub(super) fn routing(parts: &[(&str, &str)]) -> MetadataValue<Ascii> {
    let pairs: Vec<_> = parts.iter().map(|(name, value)| format!("{name}={}", percent(value))).collect();
    MetadataValue::try_from(pairs.join("&")).unwrap_or_else(|_| MetadataValue::from_static(""))
}

fn percent(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routing_names_are_percent_encoded() {
        let header = routing(&[("table_name", "projects/a:b/instances/i é/tables/t_1"), ("app_profile_id", "")]);
        let expected = "table_name=projects%2Fa%3Ab%2Finstances%2Fi%20%C3%A9%2Ftables%2Ft_1&app_profile_id=";
        assert_eq!(header.to_str().unwrap(), expected);
    }

    #[tokio::test]
    async fn connections_take_turns() {
        let channels = Channels::new("", Some("127.0.0.1:1"), 3).unwrap();
        for _ in 0..7 {
            let _ = channels.next();
        }
        assert_eq!(channels.turn.load(Relaxed), 7);
        assert!(Channels::new("", Some("not a host"), 1).is_err());
    }
}
