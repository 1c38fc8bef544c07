//! [`Bare`]: a connection of HTTP/1 for one request alone, whose answer may be a stream.
//!
//! What comes over it can be read here, or by whoever takes the connection when the head has come:
//! there is nothing around it.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Poll, ready};

use bytes::{Bytes, BytesMut};
use http::header::HeaderName;
use http::{Request, Response};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};

use super::OriginError;
use super::body::Body;
use super::heads::Heads;
use super::upload::Upload;
use super::wire::Wire;

/// How much is read at once.
const PIECE: usize = 16 << 10;

/// The room that a request's head is first given: most fit.
const FIRST_ROOM: usize = 1024;

/// A connection on which an answer has begun.
pub(crate) struct Bare {
    pub(crate) wire: Wire,
    /// What has come of the body, and has not been taken from it.
    pub(crate) came: Bytes,
    pub(crate) body: Body,
}

impl Bare {
    /// Sends a request without a body, and returns when the head of the answer has come.
    pub(super) async fn ask(
        mut wire: Wire,
        request: &Request<Upload>,
    ) -> Result<Response<Self>, OriginError> {
        let broken = |error: std::io::Error| OriginError::broken(&error);
        wire.write_all(&written(request)).await.map_err(broken)?;
        wire.flush().await.map_err(broken)?;
        let mut heads = Heads::default();
        loop {
            if wire.read_buf(heads.room()).await.map_err(broken)? == 0 {
                return Err(Heads::cut());
            }
            if let Some(answer) = heads.next()? {
                return heads.into_bare(answer, wire);
            }
        }
    }

    /// The next piece of the body; `None` when it has ended as it should.
    ///
    /// Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, OriginError> {
        loop {
            if let Some(piece) = self.body.next(&mut self.came)? {
                return Ok(Some(piece));
            }
            if self.body.has_ended() {
                return Ok(None);
            }
            let read = self.read().await.map_err(|error| OriginError::broken(&error))?;
            match read {
                read if read.is_empty() => self.body.close()?,
                read if self.came.is_empty() => self.came = read,
                read => self.came = [self.came.as_ref(), &read].concat().into(),
            }
        }
    }

    /// Reads what there is. While nothing is, there is no room for it either.
    async fn read(&mut self) -> std::io::Result<Bytes> {
        poll_fn(|cx| {
            let mut room = [MaybeUninit::uninit(); PIECE];
            let mut room = ReadBuf::uninit(&mut room);
            ready!(Pin::new(&mut self.wire).poll_read(cx, &mut room))?;
            Poll::Ready(Ok(Bytes::copy_from_slice(room.filled())))
        })
        .await
    }
}

/// A request's head as it goes over the wire.
pub(super) fn written(request: &Request<Upload>) -> BytesMut {
    let mut out = BytesMut::with_capacity(FIRST_ROOM);
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    for part in [request.method().as_str(), " ", target, " HTTP/1.1\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    for (name, value) in request.headers() {
        put_title_case(name, &mut out);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// Some old servers do not know their fields otherwise.
fn put_title_case(name: &HeaderName, out: &mut BytesMut) {
    let mut is_first = true;
    for byte in name.as_str().bytes() {
        out.extend_from_slice(&[if is_first { byte.to_ascii_uppercase() } else { byte }]);
        is_first = byte == b'-';
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_request_is_written_with_fields_that_old_servers_know() {
        let mut request = Request::new(Upload::none());
        *request.uri_mut() = "/a?b=1".parse().unwrap();
        request.headers_mut().insert("last-event-id", HeaderValue::from_static("7"));
        assert_eq!(written(&request), "GET /a?b=1 HTTP/1.1\r\nLast-Event-Id: 7\r\n\r\n");
    }
}
