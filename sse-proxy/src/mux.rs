//! Many feeds on one stream: wire format v1.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue};
use pingora::protocols::http::ServerSession;
use sse_layer::feed::{Item, Lag, Reader, Start};
use sse_layer::mux::wire::{self, Encoder};
use sse_layer::mux::{self, is_name};

use crate::config::{Config, Route, Stream};
use crate::downstream::{Downstream, End, jitter};
use crate::drain::Draining;
use crate::feeds::Feeds;
use crate::request::Request;
use crate::router::Router;
use crate::session::respond;
use crate::shared::{lag, lagged};
use crate::visit::Visit;

/// The reconnection time of multiplexed streams.
const RETRY: std::time::Duration = std::time::Duration::from_secs(3);

/// Serves mux requests.
#[derive(Clone)]
pub(crate) struct Mux {
    feeds: Feeds,
    router: Router,
    path: Arc<str>,
    max_feeds: usize,
}

impl Mux {
    pub(crate) fn new(config: &Config, feeds: Feeds, router: Router) -> Self {
        let (path, max_feeds) = (config.mux.path.as_str().into(), config.mux.max_feeds);
        Self { feeds, router, path, max_feeds }
    }

    /// Whether a request to `path` is for us.
    pub(crate) fn is_at(&self, path: &str) -> bool {
        *self.path == *path
    }

    /// Answers a mux request.
    pub(crate) async fn serve(
        self,
        session: ServerSession,
        mut request: Request,
        draining: Draining,
    ) -> pingora::Result<()> {
        let after = String::from_utf8_lossy(&request.take_last_event_id()).into_owned();
        let wanted = mux::Request::of_query(request.query.as_deref().unwrap_or_default(), &after);
        if wanted.feeds.is_empty() {
            let help = "Name the feeds to read, as in ?feed=/a&feed=/b.\n";
            return respond(session, 400, help).await;
        }
        if wanted.feeds.len() > self.max_feeds {
            return respond(session, 400, "Too many feeds for one stream.\n").await;
        }
        let Some(sid) = sid() else {
            return respond(session, 503, "No random numbers are to be had.\n").await;
        };
        let epoch = self.feeds.log().cursor().epoch;
        let mut out = BytesMut::new();
        wire::open(&mut out, jitter(RETRY), &sid, wanted.resumes(epoch));
        let mut reader = Reader::new(Lag::default());
        let mut encoder = Encoder::new(after);
        for one in &wanted.feeds {
            match self.join(&request, &one.name, wanted.start(one, epoch), &mut reader) {
                Ok(()) => _ = encoder.add(&one.name),
                Err(status) => wire::closed(&mut out, &one.name, status),
            }
        }

        let counts = self.feeds.records().counts(&self.path);
        let mut visit = Visit::open(counts, None, &request);
        if wanted.resumes(epoch) {
            visit.resumes();
        }
        // Private feeds are opened under the request itself, so nothing of it is held any longer.
        drop(request);
        let headers = headers();
        let keep_alive = std::time::Duration::from_secs(15);
        let mut downstream = Downstream::open(session, &headers, keep_alive, draining).await?;
        let begin = out.freeze();
        let end = match write_all(&mut downstream, &mut reader, &encoder, begin, &mut visit).await {
            Ok(end) | Err(end) => end,
        };
        visit.end(end);
        downstream.end(end, Some(wire::bye().to_bytes())).await;
        Ok(())
    }

    /// Subscribes to one feed, as if it were requested alone. Else the status that such a request
    /// would be answered with.
    fn join(
        &self,
        request: &Request,
        name: &str,
        start: Start<'_>,
        reader: &mut Reader,
    ) -> Result<(), u16> {
        let (path, query) = match name.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (name, None),
        };
        if !is_name(name) {
            return Err(400);
        }
        let found = self.router.find(&request.authority, path);
        let route =
            found.filter(|route| route.mux && route.stream != Stream::Off).ok_or(404_u16)?;
        let request = Request { path: path.to_owned(), query, ..request.clone() };
        reader.set_lag(lag(route));
        if is_private(route, &request) {
            self.feeds.open_private(route, request, reader, start);
            return Ok(());
        }
        match self.feeds.join(route, &request, reader, start) {
            Ok(_) => Ok(()),
            Err(_) => Err(503),
        }
    }
}

/// Whether a request must have an origin stream of its own.
pub(crate) fn is_private(route: &Route, request: &Request) -> bool {
    let may_share = route.stream == Stream::Shared && request.takes_events();
    !may_share || request.has_credentials_beyond(route)
}

/// The name of a stream, which nobody else can guess.
fn sid() -> Option<String> {
    let mut bits = [0; 16];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut bits).ok()?;
    Some(format!("{:032x}", u128::from_be_bytes(bits)))
}

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, no-transform"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    headers
}

async fn write_all(
    downstream: &mut Downstream,
    reader: &mut Reader,
    encoder: &Encoder,
    begin: Bytes,
    visit: &mut Visit,
) -> Result<End, End> {
    downstream.write(begin, std::future::pending()).await?;
    let mut open = encoder.len();
    let mut items = Vec::new();
    while open > 0 {
        if downstream.wait(reader.next(&mut items)).await?.is_err() {
            return Err(End::Lagged);
        }
        let mut out = BytesMut::new();
        let mut events = 0;
        for item in items.drain(..) {
            match &item {
                Item::Event { .. } => events += 1,
                Item::Gap { .. } => visit.gap(),
                Item::Lagged { .. } => visit.lagged(),
                item => open -= usize::from(item.is_end()),
            }
            encoder.encode(&mut out, &item);
        }
        let out = out.freeze();
        let bytes = out.len();
        downstream.write(out, lagged(reader)).await?;
        visit.wrote(events, bytes, None);
    }
    // Every feed is closed for good; the client is kept, as it would only ask for them again.
    downstream.wait(std::future::pending()).await
}
