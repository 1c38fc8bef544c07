//! The layer among others on hyper alone, over real connections of both versions of HTTP.

use std::convert::Infallible;
use std::future::{pending, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{future::join, stream};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use sse_layer::{Event, EventStream, KeepAlive, SseLayer};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer, ServiceBuilder, service_fn};
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

use crate::client::{DEADLINE, PROTOCOLS, read_to};
use crate::tcp::{Boxed, Server, boxed};

/// A handler, and how to say something in the newest of its streams: nothing ends it.
fn handler() -> (Boxed, mpsc::Receiver<mpsc::Sender<Event>>) {
    let (opened, streams) = mpsc::channel(16);
    let handler = boxed(service_fn(move |_: Request<Incoming>| {
        let (events, received) = mpsc::channel(16);
        opened.try_send(events).unwrap();
        let events = stream::unfold(received, async |mut received| {
            received.recv().await.map(|event| (event, received))
        });
        ready(Ok::<_, Infallible>(EventStream::new(Box::pin(events)).into_response()))
    }));
    (handler, streams)
}

/// Comments come often, so that time passes on the wire.
fn sse() -> SseLayer {
    SseLayer::new().no_retry().keep_alive(KeepAlive::new().every(Duration::from_millis(20)))
}

const HEADERS: [(&str, &str); 2] =
    [("accept-encoding", "gzip, br, zstd"), ("origin", "http://other")];

/// Asserts that a stream arrives as it is over both versions of HTTP: each event before the next
/// is said, comments for at least `silence`, an event after that, and the end in good order. Gives
/// the headers.
async fn assert_arrives(layers: impl Fn(Boxed) -> Boxed, silence: Duration) -> HeaderMap {
    let over = async |protocol| {
        let (handler, mut streams) = handler();
        let server = Server::start(layers(handler));
        let mut client = server.client(protocol).await;
        let response = timeout(DEADLINE, client.get(&HEADERS)).await.expect("a head at once");
        assert_eq!(response.status(), StatusCode::OK);
        assert!(!response.headers().contains_key("content-encoding"), "{protocol:?}");
        assert_eq!(response.headers()["x-accel-buffering"], "no", "{protocol:?}");
        let headers = response.headers().clone();

        let mut body = response.into_body();
        assert!(read_to(&mut body, ":\n\n").await.starts_with(":\n\n"));
        let stream = streams.recv().await.unwrap();
        for number in 0..=10 {
            if number == 10 {
                let start = Instant::now();
                while start.elapsed() < silence {
                    read_to(&mut body, ":\n\n").await;
                }
            }
            let event = Event::new().data(number.to_string());
            stream.try_send(event.clone()).unwrap();
            let event = String::from_utf8(event.to_bytes().to_vec()).unwrap();
            let seen = read_to(&mut body, &event).await;
            assert_eq!(seen.replace(":\n\n", ""), event, "{protocol:?}");
        }
        drop(stream);
        let rest = timeout(DEADLINE, body.collect()).await.expect("an end").expect("a good one");
        assert_eq!(String::from_utf8_lossy(&rest.to_bytes()).replace(":\n\n", ""), "");
        headers
    };
    let [first, second] = PROTOCOLS;
    join(over(first), over(second)).await.0
}

const NONE: Duration = Duration::ZERO;

/// Long enough for a machine that is busy to send a head.
const LIMIT: Duration = Duration::from_millis(500);

/// What the layer for timeouts must not notice.
const BEYOND_LIMIT: Duration = Duration::from_millis(600);

fn limit() -> TimeoutLayer {
    TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, LIMIT)
}

#[tokio::test]
async fn a_stream_arrives_inside_of_compression() {
    let layers = |handler| boxed(CompressionLayer::new().layer(sse().layer(handler)));
    assert_arrives(layers, NONE).await;
}

#[tokio::test]
async fn a_stream_arrives_outside_of_compression() {
    let layers = |handler| boxed(sse().layer(CompressionLayer::new().layer(handler)));
    assert_arrives(layers, NONE).await;
}

#[tokio::test]
async fn a_stream_outlives_a_limit_on_the_time_to_answer_around_it() {
    let layers = |handler| boxed(limit().layer(sse().layer(handler)));
    assert_arrives(layers, BEYOND_LIMIT).await;
}

#[tokio::test]
async fn a_stream_outlives_a_limit_on_the_time_to_answer_within() {
    let layers = |handler| boxed(sse().layer(limit().layer(handler)));
    assert_arrives(layers, BEYOND_LIMIT).await;
}

#[tokio::test]
async fn a_stream_arrives_inside_of_traces() {
    let layers = |handler| boxed(TraceLayer::new_for_http().layer(sse().layer(handler)));
    assert_arrives(layers, NONE).await;
}

#[tokio::test]
async fn a_stream_arrives_outside_of_traces() {
    let layers = |handler| boxed(sse().layer(TraceLayer::new_for_http().layer(handler)));
    assert_arrives(layers, NONE).await;
}

#[tokio::test]
async fn a_stream_arrives_inside_of_rules_for_origins() {
    let layers = |handler| boxed(CorsLayer::permissive().layer(sse().layer(handler)));
    assert_eq!(assert_arrives(layers, NONE).await["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn a_stream_arrives_outside_of_rules_for_origins() {
    let layers = |handler| boxed(sse().layer(CorsLayer::permissive().layer(handler)));
    assert_eq!(assert_arrives(layers, NONE).await["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn a_stream_arrives_inside_of_a_limit_on_requests() {
    let layers = |handler| boxed(ConcurrencyLimitLayer::new(1).layer(sse().layer(handler)));
    assert_arrives(layers, NONE).await;
}

#[tokio::test]
async fn a_stream_arrives_outside_of_a_limit_on_requests() {
    let layers = |handler| boxed(sse().layer(ConcurrencyLimitLayer::new(1).layer(handler)));
    assert_arrives(layers, NONE).await;
}

#[tokio::test]
async fn a_stream_arrives_as_the_innermost_of_all() {
    let layers = |handler| {
        let layers = ServiceBuilder::new()
            .layer(TraceLayer::new_for_http())
            .layer(ConcurrencyLimitLayer::new(1))
            .layer(limit())
            .layer(CorsLayer::permissive())
            .layer(CompressionLayer::new());
        boxed(layers.service(sse().layer(handler)))
    };
    assert_eq!(assert_arrives(layers, BEYOND_LIMIT).await["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn a_stream_arrives_as_the_outermost_of_all() {
    let layers = |handler| {
        let layers = ServiceBuilder::new()
            .layer(sse())
            .layer(TraceLayer::new_for_http())
            .layer(ConcurrencyLimitLayer::new(1))
            .layer(limit())
            .layer(CorsLayer::permissive())
            .layer(CompressionLayer::new());
        boxed(layers.service(handler))
    };
    assert_eq!(assert_arrives(layers, BEYOND_LIMIT).await["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn layers_around_it_answer_with_an_empty_body_of_its_kind() {
    let silent = || {
        boxed(service_fn(|_: Request<Incoming>| {
            pending::<Result<Response<Empty<Bytes>>, Infallible>>()
        }))
    };
    let cases = [
        (boxed(limit().layer(sse().layer(silent()))), Method::GET, StatusCode::GATEWAY_TIMEOUT),
        (
            boxed(CorsLayer::permissive().layer(sse().layer(silent()))),
            Method::OPTIONS,
            StatusCode::OK,
        ),
    ];
    for (service, method, status) in cases {
        let server = Server::start(service);
        for protocol in PROTOCOLS {
            let mut client = server.client(protocol).await;
            let response = client.ask(method.clone(), &HEADERS);
            let response = timeout(DEADLINE, response).await.expect("an answer");
            assert_eq!(response.status(), status, "{protocol:?}");
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "");
        }
    }
}

/// Asserts that the only place is taken until a stream's body ends, and is free then. Tower's own
/// limit, which is around or within, never holds a request up: it lets go when a stream begins.
async fn assert_place_is_held(layers: impl Fn(SseLayer, Boxed) -> Boxed) {
    for protocol in PROTOCOLS {
        let (handler, mut streams) = handler();
        let server = Server::start(layers(sse().max_streams(1), handler));
        let mut ask = async || {
            let mut client = server.client(protocol).await;
            let response = timeout(DEADLINE, client.get(&[])).await.expect("an answer at once");
            (response, streams.recv().await.unwrap(), client)
        };
        let (first, events, _client) = ask().await;
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(ask().await.0.status(), StatusCode::SERVICE_UNAVAILABLE, "{protocol:?}");

        drop(events);
        timeout(DEADLINE, first.into_body().collect()).await.expect("an end").unwrap();
        let free = async { while ask().await.0.status() != StatusCode::OK {} };
        timeout(DEADLINE, free).await.expect("the place is given back");
    }
}

#[tokio::test]
async fn a_place_is_held_until_the_body_ends_inside_of_a_limit_on_requests() {
    let limit = || ConcurrencyLimitLayer::new(1);
    assert_place_is_held(|sse, handler| boxed(limit().layer(sse.layer(handler)))).await;
}

#[tokio::test]
async fn a_place_is_held_until_the_body_ends_outside_of_a_limit_on_requests() {
    let limit = || ConcurrencyLimitLayer::new(1);
    assert_place_is_held(|sse, handler| boxed(sse.layer(limit().layer(handler)))).await;
}
