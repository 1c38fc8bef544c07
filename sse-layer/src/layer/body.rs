use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::source::poll_bytes;

/// A stream in the form that is sent.
#[cfg(feature = "compress")]
pub(super) type Sent<B> = super::encoded::Encoded<B>;
#[cfg(not(feature = "compress"))]
pub(super) type Sent<B> = super::streaming::Streaming<B>;

pin_project! {
    /// Response body of [`SseService`](super::SseService).
    #[derive(Debug)]
    pub struct SseBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = KindProj]
    enum Kind<B> {
        Untouched {
            #[pin]
            body: B,
        },
        // The answer to a `HEAD` request, to one that is refused, or of a layer around this one.
        None,
        Stream {
            #[pin]
            stream: Sent<B>,
        },
    }
}

impl<B> SseBody<B> {
    pub(super) const fn untouched(body: B) -> Self {
        Self { kind: Kind::Untouched { body } }
    }

    pub(super) const fn none() -> Self {
        Self { kind: Kind::None }
    }

    pub(super) const fn stream(stream: Sent<B>) -> Self {
        Self { kind: Kind::Stream { stream } }
    }
}

/// An empty body, of which layers around this one make answers of their own, such as tower-http's
/// `TimeoutLayer` and `CorsLayer`.
impl<B> Default for SseBody<B> {
    fn default() -> Self {
        Self::none()
    }
}

impl<B: Body> Body for SseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            KindProj::Untouched { body } => poll_bytes(body, cx).map(Result::transpose),
            KindProj::None => Poll::Ready(None),
            KindProj::Stream { stream } => stream.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Untouched { body } => body.is_end_stream(),
            Kind::None => true,
            Kind::Stream { stream } => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Untouched { body } => body.size_hint(),
            // Frameworks make this the `Content-Length`, which is for the answer to a `GET` to say.
            Kind::None | Kind::Stream { .. } => SizeHint::default(),
        }
    }
}
