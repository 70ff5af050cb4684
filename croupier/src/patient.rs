//! A connection whose other end must read what it is sent: who does not is let go.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// A stream whose writes fail once none could go on for a while. Of an end that reads a byte now and then, the system
/// takes more only once a good part of its buffer is free, so that such a one is let go as well.
pub(crate) struct Patient<T> {
    stream: T,
    patience: Duration,
    /// While a write waits, when that ends.
    end: Option<Pin<Box<Sleep>>>,
}

impl<T> Patient<T> {
    pub(crate) fn new(stream: T, patience: Duration) -> Self {
        Self { stream, patience, end: None }
    }

    /// What a write came to; an error if it has waited too long.
    fn wait<V>(&mut self, written: Poll<io::Result<V>>, cx: &mut Context<'_>) -> Poll<io::Result<V>> {
        if written.is_ready() {
            self.end = None;
            return written;
        }
        let until = Instant::now() + self.patience;
        let end = self.end.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        ready!(end.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "what was sent is not read")))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Patient<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, to)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Patient<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wait(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.wait(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.wait(flushed, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.wait(closed, cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const PATIENCE: Duration = Duration::from_secs(30);

    /// The clock of these tests stands still until nothing else can go on.
    #[tokio::test(start_paused = true)]
    async fn who_reads_nothing_is_let_go() {
        let (ours, _theirs) = duplex(1_000);
        let begun = Instant::now();
        let error = Patient::new(ours, PATIENCE).write_all(&[7; 2_000]).await.unwrap_err();
        assert_eq!((error.kind(), begun.elapsed()), (io::ErrorKind::TimedOut, PATIENCE));
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_on_is_not_however_long_it_takes() {
        let (ours, mut theirs) = duplex(1_000);
        let sent = tokio::spawn(async move { Patient::new(ours, PATIENCE).write_all(&[7; 20_000]).await });
        let begun = Instant::now();
        let mut got = 0;
        while got < 20_000 {
            tokio::time::sleep(PATIENCE - Duration::from_secs(1)).await;
            got += theirs.read(&mut [0; 1_000]).await.unwrap();
        }
        assert!(begun.elapsed() > 10 * PATIENCE);
        sent.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_end_that_owes_nothing_may_stay() {
        let (ours, mut theirs) = duplex(1_000);
        let mut ours = Patient::new(ours, PATIENCE);
        for _ in 0..3 {
            ours.write_all(&[7; 500]).await.unwrap();
            theirs.read_exact(&mut [0; 500]).await.unwrap();
            tokio::time::sleep(10 * PATIENCE).await;
        }
    }
}
