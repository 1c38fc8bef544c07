use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue, ORIGIN};
use http::request::Parts;
use http::{Method, Response, StatusCode, Version};
use http_body::Body;
use tower_service::Service;

use super::changing::{Change, Changing};
use super::{
    ChangeRequest, FeedName, Feeds, MuxBody, MuxFuture, Request, Sid, Streams, Wanted,
    is_same_origin, wire,
};
use crate::feed::{Feed, Notices};
use crate::jitter::{RETRY_JITTER, jitter};
use crate::{LastEventId, head};

/// Service that sends any number of feeds on one stream, to whoever asks for them.
///
/// See the [module docs](super) for an example, and for the requests that it answers.
pub struct MuxService<F> {
    feeds: Arc<F>,
    streams: Streams<Change>,
    retry: Duration,
    max_feeds: usize,
    origins: Arc<[String]>,
}

impl<F: Feeds> MuxService<F> {
    /// One for these feeds, with a reconnection time of 3 seconds and at most 256 feeds on a
    /// stream.
    pub fn new(feeds: F) -> Self {
        Self {
            feeds: Arc::new(feeds),
            streams: Streams::new(),
            retry: Duration::from_secs(3),
            max_feeds: 256,
            origins: Arc::default(),
        }
    }

    /// Sets how long a client waits before it reconnects. Each stream says up to 33 % more or
    /// less, so that clients that were cut off together do not come back together.
    #[must_use]
    pub fn retry(mut self, retry: Duration) -> Self {
        self.retry = retry;
        self
    }

    /// Sets how many feeds one stream may have. A request for more is answered 400; one that is
    /// added to a stream that has as many is closed with 409, and can be had on another.
    #[must_use]
    pub fn max_feeds(mut self, feeds: usize) -> Self {
        self.max_feeds = feeds;
        self
    }

    /// Sets of which other sites pages may open and change streams, such as `https://app.example`.
    /// The header fields that let them read the answers are another layer's, such as
    /// tower-http's `CorsLayer`.
    #[must_use]
    pub fn origins<S: Into<String>>(mut self, origins: impl IntoIterator<Item = S>) -> Self {
        self.origins = origins.into_iter().map(Into::into).collect();
        self
    }

    /// Whether the request is none of a page of another site.
    fn is_allowed(&self, parts: &Parts) -> bool {
        let Some(origin) = parts.headers.get(ORIGIN) else { return true };
        let Ok(origin) = origin.to_str() else { return false };
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        let authority = parts.uri.authority().map_or(host, |authority| Some(authority.as_str()));
        authority.is_some_and(|authority| is_same_origin(origin, authority))
            || self.origins.iter().any(|allowed| allowed == origin)
    }

    fn get(&self, parts: &Parts) -> Response<MuxBody> {
        let last = LastEventId::of_parts(parts);
        let last = last.as_ref().map_or("", LastEventId::as_str);
        self.open(parts, &Request::of_query(parts.uri.query().unwrap_or_default(), last))
    }

    /// Answers a POST with this body.
    pub(super) fn post(&self, parts: &Parts, body: &[u8]) -> Response<MuxBody> {
        if !self.is_allowed(parts) {
            let text = "Pages of this origin may not open streams here.\n";
            return refuse(StatusCode::FORBIDDEN, text);
        }
        let Some(sid) = Sid::of_path(parts.uri.path()) else {
            return match Request::of_json(body) {
                Ok(request) => self.open(parts, &request),
                Err(_) => bad("Expected JSON, as in {\"feeds\":[[\"/a\",null]]}.\n"),
            };
        };
        match ChangeRequest::of_json(body) {
            Ok(change) => self.change(sid, parts, change),
            Err(_) => bad("Expected JSON, as in {\"add\":[[\"/a\",null]],\"remove\":[\"/b\"]}.\n"),
        }
    }

    fn open(&self, parts: &Parts, request: &Request) -> Response<MuxBody> {
        if request.feeds.is_empty() {
            return bad("Name the feeds to read, as in ?feed=/a&feed=/b.\n");
        }
        if request.feeds.len() > self.max_feeds {
            return bad("Too many feeds for one stream.\n");
        }
        let Ok(entered) = self.streams.enter(&parts.headers) else {
            let text = "The stream cannot be given a name now.\n";
            return refuse(StatusCode::SERVICE_UNAVAILABLE, text);
        };
        let found: Vec<_> =
            request.feeds.iter().map(|wanted| self.find(&wanted.name, parts)).collect();
        let at = found.iter().flatten().next().map(|feed| feed.log().cursor());
        let resumed = at.is_some_and(|at| request.resumes(at.epoch));
        let at = at.filter(|at| request.is_live(at.epoch));

        let mut begin = BytesMut::new();
        let retry = jitter(self.retry, RETRY_JITTER);
        wire::open(&mut begin, retry, &entered.sid().to_string(), resumed, at);
        let mut stream = Changing::new(self.max_feeds, entered);
        for (wanted, found) in request.feeds.iter().zip(found) {
            stream.add(request, wanted, found, &mut begin);
        }
        let notices = Notices::default();
        let body = MuxBody::stream(begin.freeze(), stream, notices.clone());
        let mut response = Response::new(body);
        response.extensions_mut().insert(notices);
        head::prepare(response.headers_mut(), Version::HTTP_11);
        response
    }

    fn change(&self, sid: Sid, parts: &Parts, asked: ChangeRequest) -> Response<MuxBody> {
        if asked.add.len() > self.max_feeds {
            return bad("Too many feeds for one stream.\n");
        }
        let find = |wanted: Wanted| {
            let found = self.find(&wanted.name, parts);
            (wanted, found)
        };
        let change =
            || Change { add: asked.add.into_iter().map(find).collect(), remove: asked.remove };
        match self.streams.change(sid, &parts.headers, change) {
            Ok(()) => {
                let mut response = Response::new(MuxBody::text(""));
                *response.status_mut() = StatusCode::NO_CONTENT;
                response
            }
            Err(refused) => refuse(refused.status(), refused.text()),
        }
    }

    fn find(&self, name: &str, parts: &Parts) -> Result<Feed, StatusCode> {
        let is_name = FeedName::try_from(name).is_ok();
        if is_name { self.feeds.open(name, parts) } else { Err(StatusCode::BAD_REQUEST) }
    }
}

impl<F, B> Service<http::Request<B>> for MuxService<F>
where
    F: Feeds,
    B: Body,
{
    type Response = Response<MuxBody>;
    type Error = Infallible;
    type Future = MuxFuture<F, B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        match parts.method {
            Method::GET | Method::HEAD => MuxFuture::ready(self.get(&parts)),
            Method::POST => MuxFuture::reading(self.clone(), parts, body),
            _ => {
                let text = "Multiplexed streams are opened by GET or POST.\n";
                let mut response = refuse(StatusCode::METHOD_NOT_ALLOWED, text);
                let allowed = HeaderValue::from_static("GET, HEAD, POST");
                response.headers_mut().insert(ALLOW, allowed);
                MuxFuture::ready(response)
            }
        }
    }
}

fn bad(text: &'static str) -> Response<MuxBody> {
    refuse(StatusCode::BAD_REQUEST, text)
}

/// Answers a line of text.
pub(super) fn refuse(status: StatusCode, text: &'static str) -> Response<MuxBody> {
    let mut response = Response::new(MuxBody::text(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl<F> Clone for MuxService<F> {
    fn clone(&self) -> Self {
        Self {
            feeds: Arc::clone(&self.feeds),
            streams: self.streams.clone(),
            origins: Arc::clone(&self.origins),
            ..*self
        }
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
