//! [`Http2`]: an HTTP/2 response that is a stream.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use h2::SendStream;
use http::{HeaderMap, StatusCode};
use pingora::protocols::http::v2::server::HttpSession;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::session::{head, internal};
use crate::stream::KEEP_ALIVE;

/// How long a connection may take to send the last of a stream that broke off.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// A response that is a stream: its head is given to its connection, its body is being given.
pub(crate) struct Http2(SendStream<Bytes>);

/// Nobody reads any more.
pub(crate) struct Gone;

impl Http2 {
    /// Gives the head, 200 with `headers`, and the beginning of the body.
    pub(crate) fn open(
        session: &mut HttpSession,
        headers: &HeaderMap,
        begin: Bytes,
    ) -> pingora::Result<Self> {
        let head = head(StatusCode::OK, headers)?;
        session.write_response_header(Box::new(head), false)?;
        let mut send = session
            .take_response_body_writer()
            .ok_or_else(|| internal("the stream has no send half"))?;
        // Whoever has no room for it has it waiting: nobody waits for him here.
        if !begin.is_empty() {
            send.send_data(begin, false).map_err(|_| internal("the client has left"))?;
        }
        Ok(Self(send))
    }

    /// Resolves when the client has gone away.
    pub(crate) async fn closed(&mut self) {
        poll_fn(|cx| self.poll_closed(cx)).await;
    }

    /// The same, asked once.
    pub(crate) fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_reset(cx).map(|_| ())
    }

    /// Writes the body's next piece, as soon as there is room for it.
    pub(crate) async fn write(&mut self, mut piece: Bytes) -> Result<(), Gone> {
        poll_fn(|cx| self.poll_write(cx, &mut piece)).await
    }

    /// Writes from the beginning of `piece` what there is room for, and takes it away. Ready when
    /// all is written.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        piece: &mut impl Buf,
    ) -> Poll<Result<(), Gone>> {
        while piece.has_remaining() {
            self.0.reserve_capacity(piece.remaining());
            match self.0.poll_capacity(cx) {
                Poll::Ready(Some(Ok(room))) => {
                    let part = piece.copy_to_bytes(room.min(piece.remaining()));
                    if self.0.send_data(part, false).is_err() {
                        return Poll::Ready(Err(Gone));
                    }
                }
                Poll::Ready(_) => return Poll::Ready(Err(Gone)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Ends the response in good order, with a `last` piece that is not waited for.
    pub(crate) fn finish(&mut self, last: Bytes) -> Result<(), Gone> {
        self.0.send_data(last, true).map_err(|_| Gone)
    }

    /// Ends the response so that the client sees that something is missing.
    ///
    /// What was written to the stream is sent by its connection, which forgets it if the stream is
    /// reset before its turn. So a last comment is waited for.
    pub(crate) async fn break_off(mut self) {
        let (last, sent) = oneshot::channel();
        let _ = self.0.send_data(Bytes::from_owner(LastComment(last)), false);
        let _ = timeout(LAST_MOMENT, sent).await;
    }
}

/// A comment that tells when it has been sent, by being dropped.
struct LastComment(
    #[expect(dead_code, reason = "its end is told by its drop")] oneshot::Sender<()>,
);

impl AsRef<[u8]> for LastComment {
    fn as_ref(&self) -> &[u8] {
        KEEP_ALIVE
    }
}
