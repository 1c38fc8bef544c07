//! [`Subscriber`]: a client's request for a feed that others read too, and the feed that it gets.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use sse_layer::Event;
use sse_layer::feed::Reader;

use crate::catch_up::{Missed, catch_up, may_catch_up};
use crate::config::{Retry, Route};
use crate::feeds::{Feeds, Joined};
use crate::hold::{early_begin, early_headers, is_held, may_begin_early, patience};
use crate::request::Request;
use crate::source::Opening;
use crate::stream::{KEEP_ALIVE, jitter};
use crate::visit::Visit;

/// A client's request for a feed that others read too, and the feed that it gets.
pub(crate) struct Subscriber {
    pub(crate) feeds: Feeds,
    pub(crate) route: Arc<Route>,
    pub(crate) request: Request,
    pub(crate) joined: Joined,
    /// The id of the last event that the client has; empty if it has none.
    pub(crate) last_event_id: Bytes,
}

/// How a client's stream begins.
pub(crate) struct Begin {
    pub(crate) headers: Arc<HeaderMap>,
    pub(crate) body: Bytes,
}

impl Subscriber {
    /// What the feed's origin has answered. Who may begin before that waits no longer than it may.
    pub(crate) async fn opening(&mut self) -> Opening {
        if self.may_begin_early() {
            self.joined.opened_soon(patience(&self.route)).await
        } else {
            self.joined.opened().await
        }
    }

    /// Whether the client may be answered before its origin.
    pub(crate) fn may_begin_early(&self) -> bool {
        self.is_held() && may_begin_early(&self.route, &self.request)
    }

    /// Whether the client is not to see its origin fail.
    pub(crate) fn is_held(&self) -> bool {
        is_held(&self.route, &self.request)
    }

    /// How a stream begins under its origin's head. Something comes at once, so that whoever is in
    /// between passes the head on.
    pub(crate) fn begin(&self, headers: Arc<HeaderMap>) -> Begin {
        let retry = match self.route.retry {
            Retry::Ours(retry) => Some(jitter(retry)),
            Retry::Pass => self.joined.feed.retry(),
        };
        let retry = retry.map(|retry| Event::new().retry(retry).to_bytes());
        Begin { headers, body: retry.unwrap_or(Bytes::from_static(KEEP_ALIVE)) }
    }

    /// How a stream begins whose origin has not answered.
    pub(crate) fn begin_early(&self) -> Begin {
        let headers = Arc::new(early_headers(&self.route, &self.request));
        Begin { headers, body: early_begin(&self.route) }
    }

    /// The client's stream begins.
    pub(crate) fn visit(&self) -> Visit {
        let record = Arc::clone(&self.joined.record);
        let mut visit = Visit::open(Arc::clone(&record.counts), Some(record), &self.request);
        if !self.last_event_id.is_empty() {
            visit.resumes();
        }
        visit
    }

    /// What the client has missed that history no longer has, if its origin is to be asked.
    pub(crate) async fn missed(&self, reader: &mut Reader) -> Option<Missed> {
        let Self { feeds, route, request, joined, last_event_id } = self;
        catch_up(feeds, route, request, joined, reader, last_event_id).await
    }

    /// Whether there is something to be asked for as soon as the origin is there.
    pub(crate) fn is_behind(&self, reader: &Reader) -> bool {
        reader.has_gap(self.joined.number) && may_catch_up(&self.route, &self.last_event_id)
    }

    /// What the client has missed, as soon as the origin is there to tell.
    pub(crate) async fn missed_in_the_end(&mut self, reader: &mut Reader) -> Option<Missed> {
        self.joined.answered().await;
        self.missed(reader).await
    }
}
