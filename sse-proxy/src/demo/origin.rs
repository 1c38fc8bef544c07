//! The demo's origin: an event server of the kind that is often found.
//!
//! It has the usual faults on purpose. Field names are capitalised, so browsers ignore every line; there
//! are no keep-alives and no `retry`; `Last-Event-ID` is ignored and nothing is kept; it speaks HTTP/1.1
//! only, of which a browser opens six connections.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /feed/NAME` | one of twelve endless streams; the query makes it another one, with its own count |
//! | `POST /cut?seconds=3` | an origin restart: streams break off, and `/feed` is refused for that time |
//! | `GET /status` | what was sent on each URL, as JSON |
//! | `GET /` | the page that shows it all |

mod feeds;
mod samples;

#[cfg(test)]
mod tests;

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{Either, Full};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use feeds::{Events, Feeds, Refused};

/// Connections held at once; more are closed as they come.
const MAX_CONNECTIONS: usize = 512;
/// How finely the feeds' intervals are kept.
const TICK: Duration = Duration::from_millis(25);
/// How long to wait when the system has no more sockets to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the origin is away when `/cut` does not say, and at most, in seconds.
const CUT_SECONDS: (f32, f32) = (3.0, 60.0);

/// The page and its parts: path, media type, content.
const PAGE: [(&str, &str, &str); 7] = [
    ("/", "text/html; charset=utf-8", include_str!("page/page.html")),
    ("/style.css", "text/css; charset=utf-8", include_str!("page/style.css")),
    ("/app.js", "text/javascript; charset=utf-8", include_str!("page/app.js")),
    ("/feeds.js", "text/javascript; charset=utf-8", include_str!("page/feeds.js")),
    ("/sources.js", "text/javascript; charset=utf-8", include_str!("page/sources.js")),
    ("/view.js", "text/javascript; charset=utf-8", include_str!("page/view.js")),
    ("/strip.js", "text/javascript; charset=utf-8", include_str!("page/strip.js")),
];

type Body = Either<Full<Bytes>, Events>;

/// A legacy event server with twelve feeds and a page.
#[derive(Debug)]
pub(super) struct Origin {
    listener: TcpListener,
    address: SocketAddr,
    feeds: Arc<Feeds>,
}

impl Origin {
    /// Binds the server; port 0 takes a free one. Nothing is answered before [`serve`](Self::serve).
    ///
    /// # Errors
    ///
    /// The system's own, when the address cannot be bound.
    pub(super) async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, feeds: Arc::new(Feeds::new(address)) })
    }

    /// The address it listens on, with the real port.
    #[must_use]
    pub(super) fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves for as long as the future is polled. Dropping it closes every connection.
    pub(super) async fn serve(self) {
        let mut connections = JoinSet::new();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) if connections.len() < MAX_CONNECTIONS => {
                        connections.spawn(serve_connection(stream, Arc::clone(&self.feeds)));
                    }
                    Ok(_) => {}
                    Err(_) => sleep(ACCEPT_PAUSE).await,
                },
                now = tick.tick() => self.feeds.tick(now),
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

async fn serve_connection(stream: TcpStream, feeds: Arc<Feeds>) {
    // Without it an event may wait for the acknowledgement of the one before.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(move |request| {
        let answer = answer(&feeds, &request);
        async move { answer }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_HEAD_TIMEOUT)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    // A connection that broke off is this server's daily bread, and half of the demonstration.
    drop(served);
}

/// The connection is to be dropped without an answer.
#[derive(Debug)]
struct NoAnswer;

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the origin is down")
    }
}

impl std::error::Error for NoAnswer {}

fn answer<B>(feeds: &Feeds, request: &Request<B>) -> Result<Response<Body>, NoAnswer> {
    let path = request.uri().path();
    let read = matches!(*request.method(), Method::GET | Method::HEAD);
    if let Some(name) = path.strip_prefix("/feed/") {
        if request.method() != Method::GET {
            return Ok(plain(StatusCode::METHOD_NOT_ALLOWED));
        }
        let url = request.uri().path_and_query().map_or(path, http::uri::PathAndQuery::as_str);
        return match feeds.open(name, url, Instant::now()) {
            Ok(events) => Ok(stream(events)),
            Err(Refused::Down) => Err(NoAnswer),
            Err(Refused::Unknown) => Ok(plain(StatusCode::NOT_FOUND)),
            Err(Refused::Full) => Ok(plain(StatusCode::SERVICE_UNAVAILABLE)),
        };
    }
    if path == "/cut" {
        return Ok(match (request.method(), cut_time(request.uri().query())) {
            (&Method::POST, Some(time)) => {
                feeds.cut(Instant::now(), time);
                plain(StatusCode::NO_CONTENT)
            }
            (&Method::POST, None) => plain(StatusCode::BAD_REQUEST),
            _ => plain(StatusCode::METHOD_NOT_ALLOWED),
        });
    }
    let part = PAGE.iter().find(|(part, ..)| *part == path);
    Ok(match (path, part) {
        ("/status", _) if read => {
            content("application/json", feeds.status(Instant::now()).to_string().into())
        }
        (_, Some((_, kind, text))) if read => content(kind, Bytes::from_static(text.as_bytes())),
        ("/status", _) | (_, Some(_)) => plain(StatusCode::METHOD_NOT_ALLOWED),
        (_, None) => plain(StatusCode::NOT_FOUND),
    })
}

/// The head that hand-written event servers send, letter by letter.
fn stream(events: Events) -> Response<Body> {
    let mut response = Response::new(Either::Right(events));
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONNECTION, "keep-alive"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ] {
        response.headers_mut().insert(name, header::HeaderValue::from_static(value));
    }
    response
}

fn content(kind: &'static str, content: Bytes) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(content)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}

fn plain(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::default()));
    *response.status_mut() = status;
    response
}

/// The time asked for by `seconds=`, or the usual one; `None` for what is no such time.
fn cut_time(query: Option<&str>) -> Option<Duration> {
    let (usual, most) = CUT_SECONDS;
    let asked = query.unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("seconds="));
    let seconds = asked.map_or(Ok(usual), str::parse::<f32>).ok()?;
    (0.0..=most).contains(&seconds).then(|| Duration::from_secs_f32(seconds))
}
