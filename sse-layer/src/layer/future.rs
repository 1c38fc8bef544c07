use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Method, Response, StatusCode, Version};
use http_body::Body;
use pin_project_lite::pin_project;

use super::{SseBody, SseLayer};
use crate::head;

pin_project! {
    /// Future of [`SseService`](super::SseService): waits for the response, and tells streams
    /// from others.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        layer: SseLayer,
        // The request's, since the response's version is not known to be right before it is sent.
        method: Method,
        version: Version,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) const fn new(inner: F, layer: SseLayer, method: Method, version: Version) -> Self {
        Self { inner, layer, method, version }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<SseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx))?;
        let is_stream =
            response.status() == StatusCode::OK && head::is_event_stream(response.headers());
        if !is_stream {
            return Poll::Ready(Ok(response.map(SseBody::untouched)));
        }

        let is_encoded = head::is_encoded(response.headers());
        head::prepare(response.headers_mut(), *this.version);
        Poll::Ready(Ok(response.map(|body| {
            if *this.method == Method::HEAD {
                SseBody::none()
            } else if is_encoded {
                SseBody::untouched(body)
            } else {
                SseBody::stream(body, this.layer)
            }
        })))
    }
}
