//! Small answers, and what else is done with a client's session that is no stream.

use std::fmt::Display;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::subrequest::server::HttpSession as Placeholder;

/// Takes the client's session out of pingora's hands, which then has nothing left to do for this
/// request.
pub(crate) fn take(session: &mut ServerSession) -> ServerSession {
    let (placeholder, _) = Placeholder::new_from_session(session);
    std::mem::replace(session, ServerSession::new_subrequest(placeholder))
}

/// Answers with a status and a line of text, and closes.
pub(crate) async fn respond(
    mut session: ServerSession,
    status: u16,
    text: &'static str,
) -> pingora::Result<()> {
    let mut head = ResponseHeader::build(status, Some(4))?;
    head.insert_header(CONTENT_TYPE, "text/plain; charset=utf-8")?;
    head.insert_header(CACHE_CONTROL, "no-store")?;
    head.insert_header(CONTENT_LENGTH, text.len())?;
    session.set_keepalive(None);
    session.write_response_header(Box::new(head)).await?;
    session.write_response_body(Bytes::from_static(text.as_bytes()), true).await?;
    session.finish().await?;
    Ok(())
}

/// The head of a response, in the form that a session takes.
pub(crate) fn head(status: StatusCode, headers: &HeaderMap) -> pingora::Result<ResponseHeader> {
    let mut head = ResponseHeader::build(status, Some(headers.len() + 2))?;
    for (name, value) in headers {
        head.append_header(name, value)?;
    }
    Ok(head)
}

/// Resolves when the client goes away. What it still sends is dropped.
pub(crate) async fn leave(session: &mut ServerSession) {
    loop {
        match session.read_body_or_idle(true).await {
            Ok(Some(_)) => {}
            // It has begun with its next request, which is lost: it will be sent again over another
            // connection, as this one is closed after the answer.
            Err(error) if *error.etype() == pingora::ErrorType::ConnectError => {
                session.set_keepalive(None);
                return std::future::pending().await;
            }
            Ok(None) | Err(_) => return,
        }
    }
}

/// The error that ends a session whose answer is not complete.
pub(crate) fn broken_off(error: &impl Display) -> Box<pingora::Error> {
    pingora::Error::explain(pingora::ErrorType::ReadError, error.to_string())
}

/// A socket could not be taken from the runtime.
pub(crate) fn not_taken(error: std::io::Error) -> Box<pingora::Error> {
    pingora::Error::because(pingora::ErrorType::InternalError, "taking a socket", error)
}

/// What should not have come about.
pub(crate) fn internal(why: &'static str) -> Box<pingora::Error> {
    pingora::Error::explain(pingora::ErrorType::InternalError, why)
}
