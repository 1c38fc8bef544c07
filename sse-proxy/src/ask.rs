//! Reads an HTTP/1 request for what may be a stream: a GET as browsers send it.
//!
//! Whatever else may come on a connection is left to pingora, from its first byte on.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, EXPECT, HOST, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Version};
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use crate::connection::Connection;
use crate::request::Request;

/// How long a client may take to send a request, and how long its connection is kept for the next.
pub(crate) const IDLE: Duration = Duration::from_secs(60);

/// The most that is taken of what a client sends after its request, before it is answered.
pub(crate) const MOST_AHEAD: usize = 64 << 10;

/// The most fields of a head that are looked at here.
const MOST_FIELDS: usize = 64;

/// The room that a head is first given: most fit.
const FIRST_ROOM: usize = 1024;

/// What has come on a connection.
pub(crate) enum Asked {
    /// A GET without a body.
    Get(Box<Request>),
    /// Something else: no GET, not HTTP/1, or not as it should be.
    Other,
    /// The connection has ended before there was a request.
    Nothing,
}

/// Reads what a client asks, behind what has come.
pub(crate) async fn read(
    connection: &mut Connection,
    came: &mut BytesMut,
    most_bytes: usize,
) -> io::Result<Asked> {
    let mut before = 0;
    loop {
        match look(came, before, most_bytes) {
            Some(Asked::Get(mut request)) => {
                request.client = connection.client();
                request.tls = connection.is_tls();
                return Ok(Asked::Get(request));
            }
            Some(asked) => return Ok(asked),
            None => {}
        }
        before = came.len();
        came.reserve(FIRST_ROOM);
        if connection.read_buf(came).await? == 0 {
            return Ok(Asked::Nothing);
        }
    }
}

/// What has come, of which the first `before` bytes have been looked at; `None` if that cannot be
/// told yet.
pub(crate) fn look(came: &[u8], before: usize, most_bytes: usize) -> Option<Asked> {
    if came.len() > most_bytes || !may_be_get(came) {
        return Some(Asked::Other);
    }
    if !has_end(came, before) {
        return None;
    }
    match parse(came) {
        Parsed::Whole(request) => Some(Asked::Get(request)),
        Parsed::Partly => None,
        Parsed::Other => Some(Asked::Other),
    }
}

/// Whether this is how a GET begins, as far as it has come.
fn may_be_get(came: &[u8]) -> bool {
    came.iter().zip(b"GET /").all(|(one, other)| one == other)
}

/// Whether there may be the end of a head in what has come after the first `before` bytes. A head
/// that comes byte by byte is so parsed once.
fn has_end(came: &[u8], before: usize) -> bool {
    let new = came.get(before.saturating_sub(3)..).unwrap_or_default();
    // As it is with nearly all.
    new.ends_with(b"\n\r\n")
        || new.windows(2).any(|end| end == b"\n\n")
        || new.windows(3).any(|end| end == b"\n\r\n")
}

enum Parsed {
    Whole(Box<Request>),
    Partly,
    Other,
}

fn parse(came: &[u8]) -> Parsed {
    // Of which the fields are parts.
    let came = Bytes::copy_from_slice(came);
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    match head.parse(&came) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Parsed::Partly,
        Err(_) => return Parsed::Other,
    }
    request(&came, &head).map_or(Parsed::Other, |request| Parsed::Whole(Box::new(request)))
}

/// The request, if it is a GET that names one host and has no body.
fn request(came: &Bytes, head: &httparse::Request<'_, '_>) -> Option<Request> {
    let version = match head.version? {
        0 => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    let target = came.slice_ref(head.path?.as_bytes());
    let target = PathAndQuery::from_maybe_shared(target).ok()?;
    let mut headers = HeaderMap::with_capacity(head.headers.len());
    for field in head.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_maybe_shared(came.slice_ref(field.value)).ok()?);
    }
    let has_more = [CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE, EXPECT];
    if has_more.iter().any(|name| headers.contains_key(name)) {
        return None;
    }
    let mut hosts = headers.get_all(HOST).iter();
    let authority = match (hosts.next(), hosts.next()) {
        (Some(host), None) if !host.as_bytes().contains(&b',') => host.to_str().ok()?.to_owned(),
        // HTTP/1.0 knows no hosts.
        (None, _) if version == Version::HTTP_10 => String::new(),
        _ => return None,
    };
    Some(Request {
        method: Method::GET,
        authority,
        path: target.path().to_owned(),
        query: target.query().map(str::to_owned),
        headers,
        client: None,
        tls: false,
        version,
        arrived: Instant::now(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(text: &str) -> Option<Request> {
        match parse(text.as_bytes()) {
            Parsed::Whole(request) => Some(*request),
            Parsed::Partly | Parsed::Other => None,
        }
    }

    #[test]
    fn a_browsers_get_is_taken_whole_wherever_it_is_cut() {
        let text = "GET /a?b=1 HTTP/1.1\r\nHost: h:1\r\nAccept: text/event-stream\r\n\r\n";
        for end in 0..text.len() {
            assert!(matches!(parse(&text.as_bytes()[..end]), Parsed::Partly), "{end}");
            assert!(may_be_get(&text.as_bytes()[..end]) && !has_end(&text.as_bytes()[..end], 0));
        }
        assert!((0..text.len()).all(|before| has_end(text.as_bytes(), before)));
        let request = get(text).unwrap();
        assert_eq!((request.path.as_str(), request.query.as_deref()), ("/a", Some("b=1")));
        assert_eq!(request.authority, "h:1");
        assert!(request.wants_events());
    }

    #[test]
    fn whatever_is_no_plain_get_is_left_alone() {
        for text in [
            "POST / HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h, i\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : h\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "\u{16}\u{3}\u{1}",
        ] {
            let text = text.as_bytes();
            assert!(!may_be_get(text) || matches!(parse(text), Parsed::Other), "{text:?}");
        }
    }
}
