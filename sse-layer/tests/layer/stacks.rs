//! The layer among others, outside and inside of it.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use axum::response::sse::{Event as AxumEvent, Sse};
use axum::routing::get;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use sse_layer::{Event, EventStream, SseLayer};
use tokio::time::{sleep, timeout};
use tower::ServiceExt;
use tower::limit::ConcurrencyLimitLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use tower_http::timeout::{
    RequestBodyTimeoutLayer, ResponseBodyDeadlineLayer, ResponseBodyTimeoutLayer, TimeoutLayer,
};
use tower_http::trace::TraceLayer;

use crate::{event_stream, secs, timed};

/// Ten minutes of silence between two events, and then for ever.
fn numbers() -> impl Stream<Item = &'static str> {
    let second = stream::once(async {
        sleep(secs(600)).await;
        "2"
    });
    stream::iter(["1"]).chain(second).chain(stream::pending())
}

/// The three ways to write a handler.
fn routes() -> Router {
    let ours = async || EventStream::new(numbers().map(|n| Event::new().data(n)));
    let axums =
        async || Sse::new(numbers().map(|n| Ok::<_, Infallible>(AxumEvent::default().data(n))));
    let plain = async || {
        let frames = numbers().map(|n| Ok::<_, Infallible>(Bytes::from(format!("data: {n}\n\n"))));
        event_stream(Body::from_stream(frames)).into_response()
    };
    Router::new()
        .route("/ours", get(ours))
        .route("/axums", get(axums))
        .route("/plain", get(plain))
        .route("/page", get(async || "page ".repeat(1000)))
}

fn sse() -> SseLayer {
    SseLayer::new().no_retry()
}

fn request(path: &str) -> Request<Body> {
    Request::get(path)
        .header("accept-encoding", "gzip")
        .header("origin", "http://other")
        .body(Body::empty())
        .unwrap()
}

/// Asserts that streams of all handlers arrive: uncompressed, each event at once, with comments in
/// silence, and without end. Gives the headers of one.
async fn assert_arrives(app: Router) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for path in ["/ours", "/axums", "/plain"] {
        let response = app.clone().oneshot(request(path)).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert!(!response.headers().contains_key("content-encoding"), "{path}");
        assert_eq!(response.headers()["x-accel-buffering"], "no", "{path}");
        headers = response.headers().clone();

        let seen = timed(response.into_body(), secs(3600)).await;
        let [opening, first, rest @ ..] = &seen[..] else { panic!("{path}: {seen:?}") };
        assert_eq!(*opening, (secs(0), Bytes::from(":\n\n")), "{path}");
        assert_eq!(*first, (secs(0), Bytes::from("data: 1\n\n")), "{path}");
        let comments = rest.iter().take_while(|(_, bytes)| bytes == ":\n\n").count();
        assert!((36..50).contains(&comments), "{path}: {comments} comments");
        assert_eq!(rest.get(comments), Some(&(secs(600), "data: 2\n\n".into())), "{path}");
        assert!(seen.last().unwrap().0 > secs(3580), "{path}: ended");
    }
    headers
}

#[tokio::test(start_paused = true)]
async fn compression_leaves_streams_alone_and_compresses_pages() {
    for app in [
        routes().layer(sse()).layer(CompressionLayer::new()),
        routes().layer(CompressionLayer::new()).layer(sse()),
    ] {
        assert_arrives(app.clone()).await;
        let page = app.oneshot(request("/page")).await.unwrap();
        assert_eq!(page.headers()["content-encoding"], "gzip");
    }
}

#[cfg(feature = "compress")]
#[tokio::test(start_paused = true)]
async fn what_the_layer_has_compressed_is_not_compressed_again() {
    let compressed = sse().compress(sse_layer::compress::Compression::new());
    let app = routes().layer(compressed).layer(CompressionLayer::new());
    let response = app.oneshot(request("/ours")).await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let mut body = response.into_body();
    let mut decoder = flate2::write::GzDecoder::new(Vec::new());
    for expected in [":\n\n", ":\n\ndata: 1\n\n"] {
        let coded = timeout(secs(1), body.frame()).await.unwrap().unwrap().unwrap();
        std::io::Write::write_all(&mut decoder, coded.data_ref().unwrap()).unwrap();
        std::io::Write::flush(&mut decoder).unwrap();
        assert_eq!(decoder.get_ref(), expected.as_bytes());
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_on_the_time_to_answer_cuts_no_stream() {
    let limit = || TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, secs(5));
    assert_arrives(routes().layer(sse()).layer(limit())).await;
    assert_arrives(routes().layer(limit()).layer(sse())).await;
}

#[tokio::test(start_paused = true)]
async fn a_limit_on_the_silence_of_a_body_sees_the_comments_outside_only() {
    let limit = ResponseBodyTimeoutLayer::new(secs(20));
    assert_arrives(routes().layer(sse()).layer(limit.clone())).await;

    let response = routes().layer(limit).layer(sse()).oneshot(request("/ours")).await.unwrap();
    assert!(timeout(secs(30), response.into_body().collect()).await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_limit_on_the_silence_of_a_request_cuts_no_stream() {
    assert_arrives(routes().layer(sse()).layer(RequestBodyTimeoutLayer::new(secs(5)))).await;
    assert_arrives(routes().layer(RequestBodyTimeoutLayer::new(secs(5))).layer(sse())).await;
}

/// A lifetime does it in good order, and a deadline around the body does not.
#[tokio::test(start_paused = true)]
async fn a_deadline_breaks_a_stream_off_and_a_lifetime_ends_it() {
    let deadline = ResponseBodyDeadlineLayer::new(secs(100));
    for (layer, ends_well) in [(sse(), false), (sse().max_lifetime(secs(90)), true)] {
        let app = routes().layer(layer).layer(deadline.clone());
        let response = app.oneshot(request("/ours")).await.unwrap();
        let end = timeout(secs(101), response.into_body().collect()).await.unwrap();
        assert_eq!(end.is_ok(), ends_well);
    }
}

#[tokio::test(start_paused = true)]
async fn traces_and_rules_for_origins_change_nothing() {
    assert_arrives(routes().layer(sse()).layer(TraceLayer::new_for_http())).await;
    assert_arrives(routes().layer(TraceLayer::new_for_http()).layer(sse())).await;
    for app in [
        routes().layer(sse()).layer(CorsLayer::permissive()),
        routes().layer(CorsLayer::permissive()).layer(sse()),
    ] {
        assert_eq!(assert_arrives(app).await["access-control-allow-origin"], "*");
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_on_requests_lets_go_of_streams() {
    for app in [
        routes().layer(sse()).layer(ConcurrencyLimitLayer::new(1)),
        routes().layer(ConcurrencyLimitLayer::new(1)).layer(sse()),
    ] {
        let open = app.clone().oneshot(request("/ours")).await.unwrap();
        assert_arrives(app).await;
        drop(open);
    }
}

#[tokio::test(start_paused = true)]
async fn everything_at_once() {
    let app = routes()
        .layer(sse())
        .layer(CompressionLayer::new())
        .layer(CorsLayer::permissive())
        .layer(ResponseBodyTimeoutLayer::new(secs(60)))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, secs(5)))
        .layer(ConcurrencyLimitLayer::new(10))
        .layer(TraceLayer::new_for_http());
    assert_arrives(app).await;
}

/// Twice is once too often, but does no harm.
#[tokio::test(start_paused = true)]
async fn two_of_them_send_sound_streams() {
    let app = routes().layer(sse()).layer(sse());
    let response = app.oneshot(request("/ours")).await.unwrap();
    let seen = timed(response.into_body(), secs(60)).await;
    let all: Vec<u8> = seen.iter().flat_map(|(_, bytes)| bytes.to_vec()).collect();
    assert!(all.starts_with(b":\n\n:\n\ndata: 1\n\n:\n\n"));
}
