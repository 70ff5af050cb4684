//! Connections: so many and no more, and none is held by who says nothing, or does not listen.

use crate::patient::Patient;
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

/// How many connections a port takes, and for how long each may wait for a whole head, the first or the next, and for its
/// answer to be read.
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
        let tcp = Patient::new(tcp, bounds.idle);
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

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::sync::{Notify, oneshot};
    use tokio::task::{JoinHandle, spawn_blocking};

    const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    async fn start(
        router: Router,
        connections: usize,
        idle_ms: u64,
    ) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let bounds = Bounds { connections, idle: Duration::from_millis(idle_ms) };
        let serving = serve(listener, router, bounds, async { drop(stopped.await) });
        (address, stop, tokio::spawn(serving))
    }

    fn connect(address: SocketAddr) -> TcpStream {
        let tcp = TcpStream::connect(address).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        tcp
    }

    /// What has come once `end` has, or once the connection is closed.
    fn read_until(tcp: &mut TcpStream, end: &str) -> String {
        let (mut all, mut some) = (Vec::new(), [0; 1024]);
        loop {
            let n = tcp.read(&mut some).unwrap();
            all.extend(&some[..n]);
            let text = String::from_utf8(all.clone()).unwrap();
            if n == 0 || text.ends_with(end) {
                return text;
            }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_does_not_finish_a_head_is_let_go() {
        let router = Router::new().route("/", get(|| async { "done" }));
        let (address, _stop, _serving) = start(router, 10, 50).await;
        let ended = spawn_blocking(move || {
            let mut silent = connect(address);
            let mut half = connect(address);
            half.write_all(&ASK[..20]).unwrap();
            let mut between = connect(address);
            between.write_all(ASK).unwrap();
            assert!(read_until(&mut between, "done").starts_with("HTTP/1.1 200"));
            // Each ends: a connection that did not would run into the time limit of its reader.
            for tcp in [&mut silent, &mut half, &mut between] {
                assert!(!read_until(tcp, "never").contains("200"));
            }
        });
        ended.await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn connections_beyond_the_bound_wait() {
        let asked = Arc::new(AtomicU32::new(0));
        let counted = asked.clone();
        let answer = move || async move { format!("{}!", counted.fetch_add(1, Ordering::SeqCst)) };
        let (address, _stop, _serving) = start(Router::new().route("/", get(answer)), 1, 60_000).await;
        let ended = spawn_blocking(move || {
            let mut first = connect(address);
            first.write_all(ASK).unwrap();
            assert!(read_until(&mut first, "!").ends_with("0!"));
            // It is connected, by the system, and has asked; but the first has the only place.
            let mut second = connect(address);
            second.write_all(ASK).unwrap();
            for n in 1..5 {
                first.write_all(ASK).unwrap();
                assert!(read_until(&mut first, "!").ends_with(&format!("{n}!")));
            }
            drop(first);
            assert!(read_until(&mut second, "!").ends_with("5!"));
        });
        ended.await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_was_begun_is_finished_and_the_idle_do_not_hold_it_up() {
        let (begun, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (begins, finishes) = (begun.clone(), finish.clone());
        let answer = move || async move {
            begins.notify_one();
            finishes.notified().await;
            "done"
        };
        let (address, stop, serving) = start(Router::new().route("/", get(answer)), 10, 60_000).await;
        let _idle = connect(address);
        let busy = spawn_blocking(move || {
            let mut tcp = connect(address);
            tcp.write_all(ASK).unwrap();
            read_until(&mut tcp, "done")
        });
        begun.notified().await;
        stop.send(()).unwrap();
        finish.notify_one();
        assert!(busy.await.unwrap().ends_with("done"));
        serving.await.unwrap();
        assert!(TcpStream::connect(address).is_err(), "nobody new is let in");
    }
}
