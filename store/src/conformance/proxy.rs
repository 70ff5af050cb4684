//! A proxy before a service, whose network can be made slow or dead.

use super::streams::Streams;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// Most pieces on their way in one direction of a connection.
const ON_THE_WAY: usize = 1_024;

/// How the network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    /// Nothing arrives; what was sent waits, and arrives once it is mended.
    cut: bool,
    /// Nothing arrives at the target.
    muted: bool,
    /// How long a piece is on its way, in either direction.
    delay: Duration,
    /// Connections of earlier generations are dead.
    generation: u64,
}

/// Passes TCP connections on to a target. Dropping it ends them all.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    network: watch::Sender<Network>,
}

impl Proxy {
    /// Begins to listen on a free port of the loopback address, for connections to `target`. Needs a tokio runtime.
    pub async fn start(target: SocketAddr) -> Self {
        Self::of(target, false).await
    }

    /// The same before the Pub/Sub emulator: it is told of readers that have gone, as the service notices by itself.
    pub async fn before_pubsub(target: SocketAddr) -> Self {
        Self::of(target, true).await
    }

    async fn of(target: SocketAddr, ends_streams: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (network, seen) =
            watch::channel(Network { cut: false, muted: false, delay: Duration::ZERO, generation: 0 });
        tokio::spawn(async move {
            loop {
                let (mut ended, seen) = (seen.clone(), seen.clone());
                let streams = ends_streams.then(Streams::default);
                tokio::select! {
                    Ok((client, _)) = listener.accept() => drop(tokio::spawn(connection(client, target, streams, seen))),
                    () = gone(&mut ended) => return,
                }
            }
        });
        Self { address, network }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on every piece takes `delay` on its way, in either direction.
    pub fn delay(&self, delay: Duration) {
        self.network.send_modify(|n| n.delay = delay);
    }

    /// From now on nothing arrives, and nobody is told.
    pub fn cut(&self) {
        self.network.send_modify(|n| n.cut = true);
    }

    /// From now on what clients send does not arrive, what they are sent does.
    pub fn mute(&self) {
        self.network.send_modify(|n| n.muted = true);
    }

    /// Everything arrives again at once, what was withheld first.
    pub fn mend(&self) {
        self.network.send_modify(|n| (n.cut, n.muted, n.delay) = (false, false, Duration::ZERO));
    }

    /// Ends all present connections, and what was withheld with them; new ones are passed on.
    pub fn reset(&self) {
        self.network.send_modify(|n| n.generation += 1);
    }
}

/// Waits until the proxy is dropped.
async fn gone(network: &mut watch::Receiver<Network>) {
    while network.changed().await.is_ok() {}
}

async fn connection(
    client: TcpStream,
    target: SocketAddr,
    mut streams: Option<Streams>,
    mut network: watch::Receiver<Network>,
) {
    let generation = network.borrow().generation;
    let mut later = network.clone();
    let over = async { drop(later.wait_for(|n| n.generation != generation).await) };
    let mut over = std::pin::pin!(over);
    let connect = async {
        // The target learns of a connection no sooner than of what is sent over it.
        let _ = network.wait_for(|n| !n.cut && !n.muted).await;
        TcpStream::connect(target).await
    };
    let server = tokio::select! {
        server = connect => server,
        _ = &mut over => return,
    };
    // A target that is away ends the connection, as it would itself.
    let Ok(server) = server else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let pass = async {
        tokio::join!(
            direction(&mut from_client, &mut to_server, streams.as_mut(), network.clone(), |n| n.cut || n.muted),
            direction(&mut from_server, &mut to_client, None, network.clone(), |n| n.cut)
        )
    };
    tokio::select! {
        _ = pass => {}
        () = over => {}
    }
    if let Some(streams) = &mut streams {
        let _ = to_server.write_all(&streams.end()).await;
        // The end of the connection would overtake that of its streams.
        let mut rest = tokio::io::sink();
        tokio::select! {
            _ = tokio::io::copy(&mut from_server, &mut rest) => {}
            () = gone(&mut network) => {}
        }
    }
}

/// Passes on what comes, unless the network is `stopped`; then what waits, until it is mended. A client that ends leaves
/// no stream open, where there are `streams`.
async fn direction(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    mut streams: Option<&mut Streams>,
    mut network: watch::Receiver<Network>,
    stopped: fn(&Network) -> bool,
) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Arc<[u8]>)>(ON_THE_WAY);
    let seen = network.clone();
    let read = async move {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(n @ 1..) = from.read(&mut buffer).await {
            let due = Instant::now() + seen.borrow().delay;
            if sender.send((due, buffer[..n].into())).await.is_err() {
                return;
            }
        }
    };
    let write = async move {
        while let Some((due, piece)) = receiver.recv().await {
            tokio::select! {
                () = sleep_until(due) => {}
                _ = network.wait_for(|n| n.delay.is_zero()) => {}
            }
            if network.wait_for(|n| !stopped(n)).await.is_err() {
                return;
            }
            let sent = match &mut streams {
                Some(streams) => to.write_all(&streams.whole(&piece)).await,
                None => to.write_all(&piece).await,
            };
            if sent.is_err() {
                return;
            }
        }
        let _ = match streams {
            Some(streams) => to.write_all(&streams.end()).await,
            None => to.shutdown().await,
        };
    };
    tokio::join!(read, write);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::soon;

    /// A service that says what it is told.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        address
    }

    async fn said(stream: &mut TcpStream) -> Option<u8> {
        soon(stream.read_u8()).await.ok()
    }

    #[tokio::test]
    async fn a_network_can_be_slow_dead_and_mended() {
        let proxy = Proxy::start(echo().await).await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        stream.write_all(b"a").await.unwrap();
        assert_eq!(said(&mut stream).await, Some(b'a'));

        proxy.delay(Duration::from_millis(50));
        let begun = Instant::now();
        stream.write_all(b"b").await.unwrap();
        assert_eq!(said(&mut stream).await, Some(b'b'));
        assert!(begun.elapsed() >= Duration::from_millis(100), "{:?}", begun.elapsed());

        proxy.cut();
        stream.write_all(b"c").await.unwrap();
        let silence = tokio::time::timeout(Duration::from_millis(200), stream.peek(&mut [0])).await;
        assert!(silence.is_err(), "something arrived");
        proxy.mend();
        assert_eq!(said(&mut stream).await, Some(b'c'));

        proxy.mute();
        stream.write_all(b"e").await.unwrap();
        let silence = tokio::time::timeout(Duration::from_millis(200), stream.peek(&mut [0])).await;
        assert!(silence.is_err(), "the target heard it");
        proxy.mend();
        assert_eq!(said(&mut stream).await, Some(b'e'));

        proxy.reset();
        assert_eq!(said(&mut stream).await, None);
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        stream.write_all(b"d").await.unwrap();
        assert_eq!(said(&mut stream).await, Some(b'd'));
        drop(proxy);
        assert_eq!(said(&mut stream).await, None);
    }
}
