//! [`Front`]: every request comes by here, and is sent where it belongs.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::BytesMut;
use http::header::HOST;
use http::{Method, Version};
use pingora::apps::{HttpServerApp, ReusedHttpStream, ServerApp};
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora::server::ShutdownWatch;
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::ask::{self, Asked, IDLE};
use crate::asker::{Asker, Outcome};
use crate::client::{Client, reuse, unread_session};
use crate::client_files::ClientFile;
use crate::config::{Route, Stream};
use crate::connection::Connection;
use crate::hold::{self, is_held};
use crate::hub::{Begun, Line, Reply};
use crate::mux::is_private;
use crate::origin::Response;
use crate::places::{Places, TOO_MANY_STREAMS};
use crate::request::Request;
use crate::session::{respond, take};
use crate::{cors, plain, posts, relay, shared, tunnel};

/// How much is kept for a stream of HTTP/2 that its connection cannot send for now, whatever its
/// window: what a client that does not read can cost.
const KEPT: usize = 64 << 10;

/// Sends every request of a listener where it belongs.
pub(crate) struct Front {
    places: Places,
    http2: H2Options,
}

/// Where a request belongs that may be answered with a stream.
enum Place {
    Shared(Arc<Route>),
    Private(Arc<Route>),
}

impl Front {
    pub(crate) fn new(places: Places, max_concurrent_streams: u32) -> Arc<Self> {
        let mut http2 = default_h2_options();
        http2.max_concurrent_streams(max_concurrent_streams).max_send_buffer_size(KEPT);
        Arc::new(Self { places, http2 })
    }

    /// Serves an HTTP/1 connection until it ends, or until nothing is left of it but a stream.
    /// `came` is what has been read of it.
    pub(crate) async fn serve(self: &Arc<Self>, connection: Connection, came: BytesMut) {
        let mut open = told(self.serve_next(connection, came).await).flatten();
        while let Some(connection) = open {
            open = told(self.serve_next(connection, BytesMut::new()).await).flatten();
        }
    }

    /// Serves an HTTP/2 connection until it ends, or goes to the hub. It holds what is `held` until
    /// it ends. Once the process is `going`, it takes no further request.
    pub(crate) async fn serve_http2(
        self: Arc<Self>,
        connection: Connection,
        going: ShutdownWatch,
        held: impl Send + 'static,
    ) {
        let line = Line::new(Handle::current());
        let requests = Arc::new(Requests { front: self, line: line.clone() });
        line.serve(async move {
            requests.process_new(Box::new(connection), &going).await;
            drop(held);
        })
        .await;
    }

    /// The answer to what has come from a client on a new connection without TLS, if that is all of
    /// a request for a stream, and nothing has to be waited for.
    pub(crate) fn answer_at_once(&self, came: &[u8], client: IpAddr) -> Option<Reply> {
        let places = &self.places;
        let asked = ask::look(came, 0, places.limits.header_bytes.0);
        let Some(Asked::Get(mut request)) = asked else { return None };
        request.client = Some(client);
        let place = self.place(&request)?;
        let seat = places.seat(&request)?;
        match place {
            Place::Shared(route) => {
                let begun = shared::begin_at_once(&places.feeds, route, *request, seat)?;
                Some(Reply::Begun(Box::new(begun)))
            }
            Place::Private(route) if is_held(&route, &request) => None,
            Place::Private(route) => {
                let (asker, errand) = relay::at_once::ask(&places.feeds, route, *request, seat)?;
                Some(Reply::Ask(asker, Box::new(errand)))
            }
        }
    }

    /// Begins a stream with its origin's answer, if nothing more has to be known of that.
    pub(crate) fn begin_at_once(
        &self,
        asker: Box<Asker>,
        response: Box<Response>,
    ) -> Result<Begun, (Box<Asker>, Outcome)> {
        relay::at_once::open(&self.places.feeds, asker, response)
    }

    /// Answers a client whose request has been read and made already, and serves its connection on.
    pub(crate) async fn go_on(
        self: &Arc<Self>,
        connection: Connection,
        came: BytesMut,
        asker: Asker,
        outcome: Outcome,
    ) {
        let Asker { route, request, seat } = asker;
        let client = Client::Http1 { connection, came, version: request.version };
        let (feeds, hub) = (self.places.feeds.clone(), &self.places.hub);
        let served = relay::serve(client, feeds, hub, route, request, seat, Some(outcome)).await;
        if let Some(connection) = told(served).flatten() {
            self.serve(connection, BytesMut::new()).await;
        }
    }

    /// Serves the next request of an HTTP/1 connection. Returns the connection if there may be
    /// more.
    async fn serve_next(
        &self,
        mut connection: Connection,
        mut came: BytesMut,
    ) -> pingora::Result<Option<Connection>> {
        let most_bytes = self.places.limits.header_bytes.0;
        let asked = tokio::select! {
            asked = timeout(IDLE, ask::read(&mut connection, &mut came, most_bytes)) => asked,
            () = self.places.drain.begun() => return Ok(None),
        };
        match asked {
            Ok(Ok(Asked::Get(request))) => {
                let version = request.version;
                if let Some(place) = self.place(&request) {
                    let client = Client::Http1 { connection, came, version };
                    return self.answer(client, *request, place).await;
                }
            }
            Ok(Ok(Asked::Other)) => {}
            Ok(Ok(Asked::Nothing) | Err(_)) | Err(_) => return Ok(None),
        }
        let mut session = unread_session(connection, came);
        match session.read_request().await {
            // In a box, as all that is rare is: a task is as large as the largest of its ways.
            Ok(true) => Box::pin(self.serve_session(session, None)).await,
            Ok(false) => Ok(None),
            Err(error) => {
                if matches!(error.etype(), pingora::ErrorType::InvalidHTTPHeader) {
                    session.respond_error(400).await?;
                }
                session.shutdown().await;
                Ok(None)
            }
        }
    }

    /// Serves a request that pingora has read, on this `line` if it came over HTTP/2.
    async fn serve_session(
        &self,
        mut session: Box<ServerSession>,
        line: Option<Line>,
    ) -> pingora::Result<Option<Connection>> {
        let places = &self.places;
        let has_body = !session.is_body_empty();
        let head = session.req_header();
        if let Some((status, text)) = refusal(head, places.limits.header_bytes.0) {
            respond(*session, status, text).await?;
            return Ok(None);
        }
        let request = Request::of_session(&session);
        if let Some(part) = places.mux.page_at(&request.path) {
            return Box::pin(places.serve_page(session, request, part)).await;
        }
        if let Some(file) = ClientFile::at(&request.path) {
            file.serve(&mut session).await?;
            return reuse(session).await;
        }
        if places.mux.is_at(&request.path) {
            return Box::pin(places.serve_mux(session, request)).await;
        }
        let protocol = tunnel::wanted(head);
        if head.method == Method::GET
            && protocol.is_none()
            && !has_body
            && let Some(place) = self.place(&request)
        {
            return self.answer(Client::Session(session, line), request, place).await;
        }
        let Some(route) = places.router.find(&request.authority, &request.path) else {
            respond(*session, 404, "No route is configured for this path.\n").await?;
            return Ok(None);
        };
        if let Some(answered) = cors::preflight(&mut session, &route, &request).await {
            answered?;
            return reuse(session).await;
        }
        let draining = places.drain.join();
        if let Some(protocol) = protocol
            && !has_body
        {
            let feeds = places.feeds.clone();
            tunnel::serve(take(&mut session), feeds, route, request, protocol, draining).await?;
            return Ok(None);
        }
        if posts::may_stream(&route, &request) {
            return posts::serve(session, places, route, request).await;
        }
        plain::serve(&mut session, places.feeds.origins(), &route, &request).await?;
        reuse(session).await
    }

    /// Where a GET without a body belongs, if it may be answered with a stream.
    fn place(&self, request: &Request) -> Option<Place> {
        let places = &self.places;
        let route = places.router.find(&request.authority, &request.path)?;
        let is_ours = places.mux.is_at(&request.path)
            || places.mux.page_at(&request.path).is_some()
            || ClientFile::at(&request.path).is_some();
        if route.stream == Stream::Off || is_ours {
            return None;
        }
        Some(if is_private(&route, request) { Place::Private(route) } else { Place::Shared(route) })
    }

    /// Answers a GET. Returns the connection of an HTTP/1 client that may ask for more.
    async fn answer(
        &self,
        client: Client,
        request: Request,
        place: Place,
    ) -> pingora::Result<Option<Connection>> {
        let places = &self.places;
        let (Place::Shared(route) | Place::Private(route)) = &place;
        let route = Arc::clone(route);
        let Some(seat) = places.seat(&request) else {
            Box::pin(client.respond(429, TOO_MANY_STREAMS)).await?;
            return Ok(None);
        };
        let feeds = places.feeds.clone();
        if matches!(place, Place::Shared(_)) {
            shared::serve(client, feeds, &places.hub, route, request, seat).await
        } else if is_held(&route, &request) {
            Box::pin(hold::serve(client, feeds, route, request, seat)).await
        } else {
            Box::pin(relay::serve(client, feeds, &places.hub, route, request, seat, None)).await
        }
    }
}

/// Answers the requests of an HTTP/2 connection.
struct Requests {
    front: Arc<Front>,
    line: Line,
}

#[async_trait]
impl HttpServerApp for Requests {
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        _going: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        told(self.front.serve_session(Box::new(session), Some(self.line.clone())).await);
        None
    }

    fn h2_options(&self) -> Option<H2Options> {
        Some(self.front.http2.clone())
    }
}

/// Tells what kept a request from being answered: mostly that its client has left.
fn told<T>(result: pingora::Result<T>) -> Option<T> {
    result.inspect_err(|error| tracing::debug!(%error, "no answer could be given")).ok()
}

/// What a request is answered that cannot be served, whatever its route.
fn refusal(head: &RequestHeader, most_bytes: usize) -> Option<(u16, &'static str)> {
    if head_bytes(head) > most_bytes {
        let text = "The request's head is larger than limits.header_bytes allows.\n";
        return Some((431, text));
    }
    if !has_one_host(head) {
        return Some((400, "A request names one host.\n"));
    }
    (head.method == Method::CONNECT).then_some((405, "No tunnels are built here.\n"))
}

/// Whether the request names its host as it must: where it names none, or several, the origin may
/// think of another site than we do (RFC 9112, 3.2). HTTP/1.0 knows no hosts.
fn has_one_host(head: &RequestHeader) -> bool {
    let mut hosts = head.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => !host.as_bytes().contains(&b','),
        (None, _) => head.uri.authority().is_some() || head.version < Version::HTTP_11,
        (Some(_), Some(_)) => false,
    }
}

/// The size of a head, as HTTP/1 would write it.
fn head_bytes(head: &RequestHeader) -> usize {
    let fields = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    head.raw_path().len() + fields.sum::<usize>()
}
