use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};
use pin_project_lite::pin_project;
use tokio::sync::OwnedSemaphorePermit;

use super::SseLayer;
use super::ending::{Due, Ending};
use super::position::Position;
use super::reading::Reading;
use super::source::{Piece, Source};
use super::watched::Watched;
use crate::Event;
use crate::keep_alive::Silence;
use crate::observe::CloseReason;

pin_project! {
    /// An event stream: the handler's, and what the layer puts before, into and after it.
    #[derive(Debug)]
    pub(super) struct Streaming<B> {
        #[pin]
        source: Source<B>,
        // Whether the first bytes have been sent.
        is_open: bool,
        position: Position,
        // Whether nothing can be put between the bytes: they are those of a coding.
        is_opaque: bool,
        #[pin]
        silence: Option<Silence>,
        ending: Ending,
        has_ended: bool,
        watched: Watched,
        permit: Option<OwnedSemaphorePermit>,
        layer: Arc<SseLayer>,
    }
}

impl<B> Streaming<B> {
    pub(super) fn new(
        body: B,
        reading: Reading,
        layer: Arc<SseLayer>,
        permit: Option<OwnedSemaphorePermit>,
        watched: Watched,
    ) -> Self {
        Self {
            source: Source::new(body, reading),
            is_open: false,
            position: Position::default(),
            is_opaque: false,
            silence: layer.comments().silence(),
            ending: layer.ending(),
            has_ended: false,
            watched,
            permit,
            layer,
        }
    }

    /// A stream that came with a content coding: only its end is the layer's.
    pub(super) fn opaque(
        body: B,
        layer: Arc<SseLayer>,
        permit: Option<OwnedSemaphorePermit>,
        watched: Watched,
    ) -> Self {
        Self {
            source: Source::new(body, Reading::opaque()),
            is_open: true,
            position: Position::default(),
            is_opaque: true,
            silence: None,
            ending: layer.ending(),
            has_ended: false,
            watched,
            permit,
            layer,
        }
    }

    /// What is sent last of a stream that is due to end, as soon as it can end.
    fn poll_last(self: Pin<&mut Self>, due: Due, cx: &mut Context<'_>) -> Poll<Bytes> {
        let this = self.project();
        if *this.is_opaque {
            return Poll::Ready(Bytes::new());
        }
        if this.position.is_block_end() {
            return Poll::Ready(this.layer.last_frames());
        }
        ready!(this.ending.poll_deadline(due, cx));
        let is_line_end = this.position.is_line_end();
        Poll::Ready(if is_line_end { this.layer.retry_line() } else { Bytes::new() })
    }

    /// A comment, when there has been silence for long, and as soon as there can be one.
    fn poll_comment(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Frame<Bytes>> {
        let this = self.project();
        let Some(silence) = this.silence.as_pin_mut() else { return Poll::Pending };
        let keep_alive = this.layer.comments();
        let comment = match this.position {
            Position::BetweenBlocks => keep_alive.block(),
            Position::InBlock => keep_alive.lines(),
            // That changes only with the body, which wakes us when it does.
            Position::AfterCr { .. } | Position::InLine => return Poll::Pending,
        };
        ready!(silence.poll_over(cx));
        this.watched.keep_alive(&comment);
        Poll::Ready(Frame::data(comment))
    }

    /// Nothing comes any more but `last`, if anything.
    fn end(self: Pin<&mut Self>, reason: CloseReason, last: Option<Bytes>) -> Option<Frame<Bytes>> {
        let this = self.project();
        *this.has_ended = true;
        this.source.stop();
        let last = last.filter(|last| !last.is_empty());
        this.watched.added(last.as_deref().unwrap_or_default());
        this.watched.close(reason);
        last.map(Frame::data)
    }
}

impl<B: Body> Streaming<B> {
    /// What has come, as it is sent. `is_due`: the stream ends with the block that is being sent.
    fn pass(self: Pin<&mut Self>, mut data: Bytes, is_due: bool) -> Frame<Bytes> {
        let this = self.project();
        if is_due {
            // Mid-block, or it would have ended before: what follows the block is not sent.
            data.truncate(this.position.block_end_in(&data).unwrap_or(data.len()));
        }
        *this.position = this.position.after(&data);
        if let Some(silence) = this.silence.as_pin_mut() {
            silence.broken();
        }
        this.watched.sent(&data);
        if this.source.is_end_stream() {
            // The server may not ask again.
            this.watched.close(CloseReason::Ended);
        }
        Frame::data(data)
    }
}

impl<B: Body> Body for Streaming<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.as_mut().project();
        if !mem::replace(this.is_open, true) {
            let opening = this.layer.opening();
            this.watched.added(&opening);
            return Poll::Ready(Some(Ok(Frame::data(opening))));
        }
        if *this.has_ended {
            return Poll::Ready(None);
        }

        let due = this.ending.poll_due(cx);
        if let Some(due) = due {
            if let Poll::Ready(last) = self.as_mut().poll_last(due, cx) {
                return Poll::Ready(self.end(due.reason, Some(last)).map(Ok));
            }
        }
        match self.as_mut().project().source.poll_next(cx) {
            Poll::Ready(Some(Ok(Piece::Data(data)))) => {
                Poll::Ready(Some(Ok(self.pass(data, due.is_some()))))
            }
            Poll::Ready(Some(Ok(Piece::Trailers(trailers)))) => Poll::Ready(Some(Ok(trailers))),
            Poll::Ready(Some(Ok(Piece::TooLong(error)))) => {
                let told = Event::new().comment(format!("ended: {error}")).to_bytes();
                Poll::Ready(self.end(CloseReason::Failed, Some(told)).map(Ok))
            }
            Poll::Ready(Some(Err(error))) => {
                self.end(CloseReason::Failed, None);
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(None) => Poll::Ready(self.end(CloseReason::Ended, None).map(Ok)),
            Poll::Pending => self.poll_comment(cx).map(|comment| Some(Ok(comment))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_open && (self.has_ended || self.source.is_end_stream())
    }
}
