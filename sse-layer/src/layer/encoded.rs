use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};
use pin_project_lite::pin_project;

use super::streaming::Streaming;
use crate::compress::Encoder;

pin_project! {
    /// An event stream in a content coding, or as it is.
    #[derive(Debug)]
    pub(super) struct Encoded<B> {
        #[pin]
        stream: Streaming<B>,
        coding: Coding,
    }
}

#[derive(Debug)]
enum Coding {
    /// None.
    Plain,
    With(Encoder),
    /// The coding is complete. What is left are trailers, if any came.
    Over(Option<Frame<Bytes>>),
}

impl<B> Encoded<B> {
    pub(super) fn new(stream: Streaming<B>, encoder: Option<Encoder>) -> Self {
        Self { stream, coding: encoder.map_or(Coding::Plain, Coding::With) }
    }
}

impl<B: Body> Body for Encoded<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let encoder = match this.coding {
            Coding::Plain => return this.stream.poll_frame(cx),
            Coding::Over(trailers) => return Poll::Ready(trailers.take().map(Ok)),
            Coding::With(encoder) => encoder,
        };
        let mut trailers = None;
        match ready!(this.stream.poll_frame(cx)?).map(Frame::into_data) {
            Some(Ok(data)) => {
                // Writing to memory does not fail; if it did, the stream would end here.
                if let Ok(data) = encoder.encode(&data) {
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
            }
            Some(Err(frame)) => trailers = Some(frame),
            None => {}
        }
        let Coding::With(encoder) = mem::replace(this.coding, Coding::Over(trailers)) else {
            return Poll::Ready(None);
        };
        Poll::Ready(encoder.finish().ok().map(|last| Ok(Frame::data(last))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.coding {
            Coding::Plain => self.stream.is_end_stream(),
            Coding::With(_) => false,
            Coding::Over(trailers) => trailers.is_none(),
        }
    }
}
