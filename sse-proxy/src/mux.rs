//! Many feeds on one stream: wire format v1.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue};
use pingora::protocols::http::ServerSession;
use serde::Serialize;
use sse_layer::Event;
use sse_layer::feed::{Cursor, Item, Lag, Reader, Start, Status};

use crate::config::{Config, Route, Stream};
use crate::downstream::{Downstream, End, jitter};
use crate::drain::Draining;
use crate::feeds::Feeds;
use crate::request::Request;
use crate::router::Router;
use crate::session::respond;

/// The parameter of a mux request that names a feed.
const FEED: &str = "feed";

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

/// What a multiplexed stream reads.
struct Wanted {
    /// As the client named them, in order, each once.
    names: Vec<String>,
    /// The last position that the client has.
    cursor: Option<Cursor>,
    /// The same as the client sent it; empty if it sent none.
    after: String,
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
        let wanted = Wanted::of(&mut request);
        if wanted.names.is_empty() {
            let help = "Name the feeds to read, as in ?feed=/a&feed=/b.\n";
            return respond(session, 400, help).await;
        }
        if wanted.names.len() > self.max_feeds {
            return respond(session, 400, "Too many feeds for one stream.\n").await;
        }
        let resumed =
            wanted.cursor.is_some_and(|cursor| cursor.epoch == self.feeds.log().cursor().epoch);

        let mut stream = Muxed { names: Vec::new(), after: wanted.after.clone() };
        let mut reader = Reader::new(Lag::default());
        let mut out = BytesMut::new();
        Event::new().retry(jitter(RETRY)).encode(&mut out);
        // The blank line belongs after the control event that follows.
        out.truncate(out.len() - 1);
        let Some(sid) = sid() else {
            return respond(session, 503, "No random numbers are to be had.\n").await;
        };
        control(&mut out, "mux/open", &Open { v: 1, sid: &sid, resumed });
        for name in &wanted.names {
            match self.join(&request, name, &wanted, &mut reader) {
                Ok(()) => stream.names.push(name.clone()),
                Err(status) => closed(&mut out, name, status),
            }
        }

        // Private feeds are opened under the request itself, so nothing of it is held any longer.
        drop(request);
        let headers = headers();
        let keep_alive = std::time::Duration::from_secs(15);
        let mut downstream = Downstream::open(session, &headers, keep_alive, draining).await?;
        let end = match stream.write_all(&mut downstream, &mut reader, out.freeze()).await {
            Ok(end) | Err(end) => end,
        };
        tracing::debug!(?end, "multiplexed stream ended");
        let mut farewell = BytesMut::new();
        control(&mut farewell, "mux/bye", &serde_json::json!({}));
        downstream.end(end, Some(farewell.freeze())).await;
        Ok(())
    }

    /// Subscribes to one feed, as if it were requested alone. Else the status that such a request
    /// would be answered with.
    fn join(
        &self,
        request: &Request,
        name: &str,
        wanted: &Wanted,
        reader: &mut Reader,
    ) -> Result<(), u16> {
        let (path, query) = match name.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (name, None),
        };
        if !path.starts_with('/') || name.contains('#') || !is_request_target(name) {
            return Err(400);
        }
        let found = self.router.find(&request.authority, path);
        let route =
            found.filter(|route| route.mux && route.stream != Stream::Off).ok_or(404_u16)?;
        let request = Request { path: path.to_owned(), query, ..request.clone() };
        let start = match (wanted.cursor, wanted.after.is_empty()) {
            (Some(cursor), _) => Start::After(cursor),
            (None, true) => Start::Live,
            (None, false) => Start::Id(wanted.after.as_bytes()),
        };
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
    route.stream != Stream::Shared || request.has_credentials_beyond(route)
}

/// A request target is ASCII without blanks and control characters, as browsers send it.
fn is_request_target(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Wanted {
    fn of(request: &mut Request) -> Self {
        let id = request.take_last_event_id();
        let after = String::from_utf8_lossy(&id).into_owned();
        // Behind the cursor may stand the id that the origin gave.
        let cursor = after.split(' ').next().and_then(|cursor| cursor.parse().ok());
        let mut names: Vec<String> = Vec::new();
        let query = request.query.as_deref().unwrap_or_default();
        for (_, name) in form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == FEED) {
            if !names.iter().any(|known| *known == name) {
                names.push(name.into_owned());
            }
        }
        Self { names, cursor, after }
    }
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

/// A multiplexed stream being written.
struct Muxed {
    /// The names of the reader's feeds, by number.
    names: Vec<String>,
    after: String,
}

impl Muxed {
    async fn write_all(
        &self,
        downstream: &mut Downstream,
        reader: &mut Reader,
        begin: Bytes,
    ) -> Result<End, End> {
        downstream.write(begin, std::future::pending()).await?;
        let mut open = self.names.len();
        let mut items = Vec::new();
        while open > 0 {
            if downstream.wait(reader.next(&mut items)).await?.is_err() {
                return Err(End::Lagged);
            }
            let mut out = BytesMut::new();
            for item in items.drain(..) {
                if matches!(item, Item::Status { status: Status::Closed { .. }, .. }) {
                    open -= 1;
                }
                self.encode(&mut out, item);
            }
            let lagged = async {
                reader.lagged().await;
                End::Lagged
            };
            downstream.write(out.freeze(), lagged).await?;
        }
        // Every feed is closed for good; the client is kept, as it would only ask for them again.
        downstream.wait(std::future::pending()).await
    }

    fn encode(&self, out: &mut BytesMut, item: Item) {
        let name = |feed: usize| self.names.get(feed).map_or("", String::as_str);
        match item {
            Item::Event { feed, entry } => {
                if let Some(tail) = entry.mux_tail() {
                    out.extend_from_slice(b"event: ");
                    out.extend_from_slice(name(feed).as_bytes());
                    out.extend_from_slice(tail);
                }
            }
            Item::Gap { feed } => {
                let gap = Gap { feed: name(feed), after: &self.after, missed: None };
                control(out, "mux/gap", &gap);
            }
            Item::Status { feed, status } => match status {
                Status::Open => control(out, "mux/feed", &State::of(name(feed), "open")),
                // The first attempt is no news.
                Status::Connecting { reason, .. } if reason.is_empty() => {}
                Status::Connecting { reason, retry } => {
                    let retry = u64::try_from(retry.as_millis()).ok();
                    let state = State::of(name(feed), "connecting");
                    control(out, "mux/feed", &State { reason: Some(&reason), retry, ..state });
                }
                Status::Closed { status } => closed(out, name(feed), status),
                _ => {}
            },
            _ => {}
        }
    }
}

/// The data of `mux/open`.
#[derive(Serialize)]
struct Open<'a> {
    v: u8,
    sid: &'a str,
    resumed: bool,
}

/// The data of `mux/feed`.
#[derive(Default, Serialize)]
struct State<'a> {
    feed: &'a str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
}

impl<'a> State<'a> {
    fn of(feed: &'a str, state: &'static str) -> Self {
        Self { feed, state, ..Self::default() }
    }
}

/// The data of `mux/gap`.
#[derive(Serialize)]
struct Gap<'a> {
    feed: &'a str,
    after: &'a str,
    missed: Option<u64>,
}

fn closed(out: &mut BytesMut, feed: &str, status: u16) {
    control(out, "mux/feed", &State { status: Some(status), ..State::of(feed, "closed") });
}

/// Writes a control event.
fn control(out: &mut BytesMut, event_type: &'static str, data: &impl Serialize) {
    let event_type = event_type.try_into().unwrap_or_default();
    // What is serialised here has string keys only, which JSON can always carry.
    if let Ok(event) = Event::new().event(event_type).json(data) {
        event.encode(out);
    }
}
