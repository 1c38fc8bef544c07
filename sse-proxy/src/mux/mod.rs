//! Many feeds on one stream: wire format v1.
//!
//! What is asked for and how it is written is sse-layer's; this finds the feeds, and serves the
//! requests.

mod body;
mod stream;

use std::sync::Arc;

use bytes::BytesMut;
use http::Method;
use http::header::ALLOW;
use pingora::protocols::http::ServerSession;
use sse_layer::feed::{Epoch, Start};
use sse_layer::mux::{self, ChangeRequest, MuxStream, Sid, Streams, Wanted, is_name, wire};

use self::stream::{Change, Changing};
use crate::client::Client;
use crate::config::{Config, Route, Stream};
use crate::downstream::jitter;
use crate::feeds::Feeds;
use crate::limits::Seat;
use crate::request::Request;
use crate::router::Router;
use crate::session::answer;
use crate::shared::lag;
use crate::visit::Visit;

/// The reconnection time of multiplexed streams.
const RETRY: std::time::Duration = std::time::Duration::from_secs(3);

/// Serves mux requests. Clones are the same.
#[derive(Clone)]
pub(crate) struct Mux {
    feeds: Feeds,
    router: Router,
    path: Arc<str>,
    max_feeds: usize,
    streams: Streams<Box<Change>>,
}

impl Mux {
    pub(crate) fn new(config: &Config, feeds: Feeds, router: Router) -> Self {
        let (path, max_feeds) = (config.mux.path.as_str().into(), config.mux.max_feeds);
        Self { feeds, router, path, max_feeds, streams: Streams::new() }
    }

    /// Whether requests to `path` open streams.
    pub(crate) fn is_at(&self, path: &str) -> bool {
        *self.path == *path
    }

    /// Whether requests to `path` change a stream that is open.
    pub(crate) fn is_below(&self, path: &str) -> bool {
        path.strip_prefix(&*self.path).is_some_and(|rest| rest.starts_with('/'))
    }

    /// Opens a stream.
    pub(crate) async fn serve(
        self,
        mut client: Client,
        mut request: Request,
        seat: Seat,
    ) -> pingora::Result<()> {
        let wanted =
            match client.session().map(|session| (session.req_header().method.clone(), session)) {
                None | Some((Method::GET, _)) => {
                    let after = String::from_utf8_lossy(&request.take_last_event_id()).into_owned();
                    mux::Request::of_query(request.query.as_deref().unwrap_or_default(), &after)
                }
                Some((Method::POST, session)) => {
                    let body = match body::read(session).await {
                        Ok(body) => body,
                        Err((status, text)) => return client.respond(status, text).await,
                    };
                    match mux::Request::of_json(&body) {
                        Ok(wanted) => wanted,
                        Err(_) => {
                            let help = "Expected JSON, as in {\"feeds\":[[\"/a\",null]]}.\n";
                            return client.respond(400, help).await;
                        }
                    }
                }
                Some((_, session)) => {
                    let text = "Multiplexed streams are opened by GET or POST.\n";
                    session.set_keepalive(None);
                    return answer(session, 405, &[(ALLOW, "GET, POST")], text).await;
                }
            };
        if wanted.feeds.is_empty() {
            let help = "Name the feeds to read, as in ?feed=/a&feed=/b.\n";
            return client.respond(400, help).await;
        }
        if wanted.feeds.len() > self.max_feeds {
            return client.respond(400, "Too many feeds for one stream.\n").await;
        }
        let place = self.streams.enter(&request.headers);
        let epoch = self.epoch();
        let mut begin = BytesMut::new();
        let (sid, resumed) = (place.sid().to_string(), wanted.resumes(epoch));
        wire::open(&mut begin, jitter(RETRY), &sid, resumed);
        let mut changing = Changing::new(self, &wanted.after, place);
        for one in &wanted.feeds {
            changing.add(&request, one, wanted.start(one, epoch), &mut begin);
        }
        let counts = changing.mux.feeds.records().counts(&changing.mux.path);
        let mut visit = Visit::open(counts, None, &request);
        if resumed {
            visit.resumes();
        }
        // Private feeds are opened under the request itself, so nothing of it is held any longer.
        drop((request, wanted));
        changing.open(client, begin.freeze(), seat, visit).await
    }

    /// Changes a stream that is open. The client's connection can serve another request.
    pub(crate) async fn change(
        &self,
        session: &mut ServerSession,
        request: Request,
    ) -> pingora::Result<()> {
        if session.req_header().method != Method::POST {
            let text = "Multiplexed streams are changed by POST.\n";
            return answer(session, 405, &[(ALLOW, "POST")], text).await;
        }
        let body = match body::read(session).await {
            Ok(body) => body,
            Err((status, text)) => {
                session.set_keepalive(None);
                return answer(session, status, &[], text).await;
            }
        };
        let Ok(asked) = ChangeRequest::of_json(&body) else {
            let help = "Expected JSON, as in {\"add\":[[\"/a\",null]],\"remove\":[\"/b\"]}.\n";
            return answer(session, 400, &[], help).await;
        };
        if asked.add.len() > self.max_feeds {
            return answer(session, 400, &[], "Too many feeds for one stream.\n").await;
        }
        let Some(sid) = Sid::of_path(&request.path) else {
            return answer(session, 404, &[], mux::Refused::Unknown.text()).await;
        };
        let headers = request.headers.clone();
        match self.streams.change(sid, &headers, || Box::new(Change { asked, request })) {
            Ok(()) => answer(session, 204, &[], "").await,
            Err(refused) => answer(session, refused.status().as_u16(), &[], refused.text()).await,
        }
    }

    fn epoch(&self) -> Epoch {
        self.feeds.log().cursor().epoch
    }

    /// Adds a feed to a stream, as if it were requested alone. Else the status that such a request
    /// would be answered with.
    fn join(
        &self,
        stream: &mut MuxStream,
        request: &Request,
        wanted: &Wanted,
        start: Start<'_>,
    ) -> Result<(), u16> {
        let name = wanted.name.as_str();
        let (path, query) = match name.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (name, None),
        };
        if !is_name(name) {
            return Err(400);
        }
        if stream.len() >= self.max_feeds {
            return Err(503);
        }
        let found = self.router.find(&request.authority, path);
        let route =
            found.filter(|route| route.mux && route.stream != Stream::Off).ok_or(404_u16)?;
        let (method, path) = (Method::GET, path.to_owned());
        let request = Request { method, path, query, ..request.clone() };
        stream.try_add(name, |reader| {
            reader.set_lag(lag(route));
            if is_private(route, &request) {
                self.feeds.open_private(route, request, reader, start);
                return Ok(());
            }
            self.feeds.join(route, &request, reader, start).map(drop).map_err(|_| 503)
        })
    }
}

/// Whether a request must have an origin stream of its own.
pub(crate) fn is_private(route: &Route, request: &Request) -> bool {
    let may_share = route.stream == Stream::Shared && request.takes_events();
    !may_share || request.has_credentials_beyond(route)
}
