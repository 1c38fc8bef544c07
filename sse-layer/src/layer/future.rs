use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::request::Asked;
use super::{SseBody, SseLayer, answer};

pin_project! {
    /// Future of [`SseService`](super::SseService): waits for the response, and tells streams
    /// from others.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        asked: Asked,
        layer: Arc<SseLayer>,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) const fn new(inner: F, asked: Asked, layer: Arc<SseLayer>) -> Self {
        Self { inner, asked, layer }
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
        let response = ready!(this.inner.poll(cx))?;
        Poll::Ready(Ok(answer::answer(response, this.asked, this.layer)))
    }
}
