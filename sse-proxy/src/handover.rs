//! [`Handover`]: a stream that is begun, and that the hub is to write on.

use std::io;

use bytes::Bytes;
use http::HeaderMap;
use pingora::protocols::http::ServerSession;

use crate::client::Client;
use crate::http1::{Framing, Http1};
use crate::http2::Http2;
use crate::hub::{self, Io, Line};
use crate::session::{internal, not_taken};

/// A stream that is begun, and that the hub is to write on.
pub(crate) enum Handover {
    Http1(Http1),
    Http2(Http2, Line),
}

impl Handover {
    /// Writes the head of the response, 200 with `headers`, and the beginning of its body to a
    /// client whose stream the hub [can](Client::is_for_hub) write.
    pub(crate) async fn open(
        client: Client,
        headers: &HeaderMap,
        begin: Bytes,
    ) -> pingora::Result<Self> {
        match client {
            Client::Http1 { connection, version, .. } => {
                Ok(Self::Http1(Http1::open(connection, version, headers, &begin).await?))
            }
            Client::Session(session, Some(line)) => match *session {
                ServerSession::H2(mut session) => {
                    Ok(Self::Http2(Http2::open(&mut session, headers, begin)?, line))
                }
                _ => Err(internal("not a stream of HTTP/2")),
            },
            Client::Session(_, None) => Err(internal("not a connection's session")),
        }
    }

    /// Writes the body's next piece.
    pub(crate) async fn write(&mut self, piece: Bytes) -> io::Result<()> {
        match self {
            Self::Http1(http1) => http1.write(piece).await,
            Self::Http2(http2, _) => {
                http2.write(piece).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
            }
        }
    }

    /// What the hub goes on with.
    pub(crate) fn into_parts(self) -> pingora::Result<(Io, Framing)> {
        match self {
            Self::Http1(http1) => {
                let (transport, framing) = http1.into_parts();
                Ok((Io::new(transport).map_err(not_taken)?, framing))
            }
            Self::Http2(http2, line) => {
                Ok((Io::Http2(Box::new(hub::Http2::new(http2, line))), Framing::Close))
            }
        }
    }
}
