//! Where operators look in: metrics, health, feeds, a live page, and the drain on request.

mod feeds;
mod live;

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use sse_layer::feed::FeedStream;
use sse_layer::{LastEventId, SseLayer};
use tokio::sync::{Notify, Semaphore};
use tower::{Layer, service_fn};

use self::live::Live;
use crate::drain::Drain;
use crate::record::Records;

/// The most connections at once: monitoring needs a few.
const CONNECTIONS: usize = 64;

/// How long a client may take to send a request's head.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the accept loop rests when no connection can be taken.
const BREATH: Duration = Duration::from_millis(50);

const TEXT: &str = "text/plain; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const JSON: &str = "application/json";

/// The page may ask nobody but us.
const POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'self'; img-src data:; frame-ancestors 'none'");

type Answer = Response<Either<Full<Bytes>, FeedStream>>;

/// Answers operators and their tools. Whoever can connect may ask.
pub(crate) struct Admin {
    socket: TcpListener,
    view: View,
}

/// What can be seen and done.
#[derive(Clone)]
struct View {
    records: Records,
    live: Live,
    drain: Drain,
    /// Told when somebody wants the process drained.
    asked: Arc<Notify>,
}

impl Admin {
    pub(crate) fn new(
        socket: TcpListener,
        records: Records,
        drain: Drain,
        asked: Arc<Notify>,
    ) -> Self {
        let live = Live::new(records.clone(), drain.clone());
        Self { socket, view: View { records, live, drain, asked } }
    }

    /// Serves for as long as the process lives: also while it drains.
    pub(crate) async fn serve(self) {
        let socket = match tokio::net::TcpListener::from_std(self.socket) {
            Ok(socket) => socket,
            Err(error) => return tracing::error!(%error, "the admin address cannot be served"),
        };
        tokio::spawn(self.view.live.clone().run());
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        // Nobody closes the semaphore.
        while let Ok(permit) = Arc::clone(&room).acquire_owned().await {
            let stream = match socket.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept an admin connection");
                    tokio::time::sleep(BREATH).await;
                    continue;
                }
            };
            let view = self.view.clone();
            tokio::spawn(async move {
                let answer = service_fn(move |request| {
                    std::future::ready(Ok::<_, Infallible>(view.answer(&request)))
                });
                let service = TowerToHyperService::new(SseLayer::new().layer(answer));
                let mut server = http1::Builder::new();
                server.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
                let served = server.serve_connection(TokioIo::new(stream), service).await;
                if let Err(error) = served {
                    tracing::debug!(%error, "admin connection");
                }
                drop(permit);
            });
        }
    }
}

impl View {
    fn answer(&self, request: &Request<Incoming>) -> Answer {
        let (method, path) = (request.method(), request.uri().path());
        let allowed = match path {
            "/" | "/page.js" | "/page.css" => "GET",
            "/metrics" | "/healthz" | "/readyz" | "/api/feeds" | "/api/live" => "GET",
            "/api/drain" => "POST",
            _ => return text(StatusCode::NOT_FOUND, "There is no such page.\n"),
        };
        if method != allowed && !(allowed == "GET" && method == Method::HEAD) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "Not by this method.\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
            return response;
        }
        match path {
            "/" => page("text/html; charset=utf-8", include_str!("page/page.html")),
            "/page.js" => page("text/javascript; charset=utf-8", include_str!("page/page.js")),
            "/page.css" => page("text/css; charset=utf-8", include_str!("page/page.css")),
            "/metrics" => answer(StatusCode::OK, PROMETHEUS, self.records.metrics().render()),
            "/api/feeds" => answer(StatusCode::OK, JSON, feeds::json(&self.records)),
            "/api/live" => {
                let stream = self.live.stream(LastEventId::of(request).as_ref());
                stream.into_response().map(Either::Right)
            }
            "/readyz" if self.drain.has_begun() => {
                text(StatusCode::SERVICE_UNAVAILABLE, "draining\n")
            }
            "/api/drain" if is_of_another_site(request.headers()) => {
                text(StatusCode::FORBIDDEN, "Not from a page of another site.\n")
            }
            "/api/drain" => {
                self.asked.notify_one();
                text(StatusCode::ACCEPTED, "draining\n")
            }
            _ => text(StatusCode::OK, "ok\n"),
        }
    }
}

/// Whether a browser says that a page of another site makes this request.
fn is_of_another_site(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let host = headers.get(HOST).map(HeaderValue::as_bytes).unwrap_or_default();
    origin.as_bytes().strip_prefix(b"http://") != Some(host)
}

fn page(content_type: &'static str, text: &'static str) -> Answer {
    let mut response = answer(StatusCode::OK, content_type, text);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, POLICY);
    response
}

fn text(status: StatusCode, text: &'static str) -> Answer {
    answer(status, TEXT, text)
}

fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Either::Left(Full::new(body.into())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
