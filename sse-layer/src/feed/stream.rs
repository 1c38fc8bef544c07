//! [`FeedStream`]: a feed as a response.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::{BufMut, Bytes, BytesMut};
use futures_core::Stream;
use http::{Response, StatusCode, Version};
use http_body::{Body, Frame};

use super::{Feed, Item, Lag, Notices, Reader, Start, Status};
use crate::frame::MAX_BATCH_BYTES;
use crate::{Event, LastEventId, head};

/// One client's stream from a feed, made by [`Feed::stream`].
///
/// It is a response [`Body`], and also a [`Stream`] of [`Bytes`] for servers with bodies of their
/// own. Each piece is one or several whole frames: events that are ready together leave together.
///
/// It begins with the feed's [reconnection time](Feed::retry), if the feed has one. Events that
/// the client asked for and that no longer exist are told by a comment, `: gap`. It ends when the
/// feed is [closed](Feed::close). With [`LagPolicy::Resume`](super::LagPolicy::Resume) it also ends
/// when the client reads so slowly that its place has fallen out of the feed's history.
///
/// The body alone is correct, but for comments in silence and the like it needs
/// [`SseLayer`](crate::SseLayer) around its handler. The layer knows it by its content type, so
/// make the response with [`into_response`](Self::into_response), or return the `FeedStream`
/// itself from an axum handler (feature `axum`).
///
/// ```
/// use http::StatusCode;
/// use http_body_util::BodyExt;
/// use sse_layer::feed::{FeedOptions, Log};
/// use sse_layer::{Event, LastEventId};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let feed = Log::new().feed(FeedOptions::default());
/// feed.publish(Event::new().id(1.into()).data("one"));
/// feed.publish(Event::new().id(2.into()).data("two"));
/// feed.close();
///
/// let request = http::Request::get("/news").header("last-event-id", "1").body(())?;
/// let response = feed.stream(LastEventId::of(&request).as_ref()).into_response();
/// assert_eq!(response.headers()["content-type"], "text/event-stream");
/// assert_eq!(response.into_body().collect().await?.to_bytes(), "id: 2\ndata: two\n\n");
///
/// // Whoever has everything of a feed that is closed need not come again.
/// let request = http::Request::get("/news").header("last-event-id", "2").body(())?;
/// let response = feed.stream(LastEventId::of(&request).as_ref()).into_response();
/// assert_eq!(response.status(), StatusCode::NO_CONTENT);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a response that is not sent has no reader"]
pub struct FeedStream {
    /// Gone as soon as nothing more will come.
    reader: Option<Reader>,
    /// What to send first.
    begin: Option<Bytes>,
    /// What is to be sent, the next at the end.
    due: Vec<Item>,
    /// The status that says that the feed is over, if it is and nothing of it is due.
    over: Option<StatusCode>,
    notices: Notices,
}

impl FeedStream {
    pub(super) fn new(feed: &Feed, lag: Lag, last: Option<&LastEventId>) -> Self {
        let start = last.map_or(Start::Live, |last| Start::Id(last.as_str().as_bytes()));
        let mut reader = Reader::new(lag);
        reader.subscribe(feed, start);
        let begin = feed.retry().map(|retry| Event::new().retry(retry).to_bytes());
        let mut stream = Self {
            reader: Some(reader),
            begin,
            due: Vec::new(),
            over: None,
            notices: Notices::default(),
        };
        // What is due already tells whether there is anything to answer with.
        let _ = stream.refill(&mut Context::from_waker(Waker::noop()));
        stream.end_if_over();
        stream
    }

    /// The response: status 200 and the headers of an event stream.
    ///
    /// If the feed is closed and nothing of it is due to the client, the answer is the status that
    /// it was closed with, and no stream: after [`Feed::close`] that is 204, upon which browsers
    /// stop coming back.
    #[must_use]
    pub fn into_response(self) -> Response<Self> {
        let over = self.over;
        let notices = self.notices.clone();
        let mut response = Response::new(self);
        response.extensions_mut().insert(notices);
        match over {
            Some(status) => *response.status_mut() = status,
            None => head::prepare(response.headers_mut(), Version::HTTP_11),
        }
        response
    }

    /// Answers with no stream if the feed is closed and has nothing for the client. A gap alone is
    /// nothing: told again each time that the client comes back for what is gone, it would never
    /// let it go.
    fn end_if_over(&mut self) {
        let has_event = self.due.iter().any(|item| matches!(item, Item::Event { .. }));
        let closed = self.due.iter().find_map(|item| match item {
            Item::Status { status: Status::Closed { status }, .. } => Some(*status),
            _ => None,
        });
        if let (Some(status), false) = (closed, has_event) {
            self.over = Some(StatusCode::from_u16(status).unwrap_or(StatusCode::NO_CONTENT));
            self.begin = None;
            self.due.clear();
        }
    }

    /// Waits until something is due, or nothing more will come.
    fn refill(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(reader) = &mut self.reader else { return Poll::Ready(()) };
        let result = std::task::ready!(reader.poll_next(cx, &mut self.due));
        // The place in the feed is given up at once, however long the client takes for the rest.
        if result.is_err() {
            self.notices.ended();
        }
        if result.is_err() || self.due.iter().any(Item::is_end) {
            self.reader = None;
        }
        self.due.reverse();
        Poll::Ready(())
    }

    /// Takes as much of what is due as goes well into one piece. Empty if there is nothing.
    fn next_piece(&mut self) -> Bytes {
        let mut piece = Piece { only: self.begin.take().unwrap_or_default(), ..Piece::default() };
        while let Some(item) = self.due.last() {
            if !piece.take(frame(item)) {
                break;
            }
            match item {
                Item::Gap { .. } => self.notices.gap(),
                Item::Lagged { missed, .. } => self.notices.missed(missed.count),
                Item::Event { .. } | Item::Status { .. } => {}
            }
            self.due.pop();
        }
        piece.into_bytes()
    }
}

/// What a client is sent for an item.
fn frame(item: &Item) -> Bytes {
    match item {
        Item::Event { entry, .. } => entry.frame().bytes().clone(),
        Item::Gap { .. } => Bytes::from_static(b": gap\n\n"),
        Item::Lagged { missed, .. } => missed.event().to_bytes(),
        Item::Status { .. } => Bytes::new(),
    }
}

/// Frames to be sent together. One alone is not copied.
#[derive(Default)]
struct Piece {
    only: Bytes,
    joined: BytesMut,
}

impl Piece {
    /// Whether there was room for `frame`. There always is for the first.
    fn take(&mut self, frame: Bytes) -> bool {
        let len = self.only.len() + self.joined.len();
        if len == 0 {
            self.only = frame;
        } else if len + frame.len() > MAX_BATCH_BYTES {
            return false;
        } else if !frame.is_empty() {
            self.joined.put(std::mem::take(&mut self.only));
            self.joined.put(frame);
        }
        true
    }

    fn into_bytes(self) -> Bytes {
        if self.joined.is_empty() { self.only } else { self.joined.freeze() }
    }
}

impl Stream for FeedStream {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            let piece = self.next_piece();
            if !piece.is_empty() {
                return Poll::Ready(Some(piece));
            }
            if self.reader.is_none() {
                return Poll::Ready(None);
            }
            std::task::ready!(self.refill(cx));
        }
    }
}

impl Body for FeedStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.poll_next(cx).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.reader.is_none() && self.begin.is_none() && self.due.is_empty()
    }
}

#[cfg(feature = "axum")]
impl axum_core::response::IntoResponse for FeedStream {
    fn into_response(self) -> axum_core::response::Response {
        Self::into_response(self).map(axum_core::body::Body::new)
    }
}
