//! The layer in real servers: how streams leave them, and how clients do.
//!
//! Hyper's connections run over pipes in memory, so the clock can be paused; axum's over TCP.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use http::Request;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use sse_layer::{Drain, Event, EventStream, KeepAlive, SseLayer};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tower::{ServiceBuilder, service_fn};

use crate::client::{Client, PROTOCOLS, Protocol};
use crate::secs;

/// The events of a handler, which counts as open while this lives.
struct Events {
    next: Option<Event>,
    open: watch::Sender<usize>,
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Event>> {
        self.next.take().map_or(Poll::Pending, |event| Poll::Ready(Some(event)))
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.open.send_modify(|open| *open -= 1);
    }
}

/// A handler whose streams say one thing, and are then silent for ever.
struct Handler {
    open: watch::Sender<usize>,
}

impl Handler {
    fn new() -> Self {
        Self { open: watch::Sender::new(0) }
    }

    /// Serves one connection with it, until the connection is over.
    fn serve(&self, layer: SseLayer, graceful: &GracefulShutdown) -> tokio::io::DuplexStream {
        let (client, server) = tokio::io::duplex(1 << 16);
        let open = self.open.clone();
        let service =
            ServiceBuilder::new().layer(layer).service(service_fn(move |_: Request<Incoming>| {
                open.send_modify(|open| *open += 1);
                let events = Events { next: Some(Event::new().data("x")), open: open.clone() };
                std::future::ready(Ok::<_, Infallible>(EventStream::new(events).into_response()))
            }));
        let builder = auto::Builder::new(TokioExecutor::new());
        let connection =
            builder.serve_connection(TokioIo::new(server), TowerToHyperService::new(service));
        tokio::spawn(graceful.watch(connection.into_owned()));
        client
    }

    /// Resolves when all streams are dropped.
    async fn all_dropped(&self) {
        self.open.subscribe().wait_for(|open| *open == 0).await.unwrap();
    }
}

/// A layer without a timer that could notice something by chance.
fn quiet() -> SseLayer {
    SseLayer::new().keep_alive(KeepAlive::off())
}

#[tokio::test(start_paused = true)]
async fn hyper_shuts_down_within_the_window_and_streams_end_well() {
    for protocol in PROTOCOLS {
        let (handler, graceful, drain) = (Handler::new(), GracefulShutdown::new(), Drain::new());
        let io = handler.serve(quiet().drain(drain.clone()), &graceful);
        let mut client = Client::connect(protocol, io).await;
        let response = client.stream().await;

        let start = Instant::now();
        drain.start(secs(5));
        let rest = tokio::spawn(response.into_body().collect());
        timeout(secs(6), graceful.shutdown()).await.expect("no hang");
        timeout(secs(1), drain.finished()).await.expect("no stream is left");
        assert!(start.elapsed() <= secs(5) + Duration::from_millis(10), "{:?}", start.elapsed());
        let rest = rest.await.unwrap().expect("a complete body").to_bytes();
        assert!(rest.starts_with(b"retry: ") && rest.ends_with(b"\n\n"), "{rest:?}");
        handler.all_dropped().await;
    }
}

#[tokio::test(start_paused = true)]
async fn hyper_waits_for_ever_without_a_drain() {
    for protocol in PROTOCOLS {
        let (handler, graceful) = (Handler::new(), GracefulShutdown::new());
        let mut client = Client::connect(protocol, handler.serve(quiet(), &graceful)).await;
        let _response = client.stream().await;
        assert!(timeout(secs(86_400), graceful.shutdown()).await.is_err(), "{protocol:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_is_dropped_within_a_second_after_its_client_left() {
    for protocol in PROTOCOLS {
        let (handler, graceful) = (Handler::new(), GracefulShutdown::new());
        let mut client = Client::connect(protocol, handler.serve(quiet(), &graceful)).await;
        let response = client.stream().await;
        client.leave();
        timeout(secs(1), handler.all_dropped()).await.expect("the connection's end is noticed");
        drop(response);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_reset_is_dropped_and_the_connection_lives_on() {
    let (handler, graceful) = (Handler::new(), GracefulShutdown::new());
    let mut client = Client::connect(Protocol::H2, handler.serve(quiet(), &graceful)).await;
    drop(client.stream().await);
    timeout(secs(1), handler.all_dropped()).await.expect("the reset is noticed");
    client.stream().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_left_gives_its_place_back() {
    for protocol in PROTOCOLS {
        let (handler, graceful) = (Handler::new(), GracefulShutdown::new());
        let layer = quiet().max_streams(1);
        for _ in 0..3 {
            let io = handler.serve(layer.clone(), &graceful);
            let mut client = Client::connect(protocol, io).await;
            let response = client.stream().await;
            assert_eq!(response.status(), 200);
            client.leave();
            // The pipe's other end sees it when it runs.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn axum_shuts_down_within_the_window() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let drain = Drain::new();
    let events = || EventStream::new(futures_util::stream::pending::<Event>());
    let app = axum::Router::new()
        .route("/", axum::routing::get(async move || events()))
        .layer(SseLayer::new().drain(drain.clone()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let begun = {
        let drain = drain.clone();
        async move {
            while !drain.has_begun() {
                tokio::task::yield_now().await
            }
        }
    };
    let server =
        tokio::spawn(axum::serve(listener, app).with_graceful_shutdown(begun).into_future());

    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    while drain.active() == 0 {
        client.read_u8().await.unwrap();
    }
    drain.start(Duration::from_millis(100));
    timeout(secs(10), server).await.expect("no hang").unwrap().unwrap();
    assert_eq!(drain.active(), 0);
    let mut rest = String::new();
    client.read_to_string(&mut rest).await.unwrap();
    assert!(rest.ends_with("\n\n\r\n0\r\n\r\n"), "a complete body: {rest}");
}
