//! [`MuxBody`]: the response body of a multiplexed stream.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};

use super::changing::Changing;
use crate::feed::Notices;

/// Response body of [`MuxService`](super::MuxService): a multiplexed stream, or a line of text
/// that says why there is none.
///
/// The stream does not end by itself, not even when all of its feeds are closed, as the client
/// would only come again. A client that reads so slowly that its place has fallen out of the
/// history of a feed is told of the gap.
#[derive(Debug)]
pub struct MuxBody {
    /// What is to be sent first.
    begin: Bytes,
    /// `None` if there is none.
    stream: Option<Changing>,
    /// For the observers of the response.
    notices: Notices,
}

impl MuxBody {
    pub(super) const fn stream(begin: Bytes, stream: Changing, notices: Notices) -> Self {
        Self { begin, stream: Some(stream), notices }
    }

    pub(super) fn text(text: &'static str) -> Self {
        let begin = Bytes::from_static(text.as_bytes());
        Self { begin, stream: None, notices: Notices::default() }
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
        self.notices.add(piece.gaps, (piece.lagged > 0).then_some(piece.missed));
        Poll::Ready(Some(Ok(Frame::data(piece.bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.begin.is_empty() && self.stream.is_none()
    }
}
