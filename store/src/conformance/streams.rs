//! The streams of an HTTP/2 connection, as its client opens and ends them.
//!
//! The Pub/Sub emulator goes on delivering to a reader that has gone, or that reset its stream; it lets go of one that ended
//! its stream itself (RFC 9113, 8.1), if nothing worse overtakes that. The service notices each. What stands between reader
//! and emulator tells it in the one way that it understands.

use std::collections::BTreeSet;

/// What a client sends before its first frame; administrative requests speak HTTP/1.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Length, type, flags and stream of a frame.
const HEAD: usize = 9;
/// Types of frames.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
/// Flag of the last frame of a stream.
const END_STREAM: u8 = 1;

/// What a client sent.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// Whether it speaks HTTP/2, once that is known.
    http2: Option<bool>,
    /// The beginning of a frame.
    part: Vec<u8>,
    open: BTreeSet<u32>,
}

impl Streams {
    /// The frames that are whole with `piece`; a stream that is reset is ended instead.
    pub(super) fn whole(&mut self, piece: &[u8]) -> Vec<u8> {
        self.part.extend(piece);
        let mut whole = 0;
        if self.http2.is_none() {
            if self.part.starts_with(PREFACE) {
                (self.http2, whole) = (Some(true), PREFACE.len());
            } else if !PREFACE.starts_with(&self.part) {
                self.http2 = Some(false);
            }
        }
        match self.http2 {
            None => return Vec::new(),
            Some(false) => return std::mem::take(&mut self.part),
            Some(true) => {}
        }
        let mut out = self.part[..whole].to_vec();
        while let Some(&[a, b, c, kind, flags, s0, s1, s2, s3]) = self.part[whole..].first_chunk::<HEAD>() {
            let end = whole + HEAD + usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap();
            if end > self.part.len() {
                break;
            }
            let stream = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
            match kind {
                DATA | HEADERS if flags & END_STREAM != 0 => drop(self.open.remove(&stream)),
                HEADERS => drop(self.open.insert(stream)),
                _ => {}
            }
            match kind {
                RST_STREAM if self.open.remove(&stream) => out.extend(end_of(stream)),
                RST_STREAM => {}
                _ => out.extend(&self.part[whole..end]),
            }
            whole = end;
        }
        self.part.drain(..whole);
        out
    }

    /// The ends of all that are open.
    pub(super) fn end(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.open).into_iter().flat_map(end_of).collect()
    }
}

/// The last frame of a stream, empty.
fn end_of(stream: u32) -> [u8; HEAD] {
    let [s0, s1, s2, s3] = stream.to_be_bytes();
    [0, 0, 0, DATA, END_STREAM, s0, s1, s2, s3]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8, body: &[u8]) -> Vec<u8> {
        let length = u8::try_from(body.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], body].concat()
    }

    #[test]
    fn streams_are_ended_that_their_client_left_open() {
        let ping = frame(6, 1, 0, &[7; 8]);
        let sent = [
            PREFACE.to_vec(),
            frame(HEADERS, 4, 1, b"reads"),
            frame(DATA, 0, 1, &[1; 200]),
            frame(HEADERS, 4, 3, b"asks"),
            frame(DATA, END_STREAM, 3, b"once"),
            ping.clone(),
            frame(HEADERS, 4 | END_STREAM, 5, b"asks"),
            frame(HEADERS, 4, 7, b"reads"),
        ]
        .concat();
        // However the network cuts it.
        for size in [1, 8, 9, 10, 25, sent.len()] {
            let mut streams = Streams::default();
            let passed: Vec<u8> = sent.chunks(size).flat_map(|piece| streams.whole(piece)).collect();
            assert_eq!(passed, sent);
            let reset = frame(RST_STREAM, 0, 7, &[0, 0, 0, 8]);
            assert_eq!(streams.whole(&reset), end_of(7));
            assert!(streams.whole(&reset).is_empty(), "it has ended");
            assert!(streams.whole(&ping[..ping.len() - 1]).is_empty(), "not whole yet");
            assert_eq!(streams.end(), end_of(1));
            assert!(streams.end().is_empty());
        }
    }

    #[test]
    fn what_is_not_http2_passes_as_it_is() {
        let mut streams = Streams::default();
        assert!(streams.whole(b"P").is_empty(), "it may become either");
        assert_eq!(streams.whole(b"OST / HTTP/1.1\r\n"), b"POST / HTTP/1.1\r\n");
        assert_eq!(streams.whole(b"PRI"), b"PRI");
        assert!(streams.end().is_empty());
    }
}
