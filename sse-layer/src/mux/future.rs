use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, BytesMut};
use http::request::Parts;
use http::{Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;

use super::service::refuse;
use super::{Feeds, MuxBody, MuxService};

/// The largest body of a request: some thousand names.
const MAX_BODY: usize = 64 * 1024;

pin_project! {
    /// Future of [`MuxService`]: reads the body of a POST, and answers.
    pub struct MuxFuture<F, B> {
        // Gone when it has been given.
        answer: Option<Response<MuxBody>>,
        #[pin]
        reading: Option<Reading<F, B>>,
    }
}

pin_project! {
    struct Reading<F, B> {
        service: MuxService<F>,
        parts: Parts,
        #[pin]
        body: B,
        read: BytesMut,
    }
}

impl<F, B> MuxFuture<F, B> {
    pub(super) const fn ready(answer: Response<MuxBody>) -> Self {
        Self { answer: Some(answer), reading: None }
    }

    pub(super) fn reading(service: MuxService<F>, parts: Parts, body: B) -> Self {
        let reading = Reading { service, parts, body, read: BytesMut::new() };
        Self { answer: None, reading: Some(reading) }
    }
}

impl<F, B> fmt::Debug for MuxFuture<F, B> {
    /// Without the request, which has its client's secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MuxFuture").finish_non_exhaustive()
    }
}

impl<F, B> Future for MuxFuture<F, B>
where
    F: Feeds,
    B: Body,
{
    type Output = Result<Response<MuxBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Some(answer) = this.answer.take() {
            return Poll::Ready(Ok(answer));
        }
        let Some(reading) = this.reading.as_pin_mut() else { return Poll::Pending };
        reading.poll_answer(cx).map(Ok)
    }
}

impl<F, B> Reading<F, B>
where
    F: Feeds,
    B: Body,
{
    fn poll_answer(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response<MuxBody>> {
        let mut this = self.project();
        while let Some(frame) = ready!(this.body.as_mut().poll_frame(cx)) {
            let Ok(frame) = frame else {
                return Poll::Ready(refuse(StatusCode::BAD_REQUEST, "The request broke off.\n"));
            };
            let Ok(data) = frame.into_data() else { continue };
            if this.read.len().saturating_add(data.remaining()) > MAX_BODY {
                let text = "The request is larger than 64 KiB.\n";
                return Poll::Ready(refuse(StatusCode::PAYLOAD_TOO_LARGE, text));
            }
            this.read.put(data);
        }
        Poll::Ready(this.service.post(this.parts, this.read))
    }
}
