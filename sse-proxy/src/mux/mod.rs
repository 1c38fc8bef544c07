//! Many feeds on one stream: wire format v1.
//!
//! What is asked for and how it is written is sse-layer's; this serves the requests, and finds the
//! feeds.

mod body;
mod catch_ups;
mod join;
mod page;
mod shown;
mod stream;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCEPT, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HeaderValue, ORIGIN,
};
use http::{HeaderMap, Method};
use pingora::protocols::http::ServerSession;
use sse_layer::mux::{self, ChangeRequest, Refused, Sid, Streams};

pub(crate) use self::join::is_private;
pub(crate) use self::page::Part;
use self::shown::Shown;
use self::stream::Change;
pub(crate) use self::stream::Changing;
use crate::answer::Answer;
use crate::client::Client;
use crate::config::Config;
use crate::downstream::Downstream;
use crate::feeds::Feeds;
use crate::limits::Seat;
use crate::request::{LAST_EVENT_ID, Request};
use crate::router::Router;
use crate::{cors, hold};

/// What pages of other sites may send it.
const SENT: HeaderValue = HeaderValue::from_static("GET, POST");

/// What the endpoint answers to.
const OPENED_BY: HeaderValue = HeaderValue::from_static("GET, POST, OPTIONS");
const CHANGED_BY: HeaderValue = HeaderValue::from_static("POST, OPTIONS");

/// Serves mux requests. Clones are the same.
#[derive(Clone)]
pub(crate) struct Mux {
    feeds: Feeds,
    router: Router,
    path: Arc<str>,
    max_feeds: usize,
    streams: Streams<Box<Change>>,
    /// For the page that shows them, if it is on.
    shown: Option<Shown>,
}

/// A stream that is to be written, and more fields for the head of its response.
pub(crate) struct Opened {
    pub(crate) stream: Changing,
    pub(crate) headers: HeaderMap,
}

impl Mux {
    pub(crate) fn new(config: &Config, feeds: Feeds, router: Router) -> Self {
        let (path, max_feeds) = (config.mux.path.as_str().into(), config.mux.max_feeds);
        let shown = config.mux.page.then(Shown::default);
        Self { feeds, router, path, max_feeds, streams: Streams::new(), shown }
    }

    /// What there is at `path` of the page that shows the streams.
    pub(crate) fn page_at(&self, path: &str) -> Option<Part> {
        self.shown.as_ref().and_then(|_| Part::at(path))
    }

    /// Feeds the page of whoever sent this request.
    pub(crate) async fn show(
        &self,
        request: Request,
        client: Client,
        seat: Seat,
    ) -> pingora::Result<()> {
        let Some(shown) = self.shown.clone() else { return Ok(()) };
        let headers = hold::headers();
        let downstream =
            Downstream::open(client, &headers, Bytes::new(), stream::KEEP_ALIVE, seat).await?;
        tokio::spawn(shown.watch(request.headers, downstream));
        Ok(())
    }

    /// Whether a request to `path` is for us: `PATH` opens streams, `PATH/SID` changes one.
    pub(crate) fn is_at(&self, path: &str) -> bool {
        path.strip_prefix(&*self.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Answers a mux request, unless the answer is a stream: that is for the caller to write.
    pub(crate) async fn ask(
        &self,
        session: &mut ServerSession,
        request: Request,
    ) -> pingora::Result<Option<Opened>> {
        let Some(mut permit) = self.permit(&request) else {
            let text = "Pages of this origin may not open streams here.\n";
            Answer::new(403, text).write(session, HeaderMap::new()).await?;
            return Ok(None);
        };
        let method = session.req_header().method.clone();
        let answered = match Sid::of_path(&request.path) {
            _ if cors::is_preflight(&method, &request.headers) => {
                cors::allow(&mut permit, &request.headers, SENT);
                Ok(())
            }
            None if *request.path != *self.path => Err(Refused::Unknown.into()),
            None => match self.open(session, &method, request).await {
                Ok(stream) => return Ok(Some(Opened { stream, headers: permit })),
                Err(answer) => Err(answer),
            },
            Some(sid) => self.change(session, &method, sid, request).await,
        };
        let answer = answered.map_or_else(|answer| answer, |()| Answer::new(204, ""));
        answer.write(session, permit).await?;
        Ok(None)
    }

    /// The fields that let the page read the answer that has sent the request; `None` if it must
    /// not even ask. A POST of any page comes with the user's cookies.
    fn permit(&self, request: &Request) -> Option<HeaderMap> {
        let Some(origin) = cors::other_site(request) else { return Some(HeaderMap::new()) };
        let routes = self.router.of_host(&request.authority);
        let routes = routes.iter().filter(|route| route.mux);
        cors::permit(routes.filter_map(|route| route.cors.as_ref()), origin)
    }

    async fn open(
        &self,
        session: &mut ServerSession,
        method: &Method,
        mut request: Request,
    ) -> Result<Changing, Answer> {
        let asked = match *method {
            Method::GET if !session.is_body_empty() => {
                let text = "A request that opens a stream by GET has no body.\n";
                return Err(Answer::new(400, text));
            }
            Method::GET => {
                let after = String::from_utf8_lossy(&request.take_last_event_id()).into_owned();
                mux::Request::of_query(request.query.as_deref().unwrap_or_default(), &after)
            }
            Method::POST => {
                let body = body::read(session).await?;
                mux::Request::of_json(&body).map_err(|_| {
                    Answer::new(400, "Expected JSON, as in {\"feeds\":[[\"/a\",null]]}.\n")
                })?
            }
            Method::OPTIONS => return Err(Answer::new(204, "").with(ALLOW, OPENED_BY)),
            _ => {
                let text = "Multiplexed streams are opened by GET or POST.\n";
                return Err(Answer::new(405, text).with(ALLOW, OPENED_BY));
            }
        };
        if asked.feeds.is_empty() {
            return Err(Answer::new(400, "Name the feeds to read, as in ?feed=/a&feed=/b.\n"));
        }
        if asked.feeds.len() > self.max_feeds {
            return Err(TOO_MANY_FEEDS);
        }
        let entered = self
            .streams
            .enter(&request.headers)
            .map_err(|_| Answer::new(503, "The stream cannot be given a name now.\n"))?;
        Ok(Changing::open(self, entered, &as_feeds_request(request), &asked))
    }

    async fn change(
        &self,
        session: &mut ServerSession,
        method: &Method,
        sid: Sid,
        request: Request,
    ) -> Result<(), Answer> {
        if *method == Method::OPTIONS {
            return Err(Answer::new(204, "").with(ALLOW, CHANGED_BY));
        }
        if *method != Method::POST {
            let text = "Multiplexed streams are changed by POST.\n";
            return Err(Answer::new(405, text).with(ALLOW, CHANGED_BY));
        }
        let body = body::read(session).await?;
        let asked = ChangeRequest::of_json(&body).map_err(|_| {
            let text = "Expected JSON, as in {\"add\":[[\"/a\",null]],\"remove\":[\"/b\"]}.\n";
            Answer::new(400, text)
        })?;
        if asked.add.len() > self.max_feeds {
            return Err(TOO_MANY_FEEDS);
        }
        let headers = request.headers.clone();
        let change = || Box::new(Change { asked, request: as_feeds_request(request) });
        Ok(self.streams.change(sid, &headers, change)?)
    }
}

const TOO_MANY_FEEDS: Answer = Answer::new(400, "Too many feeds for one stream.\n");

/// The request as it would be for one of the feeds: a GET for events, without what is about the
/// body of a POST. A browser names no origin where a page asks its own site.
fn as_feeds_request(mut request: Request) -> Request {
    let is_own = cors::other_site(&request).is_none();
    request.method = Method::GET;
    let headers = &mut request.headers;
    for field in [CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, LAST_EVENT_ID] {
        headers.remove(field);
    }
    if is_own {
        headers.remove(ORIGIN);
    }
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    request
}
