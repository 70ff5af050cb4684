//! Receives mirrored requests: each is put into a bounded queue and answered, whatever becomes of it.

use crate::failure::Failure;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, Instant};

/// Largest body that is taken, as the API's own limit.
const BODY: usize = 1 << 20;
/// Most connections of sources.
const CONNECTIONS: usize = 10_000;
/// Pause after connections could not be accepted, as when no more files may be open.
const BACK_OFF: Duration = Duration::from_millis(50);

/// A request as it arrived.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) at: Instant,
    pub(super) peer: SocketAddr,
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Requests that were answered and not kept.
#[derive(Debug, Clone, Default)]
pub(super) struct Missed {
    /// The queue was full.
    pub(super) dropped: Arc<AtomicU64>,
    /// The body was too large or ended early.
    pub(super) bodies: Arc<AtomicU64>,
}

/// Listens on a thread of its own until the program ends.
pub(super) fn listen(address: SocketAddr, queue: SyncSender<Arrival>, missed: Missed) -> Result<SocketAddr, Failure> {
    let failed = |error| Failure::System { what: "listen for mirrored requests", error };
    let bound = |e: std::io::Error| Failure::Argument { argument: "--listen", why: format!("{address}: {e}") };
    let listener = TcpListener::bind(address).map_err(bound)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let serve = move || drop(runtime.block_on(accept(listener, queue, missed)));
    std::thread::Builder::new().name("listener".into()).spawn(serve).map_err(failed)?;
    Ok(address)
}

async fn accept(listener: TcpListener, queue: SyncSender<Arrival>, missed: Missed) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let room = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS));
    loop {
        let place = room.clone().acquire_owned().await.map_err(std::io::Error::other)?;
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(BACK_OFF).await;
            continue;
        };
        let (queue, missed) = (queue.clone(), missed.clone());
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let take = service_fn(|request| take(request, peer, &queue, &missed));
            // A source that goes away is its own affair.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), take).await;
            drop(place);
        });
    }
}

async fn take(
    request: Request<Incoming>,
    peer: SocketAddr,
    queue: &SyncSender<Arrival>,
    missed: &Missed,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let at = Instant::now();
    let (head, body) = request.into_parts();
    match Limited::new(body, BODY).collect().await {
        Ok(body) => {
            let body = body.to_bytes();
            let arrival = Arrival { at, peer, method: head.method, uri: head.uri, headers: head.headers, body };
            if let Err(TrySendError::Full(_)) = queue.try_send(arrival) {
                missed.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
        Err(_) => drop(missed.bodies.fetch_add(1, Ordering::Relaxed)),
    }
    let mut answer = Response::new(Empty::new());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    Ok(answer)
}
