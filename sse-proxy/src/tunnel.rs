//! A connection that becomes something else, such as a WebSocket: what either side says is passed
//! on as it is.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::{StatusCode, Version};
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};

use crate::config::Route;
use crate::drain::Draining;
use crate::feeds::Feeds;
use crate::origin::Ask;
use crate::plain;
use crate::report::report_failure;
use crate::request::Request;
use crate::session::{head, leave, respond};

/// How much of what the origin says is read in one go.
const BUFFER: usize = 16 << 10;

/// Answers a request that wants its connection to become `protocol`.
pub(crate) async fn serve(
    mut session: ServerSession,
    feeds: Feeds,
    route: Arc<Route>,
    request: Request,
    protocol: HeaderValue,
    mut draining: Draining,
) -> pingora::Result<()> {
    let ask = Ask::new(session.req_header().method.clone(), &request).upgrade(protocol);
    let asked = tokio::select! {
        asked = feeds.origins().ask(&route, &ask, crate::origin::Upload::none()) => asked,
        () = leave(&mut session) => return Ok(()),
    };
    let mut response = match asked {
        Ok(response) => response,
        Err(error) => {
            report_failure(&route, &error);
            return respond(session, 502, "The origin cannot be reached.\n").await;
        }
    };
    if response.status != StatusCode::SWITCHING_PROTOCOLS {
        plain::pass(&mut session, response).await?;
        return session.finish().await.map(drop);
    }
    let head = head(response.status, &response.headers)?;
    let origin = match response.upgraded().await {
        Ok(origin) => origin,
        Err(error) => {
            report_failure(&route, &error);
            return respond(session, 502, "The origin cannot be reached.\n").await;
        }
    };
    session.write_response_header(Box::new(head)).await?;
    // Either side may be silent for as long as it likes.
    session.set_read_timeout(None);
    tokio::select! {
        passed = pass(&mut session, origin) => passed?,
        () = draining.turn() => {}
    }
    session.shutdown().await;
    Ok(())
}

/// Passes on what either side says, until one of them ends.
async fn pass(
    session: &mut ServerSession,
    origin: impl AsyncRead + AsyncWrite,
) -> pingora::Result<()> {
    let (mut from_origin, mut to_origin) = split(origin);
    let mut buffer = vec![0; BUFFER];
    // What the client has said and the origin has not taken.
    let mut said = Bytes::new();
    loop {
        tokio::select! {
            read = from_origin.read(&mut buffer) => match read {
                Ok(read @ 1..) => {
                    let piece = Bytes::copy_from_slice(buffer.get(..read).unwrap_or_default());
                    session.write_response_body(piece, false).await?;
                }
                Ok(0) | Err(_) => return Ok(()),
            },
            piece = session.read_body_or_idle(false), if said.is_empty() => match piece? {
                Some(piece) => said = piece,
                None => return Ok(()),
            },
            written = to_origin.write(&said), if !said.is_empty() => {
                let Ok(written) = written else { return Ok(()) };
                said.advance(written);
                if said.is_empty() && to_origin.flush().await.is_err() {
                    return Ok(());
                }
            }
        }
    }
}

/// What the request wants its connection to become, if anything.
///
/// HTTP/2 is not among it: requests over such a connection would come past our routes.
pub(crate) fn wanted(head: &RequestHeader) -> Option<HeaderValue> {
    let protocol = head.headers.get(UPGRADE)?;
    let is_meant = head.headers.get_all(CONNECTION).iter().any(|names| {
        let mut names = names.as_bytes().split(|byte| *byte == b',');
        names.any(|name| name.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
    });
    let is_http = protocol.as_bytes().split(|byte| *byte == b',').any(|name| {
        let name = name.trim_ascii().to_ascii_lowercase();
        name.starts_with(b"h2") || name.starts_with(b"http")
    });
    (is_meant && head.version == Version::HTTP_11 && !is_http).then(|| protocol.clone())
}
