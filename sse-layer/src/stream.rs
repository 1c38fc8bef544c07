//! [`EventStream`]: a response body made of events.

use std::any::type_name;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http::{Response, Version};
use http_body::{Body, Frame};
use pin_project_lite::pin_project;
use serde::Serialize;

use crate::frame::MAX_BATCH_BYTES;
use crate::{Event, JsonError, head};

/// The most events that leave together, as one write: a stream that is always ready must not
/// keep others waiting.
const MAX_BATCH_EVENTS: usize = 64;

pin_project! {
    /// A response body that sends the events of a stream.
    ///
    /// The items are [`Event`]s, or `Result`s with one ([`new`](Self::new)), or values that are
    /// to be sent as JSON ([`json`](Self::json), [`try_json`](Self::try_json)).
    ///
    /// An error ends the stream after what was already sent. To a client that is an end like any
    /// other: it reconnects, with the id of the last event it got.
    /// [`on_error`](Self::on_error) tells it more.
    ///
    /// The body alone is correct, but for comments in silence and the like it needs
    /// [`SseLayer`](crate::SseLayer) around its handler. The layer knows it by its content type,
    /// so make the response with [`into_response`](Self::into_response), or return the
    /// `EventStream` itself from an axum handler (feature `axum`).
    ///
    /// ```
    /// use futures_util::{StreamExt, stream};
    /// use sse_layer::{Event, EventStream};
    ///
    /// let counter = stream::iter(1_u64..).map(|n| Event::new().id(n.into()).data(n.to_string()));
    /// let response = EventStream::new(counter).into_response();
    /// assert_eq!(response.headers()["content-type"], "text/event-stream");
    /// ```
    #[must_use]
    pub struct EventStream<S> {
        #[pin]
        stream: S,
        ended: bool,
    }
}

impl<S> EventStream<S> {
    /// Sends the items of `stream`: [`Event`]s, `Result<Event, E>`s, or others that are
    /// [`IntoEvent`].
    pub const fn new(stream: S) -> Self {
        Self { stream, ended: false }
    }

    /// The response: status 200 and the headers of an event stream.
    pub fn into_response(self) -> Response<Self> {
        let mut response = Response::new(self);
        head::prepare(response.headers_mut(), Version::HTTP_11);
        response
    }

    /// Has the stream's error sent as a last event.
    ///
    /// ```
    /// use std::io;
    /// use futures_util::stream;
    /// use sse_layer::{Event, EventStream, EventType};
    ///
    /// const FAILED: EventType = EventType::from_static("failed");
    ///
    /// let items = [Ok(Event::new().data("1")), Err(io::Error::other("no more"))];
    /// let events = EventStream::new(stream::iter(items))
    ///     .on_error(|error| Event::new().event(FAILED).data(error.to_string()));
    /// ```
    pub fn on_error<E, F>(self, last: F) -> EventStream<OnError<S, F>>
    where
        S: Stream<Item = Result<Event, E>>,
        F: FnOnce(E) -> Event,
    {
        EventStream { stream: OnError { stream: self.stream, last: Some(last) }, ended: self.ended }
    }
}

impl<S> EventStream<Json<S>> {
    /// Sends each item of `stream` as JSON on one line. One that cannot be written as JSON ends
    /// the stream.
    ///
    /// For a stream of `Result`s use [`try_json`](EventStream::try_json): this one would write
    /// the `Result` itself.
    pub const fn json(stream: S) -> Self {
        Self::new(Json { stream })
    }
}

impl<S> EventStream<TryJson<S>> {
    /// Sends what is in the `Ok` items of `stream` as JSON on one line. An `Err`, or an item that
    /// cannot be written as JSON, ends the stream.
    pub const fn try_json(stream: S) -> Self {
        Self::new(TryJson { stream })
    }
}

impl<S> Body for EventStream<S>
where
    S: Stream,
    S::Item: IntoEvent,
{
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut this = self.project();
        let mut batch = BytesMut::new();
        for _ in 0..MAX_BATCH_EVENTS {
            if *this.ended || batch.len() >= MAX_BATCH_BYTES {
                break;
            }
            match this.stream.as_mut().poll_next(cx) {
                Poll::Ready(item) => match item.and_then(IntoEvent::into_event) {
                    Some(event) => event.encode(&mut batch),
                    None => *this.ended = true,
                },
                Poll::Pending if batch.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready((!batch.is_empty()).then(|| Ok(Frame::data(batch.freeze()))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

#[cfg(feature = "axum")]
impl<S> axum_core::response::IntoResponse for EventStream<S>
where
    S: Stream + Send + 'static,
    S::Item: IntoEvent,
{
    fn into_response(self) -> axum_core::response::Response {
        Self::into_response(self).map(axum_core::body::Body::new)
    }
}

/// What can be sent by an [`EventStream`]: an [`Event`], a `Result` with one, or a type of yours.
pub trait IntoEvent {
    /// The event to send, or `None` to end the stream.
    fn into_event(self) -> Option<Event>;
}

impl IntoEvent for Event {
    fn into_event(self) -> Option<Event> {
        Some(self)
    }
}

impl<E> IntoEvent for Result<Event, E> {
    fn into_event(self) -> Option<Event> {
        self.ok()
    }
}

pin_project! {
    /// Stream of [`EventStream::json`].
    #[derive(Debug)]
    pub struct Json<S> {
        #[pin]
        stream: S,
    }
}

impl<S> Stream for Json<S>
where
    S: Stream,
    S::Item: Serialize,
{
    type Item = Result<Event, JsonError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(self.project().stream.poll_next(cx));
        Poll::Ready(item.map(|value| Event::new().json(&value)))
    }
}

pin_project! {
    /// Stream of [`EventStream::try_json`].
    #[derive(Debug)]
    pub struct TryJson<S> {
        #[pin]
        stream: S,
    }
}

impl<S, T, E> Stream for TryJson<S>
where
    S: Stream<Item = Result<T, E>>,
    T: Serialize,
    E: From<JsonError>,
{
    type Item = Result<Event, E>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(self.project().stream.poll_next(cx));
        Poll::Ready(item.map(|value| Ok(Event::new().json(&value?)?)))
    }
}

pin_project! {
    /// Stream of [`EventStream::on_error`].
    pub struct OnError<S, F> {
        #[pin]
        stream: S,
        // Gone once it has made the last event.
        last: Option<F>,
    }
}

impl<S, F, E> Stream for OnError<S, F>
where
    S: Stream<Item = Result<Event, E>>,
    F: FnOnce(E) -> Event,
{
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let this = self.project();
        if this.last.is_none() {
            return Poll::Ready(None);
        }
        let item = ready!(this.stream.poll_next(cx));
        Poll::Ready(item.and_then(|item| match item {
            Ok(event) => Some(event),
            Err(error) => this.last.take().map(|last| last(error)),
        }))
    }
}

impl<S> fmt::Debug for EventStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("stream", &format_args!("{}", type_name::<S>()))
            .field("ended", &self.ended)
            .finish()
    }
}

impl<S, F> fmt::Debug for OnError<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnError").field("stream", &format_args!("{}", type_name::<S>())).finish()
    }
}
