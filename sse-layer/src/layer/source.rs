use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame};
use pin_project_lite::pin_project;

use super::reading::Reading;
use crate::convert::TooLong;

pin_project! {
    /// A handler's body, read as the layer was asked to.
    #[derive(Debug)]
    pub(super) struct Source<B> {
        // None once it has ended, so that what it holds is free.
        #[pin]
        body: Option<B>,
        reading: Reading,
        // Those that came, until what was read before them has been handed on.
        trailers: Option<Box<Frame<Bytes>>>,
    }
}

/// What comes of a [`Source`].
#[derive(Debug)]
pub(super) enum Piece {
    /// Bytes of an event stream, at least one.
    Data(Bytes),
    Trailers(Frame<Bytes>),
    /// A block or record was too long, and the source has ended.
    TooLong(TooLong),
}

impl<B> Source<B> {
    pub(super) const fn new(body: B, reading: Reading) -> Self {
        Self { body: Some(body), reading, trailers: None }
    }

    /// Ends it: the handler's body is dropped.
    pub(super) fn stop(self: Pin<&mut Self>) {
        self.project().body.set(None);
    }
}

impl<B: Body> Source<B> {
    pub(super) fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Piece, B::Error>>> {
        let mut this = self.project();
        loop {
            match this.reading.next() {
                Ok(Some(data)) if !is_some(&data) => continue,
                Ok(Some(data)) => return Poll::Ready(Some(Ok(Piece::Data(data)))),
                Ok(None) => {}
                Err(error) => {
                    this.body.set(None);
                    return Poll::Ready(Some(Ok(Piece::TooLong(error))));
                }
            }
            if let Some(trailers) = this.trailers.take() {
                return Poll::Ready(Some(Ok(Piece::Trailers(*trailers))));
            }
            let Some(body) = this.body.as_mut().as_pin_mut() else {
                return Poll::Ready(None);
            };
            match ready!(poll_bytes(body, cx)?).map(Frame::into_data) {
                Some(Ok(data)) => {
                    if let Some(data) = this.reading.push(data).filter(is_some) {
                        return Poll::Ready(Some(Ok(Piece::Data(data))));
                    }
                }
                Some(Err(trailers)) => {
                    this.reading.finish();
                    *this.trailers = Some(Box::new(trailers));
                }
                None => {
                    this.reading.finish();
                    this.body.set(None);
                }
            }
        }
    }

    /// Whether it is known that nothing comes any more.
    pub(super) fn is_end_stream(&self) -> bool {
        self.trailers.is_none()
            && self.reading.is_empty()
            && self.body.as_ref().is_none_or(Body::is_end_stream)
    }
}

/// Empty frames tell a client nothing, and HTTP/2 peers count them as an attack.
fn is_some(data: &Bytes) -> bool {
    !data.is_empty()
}

/// The next frame of `body`. Data that is [`Bytes`] already is not copied.
pub(super) fn poll_bytes<B: Body>(
    body: Pin<&mut B>,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<Frame<Bytes>>, B::Error>> {
    let to_bytes = |mut data: B::Data| data.copy_to_bytes(data.remaining());
    body.poll_frame(cx).map(|frame| Ok(frame.transpose()?.map(|frame| frame.map_data(to_bytes))))
}
