//! [`Downstream`]: the stream that one client receives.

use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::TRANSFER_ENCODING;
use http::{HeaderMap, StatusCode, Version};
use pingora::protocols::http::ServerSession;
use sse_layer::Event;
use tokio::time::{Instant, sleep_until};

use crate::client::{Client, connection, reuse};
use crate::connection::Connection;
use crate::http1::Http1;
use crate::http2::{Gone, Http2};
use crate::limits::Seat;
use crate::sending::Sending;
use crate::session::{head, internal};
use crate::stream::{DRAIN_RETRY, End, KEEP_ALIVE, jitter};

/// The stream that one client receives: its head is written, its body is being written.
///
/// It holds the connection's bare stream (HTTP/1) or the stream's sending half (HTTP/2) and nothing
/// of the session before it, which a stream that lasts for hours has no more use for.
pub(crate) struct Downstream {
    io: Io,
    /// Silence after which a comment is sent; zero for never.
    keep_alive: Duration,
    quiet_since: Instant,
    seat: Seat,
    /// Whether the client can come back for the rest, so that it may be sent away.
    is_resumable: bool,
}

enum Io {
    Http1(Http1),
    Http2(Http2),
    /// The request is not complete, and goes on being sent to the origin.
    BothWays(Box<BothWays>),
}

struct BothWays {
    session: Box<ServerSession>,
    sending: Sending,
}

impl Downstream {
    /// Writes the head of the response, 200 with `headers`, and the beginning of its body.
    pub(crate) async fn open(
        client: Client,
        headers: &HeaderMap,
        begin: Bytes,
        keep_alive: Duration,
        seat: Seat,
    ) -> pingora::Result<Self> {
        let io = match client {
            Client::Http1 { connection, version, .. } => {
                Io::Http1(Http1::open(connection, version, headers, &begin).await?)
            }
            Client::Session(session, _) => match *session {
                ServerSession::H1(session) => {
                    let version = session.req_header().version;
                    let connection = connection(session.into_inner());
                    let connection = connection.ok_or_else(|| internal("not our connection"))?;
                    Io::Http1(Http1::open(connection, version, headers, &begin).await?)
                }
                ServerSession::H2(mut session) => {
                    Io::Http2(Http2::open(&mut session, headers, begin)?)
                }
                ServerSession::Subrequest(_) | ServerSession::Custom(_) => {
                    return Err(internal("not a client's session"));
                }
            },
        };
        Ok(Self { io, keep_alive, quiet_since: Instant::now(), seat, is_resumable: true })
    }

    /// The same for a client that may not have sent all of its request, and that asked for
    /// something which is not to be had again: it is not sent away in a drain.
    pub(crate) async fn open_both_ways(
        mut session: Box<ServerSession>,
        sending: Sending,
        headers: &HeaderMap,
        keep_alive: Duration,
        seat: Seat,
    ) -> pingora::Result<Self> {
        let mut this = if sending.is_done() && session.is_http2() {
            Self::open(Client::Session(session, None), headers, Bytes::new(), keep_alive, seat)
                .await?
        } else {
            let mut head = head(StatusCode::OK, headers)?;
            if session.req_header().version == Version::HTTP_11 {
                head.insert_header(TRANSFER_ENCODING, "chunked")?;
            }
            // The connection is not said to be closed afterwards: with that, Node's fetch takes a
            // stream that breaks off for a complete one.
            session.write_response_header(Box::new(head)).await?;
            let io = Io::BothWays(Box::new(BothWays { session, sending }));
            Self { io, keep_alive, quiet_since: Instant::now(), seat, is_resumable: true }
        };
        this.is_resumable = false;
        Ok(this)
    }

    /// Waits for `next`, with keep-alive comments in the silence. Ends if the client leaves, or
    /// if it is this stream's turn in a drain.
    pub(crate) async fn wait<T>(&mut self, next: impl Future<Output = T>) -> Result<T, End> {
        let mut next = pin!(next);
        loop {
            let keep_alive = self.quiet_since + self.keep_alive;
            tokio::select! {
                biased;
                value = &mut next => return Ok(value),
                () = self.io.closed() => return Err(End::Left),
                () = self.seat.draining.turn(), if self.is_resumable => return Err(End::Drained),
                () = sleep_until(keep_alive), if !self.keep_alive.is_zero() => {}
            }
            let patience = sleep_until(Instant::now() + self.keep_alive);
            // In a box: most of the time, a stream waits.
            Box::pin(self.write(Bytes::from_static(KEEP_ALIVE), async {
                patience.await;
                End::Lagged
            }))
            .await?;
        }
    }

    /// Writes `body`, which must end between two lines. Gives up with what `give_up` says when
    /// that is done before the client has taken it all.
    pub(crate) async fn write(
        &mut self,
        body: Bytes,
        give_up: impl Future<Output = End>,
    ) -> Result<(), End> {
        self.quiet_since = Instant::now();
        if body.is_empty() {
            return Ok(());
        }
        tokio::select! {
            biased;
            written = self.io.write(body) => written.map_err(|_| End::Left),
            end = give_up => Err(end),
        }
    }

    /// Ends the response as the reason asks for: in good order, or cut off so that the client
    /// sees that something is missing. Returns the connection if it can be used again.
    pub(crate) async fn end(self, end: End, farewell: Option<Bytes>) -> Option<Connection> {
        // In a box, as all that is rare is: a task is as large as the largest of its ways.
        Box::pin(self.end_as(end, farewell)).await
    }

    async fn end_as(mut self, end: End, farewell: Option<Bytes>) -> Option<Connection> {
        let orderly = match end {
            End::Drained => {
                let mut last = BytesMut::new();
                Event::new().retry(jitter(DRAIN_RETRY)).encode(&mut last);
                last.extend_from_slice(&farewell.unwrap_or_default());
                self.io.write(last.freeze()).await.is_ok()
            }
            End::OriginEnded => true,
            End::Left | End::Lagged | End::OriginFailed => false,
        };
        if orderly {
            // The client may be gone by now, which is no news.
            let finished = self.io.finish().await;
            return match self.io {
                Io::BothWays(both) if finished.is_ok() => reuse(both.session).await.ok().flatten(),
                _ => None,
            };
        }
        if end == End::OriginFailed
            && let Io::Http2(http2) = self.io
        {
            http2.break_off().await;
        }
        None
    }
}

impl Io {
    /// Resolves when the client has gone away.
    async fn closed(&mut self) {
        match self {
            Self::Http1(http1) => http1.closed().await,
            Self::Http2(http2) => http2.closed().await,
            Self::BothWays(both) => {
                let BothWays { session, sending } = &mut **both;
                Box::pin(async { while sending.go_on(session).await.is_ok() {} }).await;
            }
        }
    }

    async fn write(&mut self, body: Bytes) -> Result<(), Gone> {
        match self {
            Self::Http1(http1) => http1.write(body).await.map_err(|_| Gone),
            Self::Http2(http2) => http2.write(body).await,
            Self::BothWays(both) => {
                Box::pin(both.session.write_response_body(body, false)).await.map_err(|_| Gone)
            }
        }
    }

    async fn finish(&mut self) -> Result<(), Gone> {
        match self {
            Self::Http1(http1) => http1.finish().await.map_err(|_| Gone),
            Self::Http2(http2) => http2.finish(Bytes::new()),
            Self::BothWays(both) => {
                let session = &mut both.session;
                session.write_response_body(Bytes::new(), true).await.map_err(|_| Gone)?;
                both.sending.give_up(session).await;
                Ok(())
            }
        }
    }
}
