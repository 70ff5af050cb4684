//! A backup of stores on this machine's disk, as a stream.

use crate::app::App;
use crate::problem::{Problem, Result};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use std::io::{self, Write};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Pieces that wait for whoever receives them.
const WAITING: usize = 8;

/// Copy everything that is kept, as `croupier restore` takes it. All that was acknowledged before is in it. One at a time; an
/// answer without its end is no backup, which `croupier backup` verifies.
#[utoipa::path(post, path = "/v1/backup", operation_id = "backup", tag = "operations",
    responses((status = 200, body = String, content_type = "application/octet-stream", example = json!("CROUPBK…")),
    (status = 409, body = Problem)))]
pub(crate) async fn post(State(app): State<Arc<App>>) -> Result<Response> {
    let Some(backup) = app.stores.backup.clone() else {
        let why = "what is kept is not all on this machine's disk: Bigtable and PostgreSQL have backups of their own";
        return Err(Problem::new(StatusCode::CONFLICT, why));
    };
    let turn = backup.turn()?;
    let (send, receive) = mpsc::channel(WAITING);
    let pipe = Pipe(send.clone());
    tokio::spawn(async move {
        if let Err(e) = backup.write(turn, pipe).await {
            tracing::error!("a backup broke off: {e}");
            // Breaks the answer off too, if anybody still reads it.
            drop(send.send(Err(io::Error::other("the backup broke off"))).await);
        }
    });
    let pieces = futures::stream::unfold(receive, async |mut receive| Some((receive.recv().await?, receive)));
    Ok(([(CONTENT_TYPE, "application/octet-stream")], Body::from_stream(pieces)).into_response())
}

struct Pipe(mpsc::Sender<io::Result<Bytes>>);

impl Write for Pipe {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(piece)));
        sent.map(|()| piece.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
