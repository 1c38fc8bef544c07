//! [`Client`]: somebody who has asked for something, and waits for the answer.

use bytes::BytesMut;
use http::{StatusCode, Version};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use tokio::io::AsyncReadExt;

use crate::ask::{IDLE, MOST_AHEAD};
use crate::connection::Connection;
use crate::hub::Line;
use crate::request::Request;
use crate::session;

/// Somebody who has asked for something, and waits for the answer.
pub(crate) enum Client {
    /// An HTTP/1 client, whose request is here as it came. pingora has not seen it yet: it need
    /// not, if the answer is a stream.
    Http1 {
        connection: Connection,
        /// The request's head, and whatever follows it.
        came: BytesMut,
        version: Version,
    },
    /// A client whose request pingora has read, and its connection, if that is of HTTP/2.
    Session(Box<ServerSession>, Option<Line>),
}

impl Client {
    /// The client as pingora knows it, its request read. An error if pingora cannot read it.
    pub(crate) async fn into_session(self) -> pingora::Result<Box<ServerSession>> {
        match self {
            Self::Http1 { connection, came, .. } => {
                let mut session = unread_session(connection, came);
                if !session.read_request().await? {
                    return Err(pingora::Error::new(pingora::ErrorType::ConnectionClosed));
                }
                Ok(session)
            }
            Self::Session(session, _) => Ok(session),
        }
    }

    /// Whether the hub can write its stream.
    pub(crate) const fn is_for_hub(&self) -> bool {
        matches!(self, Self::Http1 { .. } | Self::Session(_, Some(_)))
    }

    /// Answers with a status and a line of text, and closes.
    pub(crate) async fn respond(self, status: u16, text: &'static str) -> pingora::Result<()> {
        session::respond(*self.into_session().await?, status, text).await
    }

    /// Answers that no more is to come, as the origin did to another client.
    pub(crate) async fn no_content(self) -> pingora::Result<Option<Connection>> {
        let mut session = self.into_session().await?;
        let head = ResponseHeader::build(StatusCode::NO_CONTENT, None)?;
        session.write_response_header(Box::new(head)).await?;
        reuse(session).await
    }

    /// There is no answer to pass on. A client that wants events is cut off, as the origin would
    /// have done: it comes back, while a status of ours would end its `EventSource` for good.
    pub(crate) async fn fail(self, request: &Request) -> pingora::Result<()> {
        if !request.wants_events() {
            return self.respond(502, "The origin cannot be reached.\n").await;
        }
        if let Self::Session(mut session, _) = self {
            session.shutdown().await;
        }
        Ok(())
    }

    /// Resolves when the client goes away.
    ///
    /// Cancel safe.
    pub(crate) async fn leave(&mut self) {
        match self {
            Self::Http1 { connection, came, .. } => {
                while came.len() < MOST_AHEAD {
                    if !connection.read_buf(came).await.is_ok_and(|read| read > 0) {
                        return;
                    }
                }
                // Whoever sends that much before he has an answer is none of the usual clients.
            }
            Self::Session(session, _) => session::leave(session).await,
        }
    }
}

/// A session of pingora's that has yet to read its request, of which this much has come.
pub(crate) fn unread_session(connection: Connection, came: BytesMut) -> Box<ServerSession> {
    let mut session = Box::new(ServerSession::new_http1(Box::new(connection)));
    session.set_keepalive(Some(IDLE.as_secs()));
    if !came.is_empty() {
        session.set_pipelined_prefix(came);
    }
    session
}

/// The connection of an HTTP/1 client whose answer is complete, if it can be used again.
pub(crate) async fn reuse(session: Box<ServerSession>) -> pingora::Result<Option<Connection>> {
    let Some(reusable) = session.finish().await? else { return Ok(None) };
    let (stream, _) = reusable.into_parts();
    Ok(connection(stream))
}

/// The connection that was given to pingora.
pub(crate) fn connection(stream: pingora::protocols::Stream) -> Option<Connection> {
    stream.into_any().downcast().ok().map(|connection| *connection)
}
