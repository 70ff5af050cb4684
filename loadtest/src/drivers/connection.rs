//! One kept-alive connection, opened again when it broke.

use super::error::Error;
use super::request::Request;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::StatusCode;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderValue};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// A connection that carries one request at a time.
pub(crate) struct Connection {
    target: SocketAddr,
    host: HeaderValue,
    live: Option<Live>,
}

struct Live {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    pub(crate) async fn open(target: SocketAddr) -> Result<Self, Error> {
        let refused = |why: String| Error::Connect { target, why };
        let host = HeaderValue::from_str(&target.to_string()).map_err(|e| refused(e.to_string()))?;
        let live = connect(target).await.map_err(refused)?;
        Ok(Self { target, host, live: Some(live) })
    }

    /// Sends, and reads the answer to its end. After an error or when dropped half-way the connection is
    /// not used again: what it would read next belongs to the past.
    pub(crate) async fn exchange(&mut self, mut request: Request) -> Result<StatusCode, String> {
        request.headers_mut().entry(HOST).or_insert_with(|| self.host.clone());
        let mut live = match self.live.take() {
            Some(live) if !live.sender.is_closed() => live,
            _ => connect(self.target).await?,
        };
        live.sender.ready().await.map_err(|e| explain(&e))?;
        let response = live.sender.send_request(request).await.map_err(|e| explain(&e))?;
        let (head, mut body) = response.into_parts();
        while let Some(frame) = body.frame().await {
            frame.map_err(|e| explain(&e))?;
        }
        self.live = Some(live);
        Ok(head.status)
    }
}

async fn connect(target: SocketAddr) -> Result<Live, String> {
    let stream = TcpStream::connect(target).await.map_err(|e| e.to_string())?;
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|e| explain(&e))?;
    // What breaks a connection is told to the request it carries.
    let driver = tokio::spawn(async { drop(connection.await) });
    Ok(Live { sender, driver })
}

/// hyper names the operation and keeps the reason in the source.
fn explain(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
