//! [`Bare`]: a connection of HTTP/1 for one request alone, whose answer may be a stream.
//!
//! What comes over it can be read here, or by whoever takes the connection when the head has come:
//! there is nothing around it.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::header::HeaderName;
use http::{HeaderValue, Request, Response, StatusCode, Version};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};

use super::OriginError;
use super::body::Body;
use super::interims;
use super::pool::{HEAD_BYTES, HEAD_FIELDS};
use super::upload::Upload;
use super::wire::Wire;

/// How much is read at once.
const PIECE: usize = 16 << 10;

/// The room that a head is first given: most fit.
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
        let mut came = BytesMut::with_capacity(FIRST_ROOM);
        let mut interims = 0;
        loop {
            if wire.read_buf(&mut came).await.map_err(broken)? == 0 {
                return Err(OriginError::Broken("it closed before it had answered".to_owned()));
            }
            while let Some((length, answer)) = parse(&came)? {
                came.advance(length);
                if answer.status().is_informational() {
                    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                        return Err(OriginError::unasked_switch());
                    }
                    interims += 1;
                    if interims > interims::MOST {
                        return Err(interims::too_many());
                    }
                    continue;
                }
                let body = Body::of(answer.version(), answer.status(), answer.headers())?;
                let came = came.freeze();
                return Ok(answer.map(|()| Self { wire, came, body }));
            }
            if came.len() >= HEAD_BYTES {
                return Err(OriginError::Broken("the head of its answer is too long".to_owned()));
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
fn written(request: &Request<Upload>) -> BytesMut {
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

/// The head of an answer and its length, if it has come whole.
fn parse(came: &[u8]) -> Result<Option<(usize, Response<()>)>, OriginError> {
    let broken = |error: httparse::Error| OriginError::broken(&error);
    let mut fields = [httparse::EMPTY_HEADER; HEAD_FIELDS];
    let mut head = httparse::Response::new(&mut fields);
    let mut config = httparse::ParserConfig::default();
    // What every browser takes.
    config.allow_spaces_after_header_name_in_responses(true);
    config.allow_obsolete_multiline_headers_in_responses(true);
    let httparse::Status::Complete(length) =
        config.parse_response(&mut head, came).map_err(broken)?
    else {
        return Ok(None);
    };
    let mut answer = Response::new(());
    let status = StatusCode::from_u16(head.code.unwrap_or_default());
    *answer.status_mut() = status.map_err(|error| OriginError::broken(&error))?;
    *answer.version_mut() =
        if head.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    for field in head.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let name = name.map_err(|error| OriginError::broken(&error))?;
        let value = HeaderValue::from_bytes(&unfolded(field.value));
        answer.headers_mut().append(name, value.map_err(|error| OriginError::broken(&error))?);
    }
    Ok(Some((length, answer)))
}

/// The value of a field that may go on in a second line.
fn unfolded(value: &[u8]) -> Vec<u8> {
    let lines: Vec<_> = value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).collect();
    lines.join(&b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answers_head_is_read_as_browsers_read_it() {
        let head = "HTTP/1.1 200 \r\nContent-Type : text/event-stream\r\nX: a\r\n b\r\n\r\ndata";
        for end in 0..head.len() - 4 {
            assert!(parse(&head.as_bytes()[..end]).unwrap().is_none(), "{end}");
        }
        let (length, answer) = parse(head.as_bytes()).unwrap().unwrap();
        assert_eq!(&head[length..], "data");
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert_eq!(answer.headers()["x"], "a b");
        assert!(parse(b"HTTP/1.1 abc\r\n\r\n").is_err() && parse(b"SSH-2.0-x\r\n\r\n").is_err());
    }

    #[test]
    fn a_request_is_written_with_fields_that_old_servers_know() {
        let mut request = Request::new(Upload::none());
        *request.uri_mut() = "/a?b=1".parse().unwrap();
        request.headers_mut().insert("last-event-id", HeaderValue::from_static("7"));
        assert_eq!(written(&request), "GET /a?b=1 HTTP/1.1\r\nLast-Event-Id: 7\r\n\r\n");
    }
}
