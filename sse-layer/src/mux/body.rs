//! [`MuxBody`]: the response body of a multiplexed stream.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};

use super::changing::Changing;

/// Response body of [`MuxService`](super::MuxService): a multiplexed stream, or a line of text
/// that says why there is none.
///
/// The stream does not end by itself, not even when all of its feeds are closed, as the client
/// would only come again. The exception is a client that reads so slowly that its place has fallen
/// out of the history of a feed with [`LagPolicy::Resume`](crate::feed::LagPolicy::Resume).
#[derive(Debug)]
pub struct MuxBody {
    /// What is to be sent first.
    begin: Bytes,
    /// Gone when nothing more will come.
    stream: Option<Changing>,
}

impl MuxBody {
    pub(super) const fn stream(begin: Bytes, stream: Changing) -> Self {
        Self { begin, stream: Some(stream) }
    }

    pub(super) const fn text(text: &'static str) -> Self {
        Self { begin: Bytes::from_static(text.as_bytes()), stream: None }
    }
}

impl Body for MuxBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if !self.begin.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.begin)))));
        }
        let Some(stream) = &mut self.stream else { return Poll::Ready(None) };
        let piece = ready!(stream.poll_piece(cx));
        if piece.is_none() {
            self.stream = None;
        }
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.begin.is_empty() && self.stream.is_none()
    }
}
