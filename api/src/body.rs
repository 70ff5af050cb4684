//! Reading what comes from outside, so that mistakes are named.

use crate::problem::{Problem, Result};
use axum::body::HttpBody;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Query;
use axum::http::{StatusCode, Uri};
use bandit::document;
use futures::poll;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;

/// Longest body.
pub(crate) const MAX_BODY: usize = 1 << 20;

/// Longest body of a bulk route.
pub(crate) const MAX_BULK: usize = 32 << 20;

/// How long a body may take to arrive: who stalls must not keep a connection, or the turn of others.
const UPLOAD: Duration = Duration::from_secs(60);

/// A body that is announced to be no longer is read whatever else is on its way.
const SHORT: u64 = 16 << 10;

/// Most bytes of longer bodies on their way at the same time: who sends slowly must not fill the memory.
const ARRIVING: usize = 256 << 20;

/// How many there are.
static ARRIVED: AtomicUsize = AtomicUsize::new(0);

/// What has come of one body, counted until it is whole.
#[derive(Default)]
struct Part {
    data: Vec<u8>,
    counted: usize,
}

impl Part {
    fn add(&mut self, data: &[u8]) -> Result<()> {
        let before = ARRIVED.fetch_add(data.len(), Relaxed);
        self.counted += data.len();
        self.data.extend_from_slice(data);
        if before + data.len() > ARRIVING { Err(Problem::overloaded()) } else { Ok(()) }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        ARRIVED.fetch_sub(self.counted, Relaxed);
    }
}

/// Reads a body of at most `limit` bytes.
///
/// # Errors
/// When it is longer or cut off, takes more than a minute, or too many others are on their way.
pub(crate) async fn read(body: Body, limit: usize) -> Result<Bytes> {
    let whole = async {
        if body.size_hint().upper().is_some_and(|length| length <= SHORT) {
            return to_bytes(body, limit).await.map_err(|e| unread(&e, limit));
        }
        let (mut body, mut part) = (Limited::new(body, limit), Part::default());
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|e| if e.is::<LengthLimitError>() { Problem::too_large(limit) } else { cut_off() })?;
            // Trailers say nothing here.
            frame.data_ref().map_or(Ok(()), |data| part.add(data))?;
        }
        Ok(std::mem::take(&mut part.data).into())
    };
    let mut whole = pin!(whole);
    // A short one came with its head, and needs no timer.
    if let Poll::Ready(body) = poll!(whole.as_mut()) {
        return body;
    }
    tokio::time::timeout(UPLOAD, whole).await.map_err(|_| {
        Problem::new(StatusCode::REQUEST_TIMEOUT, format!("the body took longer than {} s", UPLOAD.as_secs()))
    })?
}

fn unread(error: &axum::Error, limit: usize) -> Problem {
    let too_large = std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<LengthLimitError>);
    if too_large { Problem::too_large(limit) } else { cut_off() }
}

fn cut_off() -> Problem {
    Problem::bad("the body was cut off")
}

/// Reads a JSON body.
pub(crate) fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    document::read(bytes).map_err(Problem::from)
}

/// Takes a body apart into at most so many things, each by itself right or wrong: one, an array of them, or a line each.
pub(crate) fn split<T: DeserializeOwned>(
    body: &[u8],
    thing: &str,
    most: usize,
) -> Result<Vec<std::result::Result<T, String>>> {
    // Before any is read: there could be millions of nothing.
    let few = |count: usize| {
        if count <= most { Ok(()) } else { Err(Problem::bad(format!("the body has more than {most}: send several"))) }
    };
    let one = |text: &[u8]| json::<T>(text).map_err(|problem| problem.detail);
    let text = body.trim_ascii();
    if text.starts_with(b"[") {
        let values: Vec<&RawValue> = match serde_json::from_slice(text) {
            Ok(values) => values,
            Err(e) => return Err(Problem::bad(format!("the body is not a JSON array: {e}"))),
        };
        few(values.len())?;
        return Ok(values.into_iter().map(|v| one(v.get().as_bytes())).collect());
    }
    // One thing may take several lines; several take one each.
    if serde_json::from_slice::<&RawValue>(text).is_ok() {
        return Ok(vec![one(text)]);
    }
    let lines: Vec<&[u8]> = text.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(|l| !l.is_empty()).collect();
    few(lines.len())?;
    match lines[..] {
        [] => Err(Problem::bad(format!("the body is empty: it must be {thing}, an array of them, or a line each"))),
        [line] => json::<T>(line).map(|thing| vec![Ok(thing)]),
        _ => Ok(lines.into_iter().map(one).collect()),
    }
}

/// Reads a query's pairs in order; a name may come once.
pub(crate) fn query(uri: &Uri) -> Result<Vec<(String, String)>> {
    query_with(uri, &[])
}

/// Reads a query's pairs in order; a name may come once, one of `several` again.
pub(crate) fn query_with(uri: &Uri, several: &[&str]) -> Result<Vec<(String, String)>> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|e| Problem::bad(format!("the query cannot be read: {e}")))?;
    // Decoding replaces what is not UTF-8; what was not there before is such a replacement.
    let raw = uri.query().unwrap_or_default().to_ascii_uppercase();
    let replaced = |s: &str| s.contains('\u{FFFD}') && !raw.contains("%EF%BF%BD");
    for (i, (name, value)) in pairs.iter().enumerate() {
        if replaced(name) || replaced(value) {
            return Err(Problem::field(&name.escape_debug().to_string(), "is not UTF-8"));
        }
        if !several.contains(&name.as_str()) && pairs[..i].iter().any(|(earlier, _)| earlier == name) {
            return Err(Problem::field(&name.escape_debug().to_string(), "is given twice"));
        }
    }
    Ok(pairs)
}

/// Reads a query into a struct whose fields are optional strings and numbers.
pub(crate) fn params<T: DeserializeOwned>(uri: &Uri) -> Result<T> {
    query(uri)?;
    Query::try_from_uri(uri).map(|Query(params)| params).map_err(|e| {
        let why = std::error::Error::source(&e).map_or_else(|| e.to_string(), ToString::to_string);
        Problem::bad(format!("the query cannot be read: {why}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;
    use futures::stream;

    /// A body that does not say how long it is.
    fn in_parts(parts: usize) -> Body {
        Body::from_stream(stream::iter(vec![Ok::<_, std::convert::Infallible>(vec![b'x'; 1 << 10]); parts]))
    }

    #[tokio::test]
    async fn long_bodies_on_their_way_are_bounded_together() {
        assert_eq!(read(in_parts(1_024), MAX_BODY).await.unwrap().len(), 1 << 20);
        assert_eq!(read(in_parts(1_025), MAX_BODY).await.unwrap_err().status, 413);
        assert_eq!(ARRIVED.load(Relaxed), 0, "what has arrived, or was refused, is on its way no more");
        let others = Part { data: Vec::new(), counted: ARRIVING };
        ARRIVED.store(ARRIVING, Relaxed);
        assert_eq!(read(in_parts(1), MAX_BODY).await.unwrap_err().status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(read(Body::from("short"), MAX_BODY).await.unwrap(), "short");
        drop(others);
        assert_eq!(read(in_parts(1), MAX_BODY).await.unwrap().len(), 1 << 10);
    }
}
