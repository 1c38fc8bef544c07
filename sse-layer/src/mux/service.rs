//! [`MuxService`]: answers requests for multiplexed streams.

use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode, Version};
use tower_service::Service;

use super::sid::Sid;
use super::wire::{self, Encoder};
use super::{Feeds, MuxBody, Request, is_name};
use crate::feed::{Feed, Lag, Reader};
use crate::jitter::jitter;
use crate::{LastEventId, head};

/// Service that sends any number of feeds on one stream, to whoever asks for them by
/// `GET …?feed=/a&feed=/b`.
///
/// See the [module docs](super) for an example.
pub struct MuxService<F> {
    feeds: Arc<F>,
    retry: Duration,
    max_feeds: usize,
}

/// How much of the reconnection time is left to chance.
const RETRY_JITTER: f64 = 0.33;

impl<F: Feeds> MuxService<F> {
    /// One for these feeds, with a reconnection time of 3 seconds and at most 256 feeds on a
    /// stream.
    pub fn new(feeds: F) -> Self {
        Self { feeds: Arc::new(feeds), retry: Duration::from_secs(3), max_feeds: 256 }
    }

    /// Sets how long a client waits before it reconnects. Each stream says up to 33 % more or
    /// less, so that clients that were cut off together do not come back together.
    #[must_use]
    pub fn retry(mut self, retry: Duration) -> Self {
        self.retry = retry;
        self
    }

    /// Sets how many feeds one stream may have. A request for more is answered 400.
    #[must_use]
    pub fn max_feeds(mut self, feeds: usize) -> Self {
        self.max_feeds = feeds;
        self
    }

    fn open(&self, parts: &Parts) -> Response<MuxBody> {
        let last = LastEventId::of_parts(parts);
        let last = last.as_ref().map_or("", LastEventId::as_str);
        let request = Request::of_query(parts.uri.query().unwrap_or_default(), last);
        if request.feeds.is_empty() {
            return refuse("Name the feeds to read, as in ?feed=/a&feed=/b.\n");
        }
        if request.feeds.len() > self.max_feeds {
            return refuse("Too many feeds for one stream.\n");
        }
        let found: Vec<_> =
            request.feeds.iter().map(|wanted| self.find(&wanted.name, parts)).collect();
        // One position goes for all feeds, so they must be of one log: that of the first.
        let log = found.iter().flatten().next().map(|feed| feed.log().clone());
        let epoch = log.as_ref().map(|log| log.cursor().epoch);

        let mut begin = BytesMut::new();
        let resumed = epoch.is_some_and(|epoch| request.resumes(epoch));
        let sid = Sid::random().to_string();
        wire::open(&mut begin, jitter(self.retry, RETRY_JITTER), &sid, resumed);
        let mut reader = Reader::new(Lag::default());
        let mut encoder = Encoder::new(&request.after);
        for (wanted, found) in request.feeds.iter().zip(found) {
            let feed = found.and_then(|feed| match epoch {
                Some(epoch) if epoch == feed.log().cursor().epoch => Ok((feed, epoch)),
                _ => Err(StatusCode::INTERNAL_SERVER_ERROR),
            });
            match feed {
                Ok((feed, epoch)) => {
                    reader.set_lag(feed.lag());
                    reader.subscribe(&feed, request.start(wanted, epoch));
                    encoder.add(&wanted.name);
                }
                Err(status) => wire::closed(&mut begin, &wanted.name, status.as_u16()),
            }
        }
        let mut response = Response::new(MuxBody::stream(begin.freeze(), reader, encoder));
        head::prepare(response.headers_mut(), Version::HTTP_11);
        response
    }

    fn find(&self, name: &str, parts: &Parts) -> Result<Feed, StatusCode> {
        if is_name(name) { self.feeds.open(name, parts) } else { Err(StatusCode::BAD_REQUEST) }
    }
}

impl<F, B> Service<http::Request<B>> for MuxService<F>
where
    F: Feeds,
{
    type Response = Response<MuxBody>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let (parts, _) = request.into_parts();
        ready(Ok(match parts.method {
            Method::GET | Method::HEAD => self.open(&parts),
            _ => {
                let mut response = refuse("Multiplexed streams are opened by GET.\n");
                *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
                response
            }
        }))
    }
}

/// Answers 400 and a line of text.
fn refuse(text: &'static str) -> Response<MuxBody> {
    let mut response = Response::new(MuxBody::text(text));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl<F> Clone for MuxService<F> {
    fn clone(&self) -> Self {
        Self { feeds: Arc::clone(&self.feeds), ..*self }
    }
}

impl<F> fmt::Debug for MuxService<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MuxService")
            .field("retry", &self.retry)
            .field("max_feeds", &self.max_feeds)
            .finish_non_exhaustive()
    }
}
