//! The layer in an axum application.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::response::sse::{Event as AxumEvent, Sse};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use futures_util::stream;
use http::{Request, Response};
use sse_layer::{Event, EventStream, LastEventId, SseLayer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use crate::bytes;

async fn after(last: Option<LastEventId>) -> impl IntoResponse {
    let last = last.map_or_else(|| "nothing".into(), |last| last.into_id().to_string());
    EventStream::new(stream::iter([Event::new().data(last)]))
}

async fn axums_own() -> impl IntoResponse {
    Sse::new(stream::iter([Ok::<_, Infallible>(AxumEvent::default().data("own"))]))
}

async fn failing() -> impl IntoResponse {
    EventStream::new(stream::iter([Ok(Event::new().data("1")), Err("broken")]))
}

fn app() -> Router {
    Router::new()
        .route("/after", get(after))
        .route("/own", get(axums_own))
        .route("/failing", get(failing))
        .route("/silent", get(async || EventStream::new(stream::pending::<Event>())))
        .route("/page", get(async || Html("page")))
        .layer(SseLayer::new().no_retry())
}

async fn request(request: http::request::Builder) -> Response<Body> {
    app().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_handler_returns_an_event_stream_and_asks_for_the_last_id() {
    let id = "\u{e4}\u{1f600}";
    for (sent, expected) in [
        (Request::get("/after"), "nothing"),
        (Request::get("/after").header("last-event-id", id.as_bytes()), id),
        (Request::get("/after?lastEventId=7"), "7"),
    ] {
        let response = request(sent).await;
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        let expected = format!(":\n\ndata: {expected}\n\n");
        assert_eq!(bytes(response.into_body()).await, expected.as_bytes());
    }
}

#[tokio::test]
async fn the_extractor_needs_no_layer() {
    let app = Router::new().route("/", get(after));
    let sent = Request::get("/").header("last-event-id", "7").body(Body::empty()).unwrap();
    let response = app.oneshot(sent).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(bytes(response.into_body()).await, b"data: 7\n\n");
}

#[tokio::test]
async fn axums_own_response_is_made_right() {
    let response = request(Request::get("/own")).await;
    assert_eq!(response.headers()["cache-control"], "no-cache, no-store, no-transform");
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    assert_eq!(bytes(response.into_body()).await, b":\n\ndata: own\n\n");
}

#[tokio::test]
async fn an_error_ends_the_response_cleanly() {
    let response = request(Request::get("/failing")).await;
    assert_eq!(bytes(response.into_body()).await, b":\n\ndata: 1\n\n");
}

#[tokio::test]
async fn other_routes_are_left_alone() {
    let response = request(Request::get("/page")).await;
    assert!(!response.headers().contains_key("x-accel-buffering"));
    assert_eq!(response.headers()["content-length"], "4");
    assert_eq!(bytes(response.into_body()).await, b"page");
}

/// What a real server writes in answer to `method /silent`, up to and including `end`.
async fn served(method: &str, end: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(axum::serve(listener, app()).into_future());
    let mut client = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} /silent HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut seen = String::new();
    while !seen.ends_with(end) {
        let byte = client.read_u8().await.expect("more, before the end");
        seen.push(char::from(byte));
    }
    if method == "HEAD" {
        assert!(client.read_u8().await.is_err(), "a body in answer to HEAD");
    }
    server.abort();
    seen
}

#[tokio::test]
async fn head_and_first_bytes_leave_before_there_is_an_event() {
    let seen = served("GET", ":\n\n\r\n").await;
    assert!(seen.starts_with("HTTP/1.1 200 OK\r\n"), "{seen}");
    assert!(seen.contains("\r\ntransfer-encoding: chunked\r\n"), "{seen}");
}

#[tokio::test]
async fn a_head_request_is_answered_though_the_stream_never_ends() {
    let seen = served("HEAD", "\r\n\r\n").await;
    assert!(seen.contains("\r\ncontent-type: text/event-stream\r\n"), "{seen}");
    assert!(!seen.contains("content-length"), "{seen}");
}
