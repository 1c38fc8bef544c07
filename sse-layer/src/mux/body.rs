//! [`MuxBody`]: a multiplexed stream being sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};

use super::wire::Encoder;
use crate::feed::{Item, Reader};

/// Events that are ready together leave together, until they have come to so many bytes. The
/// event that crosses the line is still taken.
const MAX_PIECE: usize = 64 * 1024;

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
    reader: Option<Reader>,
    encoder: Encoder,
    /// What is to be sent then, the next at the end.
    due: Vec<Item>,
}

impl MuxBody {
    pub(super) const fn stream(begin: Bytes, reader: Reader, encoder: Encoder) -> Self {
        Self { begin, reader: Some(reader), encoder, due: Vec::new() }
    }

    pub(super) fn text(text: &'static str) -> Self {
        let begin = Bytes::from_static(text.as_bytes());
        Self { begin, reader: None, encoder: Encoder::new(""), due: Vec::new() }
    }
}

impl Body for MuxBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        if !this.begin.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.begin)))));
        }
        loop {
            let mut piece = BytesMut::new();
            while piece.len() < MAX_PIECE {
                let Some(item) = this.due.pop() else { break };
                this.encoder.encode(&mut piece, &item);
            }
            if !piece.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(piece.freeze()))));
            }
            let Some(reader) = &mut this.reader else { return Poll::Ready(None) };
            if ready!(reader.poll_next(cx, &mut this.due)).is_err() {
                this.reader = None;
            }
            this.due.reverse();
        }
    }

    fn is_end_stream(&self) -> bool {
        self.begin.is_empty() && self.reader.is_none() && self.due.is_empty()
    }
}
