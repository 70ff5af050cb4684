//! Connections: so many and no more, and none is held by who says nothing.

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::ServiceExt;

/// How long it rests when no connection can be taken, for want of files most likely.
const REST: Duration = Duration::from_millis(200);

/// How many connections a port takes, and for how long each may wait for a whole head, the first or the next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) connections: usize,
    pub(crate) idle: Duration,
}

/// Answers until `stop`; then takes no more connections, and ends once those that are busy are done. Connections beyond the
/// bound wait to be taken. In place of `axum::serve`, which knows no bounds.
pub(crate) async fn serve(listener: TcpListener, router: Router, bounds: Bounds, stop: impl Future<Output = ()>) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(bounds.idle);
    let (room, graceful) = (Arc::new(Semaphore::new(bounds.connections)), GracefulShutdown::new());
    let mut stop = pin!(stop);
    loop {
        let accept = async {
            // It is never closed.
            let place = room.clone().acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            taken = accept => taken,
            () = &mut stop => break,
        };
        let (tcp, address) = match accepted {
            Ok(taken) => taken,
            Err(e) => {
                tracing::warn!("a connection cannot be taken: {e}");
                tokio::time::sleep(REST).await;
                continue;
            }
        };
        // Small answers must not wait for a full packet; without it they are only slower.
        let _ = tcp.set_nodelay(true);
        let service = router.clone().map_request(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(address));
            request
        });
        let connection = http.serve_connection(TokioIo::new(tcp), TowerToHyperService::new(service));
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // Clients come and go as they like; what they sent was answered or is told elsewhere.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}
