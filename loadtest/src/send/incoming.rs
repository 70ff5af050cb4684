//! One answer, read as it comes in.

use httparse::{EMPTY_HEADER, Status};

/// Longest head of an answer.
const HEAD: usize = 64 << 10;
/// Headers that a head may have.
const HEADERS: usize = 100;
/// What is kept of a body; the rest is read and dropped.
const BODY: usize = 256 << 10;

/// An answer under way.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    /// What came and is not understood yet: the beginning of a head or of a chunk's size.
    partial: Vec<u8>,
    phase: Phase,
    /// Status of the answer, once its head was read.
    pub(crate) status: u16,
    /// Its body, if it is wanted, cut where it is too long.
    pub(crate) body: Vec<u8>,
    /// Whether the connection can be used again.
    pub(crate) reusable: bool,
    keep_body: bool,
    bodiless: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Head,
    Length(u64),
    ChunkSize,
    /// The chunk and the line's end after it.
    Chunk(u64),
    Trailer,
    UntilClose,
    Done,
}

/// What came is not HTTP/1.1.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotHttp;

impl Incoming {
    /// Ready for the answer of the next request.
    pub(crate) fn expect(&mut self, keep_body: bool, bodiless: bool) {
        self.partial.clear();
        self.body.clear();
        self.phase = Phase::Head;
        (self.status, self.reusable) = (0, false);
        (self.keep_body, self.bodiless) = (keep_body, bodiless);
    }

    /// Takes what came; whether the answer is whole.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<bool, NotHttp> {
        let mut partial = std::mem::take(&mut self.partial);
        let used = if partial.is_empty() {
            let used = self.read(bytes)?;
            partial.extend_from_slice(&bytes[used..]);
            0
        } else {
            partial.extend_from_slice(bytes);
            self.read(&partial)?
        };
        partial.drain(..used);
        let done = self.phase == Phase::Done;
        if done && !partial.is_empty() {
            // Nobody asked for what comes after: this connection is out of step.
            self.reusable = false;
        }
        if partial.len() > HEAD {
            return Err(NotHttp);
        }
        self.partial = partial;
        Ok(done)
    }

    /// The connection was closed: whether the answer is whole by that.
    pub(crate) fn close(&mut self) -> bool {
        self.reusable = false;
        self.phase == Phase::UntilClose
    }

    /// Reads as far as it understands; how many bytes that is.
    fn read(&mut self, bytes: &[u8]) -> Result<usize, NotHttp> {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            match self.phase {
                Phase::Done => return Ok(at),
                Phase::UntilClose => {
                    self.keep(rest);
                    return Ok(bytes.len());
                }
                Phase::Length(0) => self.phase = Phase::Done,
                Phase::Length(left) => {
                    let n = part(rest, left);
                    if n == 0 {
                        return Ok(at);
                    }
                    self.keep(&rest[..n]);
                    self.phase = Phase::Length(left - n as u64);
                    at += n;
                }
                Phase::Chunk(0) => self.phase = Phase::ChunkSize,
                Phase::Chunk(left) => {
                    let n = part(rest, left);
                    if n == 0 {
                        return Ok(at);
                    }
                    let data = usize::try_from(left.saturating_sub(2)).unwrap_or(usize::MAX).min(n);
                    self.keep(&rest[..data]);
                    self.phase = Phase::Chunk(left - n as u64);
                    at += n;
                }
                Phase::ChunkSize => match httparse::parse_chunk_size(rest).map_err(|_| NotHttp)? {
                    Status::Partial => return Ok(at),
                    Status::Complete((used, 0)) => {
                        self.phase = Phase::Trailer;
                        at += used;
                    }
                    Status::Complete((used, size)) => {
                        self.phase = Phase::Chunk(size.checked_add(2).ok_or(NotHttp)?);
                        at += used;
                    }
                },
                Phase::Trailer => {
                    let mut headers = [EMPTY_HEADER; HEADERS];
                    match httparse::parse_headers(rest, &mut headers).map_err(|_| NotHttp)? {
                        Status::Partial => return Ok(at),
                        Status::Complete((used, _)) => at += used,
                    }
                    self.phase = Phase::Done;
                }
                Phase::Head => match self.head(rest)? {
                    None => return Ok(at),
                    Some(used) => at += used,
                },
            }
        }
    }

    fn head(&mut self, bytes: &[u8]) -> Result<Option<usize>, NotHttp> {
        let mut headers = [EMPTY_HEADER; HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let Status::Complete(used) = response.parse(bytes).map_err(|_| NotHttp)? else { return Ok(None) };
        let status = response.code.ok_or(NotHttp)?;
        if (100..200).contains(&status) && status != 101 {
            return Ok(Some(used));
        }
        let mut length = None;
        let mut chunked = false;
        self.reusable = response.version == Some(1);
        for header in response.headers {
            let has = |word: &[u8]| header.value.to_ascii_lowercase().windows(word.len()).any(|w| w == word);
            if header.name.eq_ignore_ascii_case("content-length") {
                let text = std::str::from_utf8(header.value).map_err(|_| NotHttp)?;
                length = Some(text.trim().parse().map_err(|_| NotHttp)?);
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                chunked |= has(b"chunked");
            } else if header.name.eq_ignore_ascii_case("connection") {
                self.reusable = (self.reusable || has(b"keep-alive")) && !has(b"close");
            }
        }
        self.status = status;
        self.phase = match length {
            _ if self.bodiless || status == 204 || status == 304 => Phase::Done,
            _ if chunked => Phase::ChunkSize,
            Some(length) => Phase::Length(length),
            None => Phase::UntilClose,
        };
        Ok(Some(used))
    }

    fn keep(&mut self, data: &[u8]) {
        if self.keep_body {
            let room = BODY.saturating_sub(self.body.len()).min(data.len());
            self.body.extend_from_slice(&data[..room]);
        }
    }
}

fn part(bytes: &[u8], left: u64) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An answer, cut into pieces wherever the cuts are, reads the same.
    fn read(bytes: &[u8], cuts: &[usize]) -> Result<(bool, Incoming), NotHttp> {
        let mut incoming = Incoming::default();
        incoming.expect(true, false);
        let (mut at, mut whole) = (0, false);
        for cut in cuts.iter().copied().chain([bytes.len()]) {
            let to = cut.clamp(at, bytes.len());
            whole = incoming.feed(&bytes[at..to])?;
            at = to;
        }
        Ok((whole, incoming))
    }

    #[test]
    fn bodies_end_where_they_say() {
        for (text, status, body, reusable) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", true),
            ("HTTP/1.1 200 OK\r\nconnection: Close\r\ncontent-length: 2\r\n\r\nhi", 200, "hi", false),
            ("HTTP/1.0 404 No\r\nContent-Length: 0\r\n\r\n", 404, "", false),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204, "", true),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
                200,
                "abc0123456789",
                true,
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nEtag: 1\r\n\r\n", 200, "x", true),
            // What nobody asked for.
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK", 200, "x", false),
        ] {
            let (whole, got) = read(text.as_bytes(), &[]).unwrap();
            let got = (whole, got.status, String::from_utf8(got.body).unwrap(), got.reusable);
            assert_eq!(got, (true, status, body.to_owned(), reusable), "{text}");
        }
    }

    #[test]
    fn without_a_length_it_ends_with_the_connection() {
        let (whole, mut got) = read(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", &[]).unwrap();
        assert!(!whole && got.close() && got.body == b"until the end" && !got.reusable);
        let (whole, mut got) = read(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", &[]).unwrap();
        assert!(!whole && !got.close());
    }

    #[test]
    fn what_is_not_http_is_refused() {
        for text in ["SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"] {
            assert_eq!(read(text.as_bytes(), &[]).err(), Some(NotHttp), "{text}");
        }
        assert_eq!(read(&[b'x'; HEAD + 1], &[]).err(), Some(NotHttp));
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(chunks in prop::collection::vec("[a-z]{1,40}", 0..6), mut cuts in prop::collection::vec(0_usize..400, 0..8)) {
            cuts.sort_unstable();
            let mut text = "HTTP/1.1 200 OK\r\nServer: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
            for chunk in &chunks {
                text += &format!("{:x}\r\n{chunk}\r\n", chunk.len());
            }
            text += "0\r\n\r\n";
            let (whole, got) = read(text.as_bytes(), &cuts).unwrap();
            prop_assert!(whole && got.reusable);
            prop_assert_eq!(got.body, chunks.concat().into_bytes());
        }

        #[test]
        fn nothing_from_outside_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), cuts in prop::collection::vec(0_usize..300, 0..4)) {
            let _ = read(&bytes, &cuts);
            let mut text = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
            text.extend(bytes);
            let _ = read(&text, &cuts);
        }
    }
}
