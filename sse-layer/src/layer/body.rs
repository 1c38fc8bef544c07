use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::SseLayer;
use super::place::{Place, Start};
use crate::KeepAlive;
use crate::keep_alive::Silence;

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
        // The answer to a `HEAD` request. The stream itself is dropped.
        None,
        Stream {
            #[pin]
            body: B,
            // The first bytes, until they are sent.
            opening: Option<Bytes>,
            start: Start,
            place: Place,
            keep_alive: KeepAlive,
            #[pin]
            silence: Option<Silence>,
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

    pub(super) fn stream(body: B, layer: &SseLayer) -> Self {
        let keep_alive = layer.comments().clone();
        Self {
            kind: Kind::Stream {
                body,
                opening: Some(layer.opening()),
                start: Start::new(),
                place: Place::default(),
                silence: keep_alive.silence(),
                keep_alive,
            },
        }
    }
}

impl<B: Body> Body for SseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let (mut body, opening, start, place, keep_alive, mut silence) =
            match self.project().kind.project() {
                KindProj::Untouched { body } => return poll_bytes(body, cx),
                KindProj::None => return Poll::Ready(None),
                KindProj::Stream { body, opening, start, place, keep_alive, silence } => {
                    (body, opening, start, place, keep_alive, silence)
                }
            };

        let mut next = opening.take();
        while next.is_none() {
            let Poll::Ready(frame) = poll_bytes(body.as_mut(), cx) else {
                break;
            };
            let data = match frame.transpose()?.map(Frame::into_data) {
                Some(Ok(data)) => start.strip(data),
                Some(Err(trailers)) => return Poll::Ready(Some(Ok(trailers))),
                None => return Poll::Ready(None),
            };
            // Empty frames tell a client nothing, and HTTP/2 peers count them as an attack.
            next = (!data.is_empty()).then_some(data);
        }
        if let Some(data) = next {
            *place = place.after(&data);
            if let Some(silence) = silence.as_mut().as_pin_mut() {
                silence.broken();
            }
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }

        let Some(silence) = silence.as_pin_mut() else {
            return Poll::Pending;
        };
        let comment = match place {
            Place::BetweenBlocks => KeepAlive::block,
            Place::InBlock => KeepAlive::lines,
            // The place changes only with the body, which wakes us when it does.
            Place::AfterCr { .. } | Place::InLine => return Poll::Pending,
        };
        ready!(silence.poll_over(cx));
        Poll::Ready(Some(Ok(Frame::data(comment(keep_alive)))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Untouched { body } => body.is_end_stream(),
            Kind::None => true,
            Kind::Stream { body, opening, .. } => opening.is_none() && body.is_end_stream(),
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

/// The next frame of `body`. Data that is [`Bytes`] already is not copied.
fn poll_bytes<B: Body>(
    body: Pin<&mut B>,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
    let to_bytes = |mut data: B::Data| data.copy_to_bytes(data.remaining());
    body.poll_frame(cx).map_ok(|frame| frame.map_data(to_bytes))
}
