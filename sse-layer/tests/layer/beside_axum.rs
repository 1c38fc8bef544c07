//! The same handlers as responses of axum's own [`Sse`], and as ours: what differs, and why one
//! would want the layer.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::panic::catch_unwind;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::response::sse::{Event as AxumEvent, Sse};
use axum::routing::get;
use axum::serve::Listener;
use futures_util::{FutureExt, Stream, StreamExt, stream};
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use sse_layer::{Decoder, Drain, Event, EventId, EventStream, EventType, SseLayer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tower::ServiceExt;

use crate::{secs, timed};

type Data = &'static str;

/// One event, and then silence for ever.
#[derive(Clone, Default)]
struct Once(bool);

impl Stream for Once {
    type Item = Data;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Data>> {
        if std::mem::replace(&mut self.0, true) { Poll::Pending } else { Poll::Ready(Some("1")) }
    }
}

/// A handler that sends `data`, as axum has it.
fn axums(data: impl Stream<Item = Data> + Clone + Send + Sync + 'static) -> Router {
    let events =
        move || data.clone().map(|data| Ok::<_, Infallible>(AxumEvent::default().data(data)));
    Router::new().route("/", get(async move || Sse::new(events())))
}

/// The same, with ours.
fn ours(layer: SseLayer, data: impl Stream<Item = Data> + Clone + Send + Sync + 'static) -> Router {
    let events = move || data.clone().map(|data| Event::new().data(data));
    Router::new().route("/", get(async move || EventStream::new(events()))).layer(layer)
}

async fn ask(app: Router) -> Response<Body> {
    let request = Request::get("/").header("accept-encoding", "gzip").body(Body::empty()).unwrap();
    app.oneshot(request).await.unwrap()
}

async fn headers(app: Router) -> Vec<String> {
    let headers: HeaderMap = ask(app).await.headers().clone();
    let mut all: Vec<_> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    all.sort();
    all
}

#[tokio::test]
async fn headers_keep_proxies_from_storing_and_collecting() {
    assert_eq!(
        headers(axums(stream::empty())).await,
        ["cache-control: no-cache", "content-type: text/event-stream",]
    );
    assert_eq!(
        headers(ours(SseLayer::new(), stream::empty())).await,
        [
            "cache-control: no-cache, no-store, no-transform",
            "content-type: text/event-stream",
            "x-accel-buffering: no",
        ]
    );
}

#[tokio::test]
async fn a_silent_stream_opens_at_once() {
    let mut body = ask(axums(stream::pending())).await.into_body();
    assert!(body.frame().now_or_never().is_none());
    let mut body = ask(ours(SseLayer::new(), stream::pending())).await.into_body();
    let first = body.frame().now_or_never().expect("at once").unwrap().unwrap();
    assert!(first.into_data().unwrap().starts_with(b":\nretry: "));
}

#[tokio::test(start_paused = true)]
async fn silence_is_filled_without_being_asked_for() {
    let seen = timed(ask(axums(stream::pending())).await.into_body(), secs(3600)).await;
    assert_eq!(seen, []);
    let ours = ours(SseLayer::new(), stream::pending());
    let seen = timed(ask(ours).await.into_body(), secs(3600)).await;
    assert!(seen.len() > 200, "{}", seen.len());
}

/// What a browser reads.
async fn read(app: Router) -> Vec<String> {
    let mut decoder = Decoder::new();
    decoder.push(ask(app).await.into_body().collect().await.unwrap().to_bytes());
    std::iter::from_fn(|| decoder.next_event().unwrap().map(|event| event.data.to_owned()))
        .collect()
}

#[tokio::test]
async fn a_line_break_of_windows_is_one_line_break() {
    let data = || stream::iter(["a\r\nb"]);
    assert_eq!(read(axums(data())).await, ["a\n\nb"]);
    assert_eq!(read(ours(SseLayer::new(), data())).await, ["a\nb"]);
}

#[test]
fn what_cannot_be_sent_is_an_error_and_no_panic() {
    let axums: [fn() -> AxumEvent; 4] = [
        || AxumEvent::default().id("1\n2"),
        || AxumEvent::default().id("1\0"),
        || AxumEvent::default().event("a\nb"),
        || AxumEvent::default().data("1").data("2"),
    ];
    for build in axums {
        assert!(catch_unwind(build).is_err());
    }
    assert!(EventId::try_from("1\n2").is_err());
    assert!(EventId::try_from("1\0").is_err());
    assert!(EventType::try_from("a\nb").is_err());
    assert_eq!(Event::new().data("1").data("2").to_bytes(), "data: 2\n\n");
}

#[tokio::test]
async fn a_comment_may_have_several_lines() {
    assert!(catch_unwind(|| AxumEvent::default().comment("a\nb")).is_err());
    assert_eq!(Event::new().comment("a\nb").to_bytes(), ": a\n: b\n\n");
}

/// A connection that breaks off says nothing; one that ends brings the client back in good order.
#[tokio::test]
async fn an_error_ends_the_stream_and_does_not_break_it_off() {
    let axums = async || {
        let error = Err(io::Error::other("no more"));
        Sse::new(stream::iter([Ok(AxumEvent::default().data("1")), error]))
    };
    let ours = async || {
        let error = Err(io::Error::other("no more"));
        EventStream::new(stream::iter([Ok(Event::new().data("1")), error]))
    };
    for (app, ends_well) in [
        (Router::new().route("/", get(axums)), false),
        (Router::new().route("/", get(ours)).layer(SseLayer::new()), true),
    ] {
        assert_eq!(ask(app).await.into_body().collect().await.is_ok(), ends_well);
    }
}

/// Pipes in memory for connections, so that the clock can be paused.
struct Pipes(mpsc::Receiver<DuplexStream>);

impl Listener for Pipes {
    type Io = DuplexStream;
    type Addr = ();

    async fn accept(&mut self) -> (DuplexStream, ()) {
        match self.0.recv().await {
            Some(io) => (io, ()),
            None => pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a server with `app` and an open stream has stopped a minute after it was told to.
async fn stops(app: Router, drain: Drain) -> bool {
    let (connect, pipes) = mpsc::channel(1);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = axum::serve(Pipes(pipes), app).with_graceful_shutdown(stopped.map(drop));
    let server = tokio::spawn(server.into_future());
    let (mut client, io) = duplex(4096);
    connect.send(io).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut seen = String::new();
    while !seen.contains("data: 1\n\n") {
        seen.push(char::from(client.read_u8().await.unwrap()));
    }
    drain.start(secs(10));
    stop.send(()).unwrap();
    timeout(secs(60), server).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn a_server_with_open_streams_can_be_stopped() {
    assert!(!stops(axums(Once::default()), Drain::new()).await);
    let drain = Drain::new();
    assert!(stops(ours(SseLayer::new().drain(drain.clone()), Once::default()), drain).await);
}

/// What the usual layer for compression leaves alone, ours can compress event by event.
#[cfg(feature = "compress")]
#[tokio::test]
async fn compression_is_possible() {
    use sse_layer::compress::Compression;
    use tower_http::compression::CompressionLayer;

    let axums = ask(axums(Once::default()).layer(CompressionLayer::new())).await;
    assert!(!axums.headers().contains_key("content-encoding"));

    let layer = SseLayer::new().no_retry().compress(Compression::new());
    let ours = ask(ours(layer, Once::default())).await;
    assert_eq!(ours.headers()["content-encoding"], "gzip");
    let (mut body, mut coded) = (ours.into_body(), Vec::new());
    for _ in 0..2 {
        let frame = body.frame().now_or_never().expect("at once").unwrap().unwrap();
        coded.extend_from_slice(&frame.into_data().unwrap());
    }
    let mut decoder = flate2::write::GzDecoder::new(Vec::new());
    io::Write::write_all(&mut decoder, &coded).unwrap();
    io::Write::flush(&mut decoder).unwrap();
    assert_eq!(*decoder.get_ref(), b":\n\ndata: 1\n\n");
}

/// Clients that were cut off together do not come back together.
#[tokio::test]
async fn clients_are_told_when_to_come_back() {
    let mut retries = std::collections::HashSet::new();
    for _ in 0..50 {
        let mut body = ask(ours(SseLayer::new(), stream::pending())).await.into_body();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        retries.insert(first);
    }
    assert!(retries.len() > 25, "{}", retries.len());
    let mut body = ask(axums(Once::default())).await.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "data: 1\n\n", "no time to come back after");
}
