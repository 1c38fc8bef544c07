//! Heads of responses, and what the request side does.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use http::{HeaderMap, Method, Request, Response, Version};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use sse_layer::{LastEventId, SseLayer};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::{answer, event_stream, silent};

type Text = Full<&'static [u8]>;

fn text(body: &'static str) -> Text {
    Full::new(body.as_bytes())
}

async fn headers_over(version: Version, response: http::response::Builder) -> HeaderMap {
    let mut request = Request::new(());
    *request.version_mut() = version;
    let response = response.header("content-type", "text/event-stream").body(silent()).unwrap();
    answer(SseLayer::new(), request, response).await.headers().clone()
}

#[tokio::test]
async fn a_stream_gets_the_head_that_the_way_to_a_browser_needs() {
    let response =
        Response::builder().header("content-length", "100").header("x-accel-buffering", "yes");
    let headers = headers_over(Version::HTTP_11, response).await;
    assert_eq!(headers["content-type"], "text/event-stream");
    assert_eq!(headers["cache-control"], "no-cache, no-store, no-transform");
    assert_eq!(headers["x-accel-buffering"], "no");
    assert_eq!(headers.len(), 3, "{headers:?}");
}

#[tokio::test]
async fn connection_fields_go_over_http_2_and_stay_over_http_1() {
    let fields = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];
    let response = || {
        fields
            .iter()
            .fold(Response::builder().header("x-other", "1"), |r, name| r.header(*name, "a"))
    };
    for (version, kept) in
        [(Version::HTTP_11, true), (Version::HTTP_2, false), (Version::HTTP_3, false)]
    {
        let headers = headers_over(version, response()).await;
        assert_eq!(headers["x-other"], "1");
        for name in fields {
            assert_eq!(headers.contains_key(name), kept, "{name} over {version:?}");
        }
    }
}

#[tokio::test]
async fn what_is_no_event_stream_passes_untouched() {
    let others = [
        (200, None),
        (200, Some("text/html")),
        (200, Some("text/event-streams")),
        (200, Some("text/event-stream, text/html")),
        (201, Some("text/event-stream")),
        (204, Some("text/event-stream")),
        (206, Some("text/event-stream")),
        (304, Some("text/event-stream")),
        (503, Some("text/event-stream")),
    ];
    for (status, content_type) in others {
        let mut response = Response::builder()
            .status(status)
            .header("cache-control", "max-age=60")
            .header("connection", "close")
            .header("content-length", "5");
        if let Some(content_type) = content_type {
            response = response.header("content-type", content_type);
        }
        let response = response.body(text("\u{feff}a\n")).unwrap();
        let (headers, size) = (response.headers().clone(), response.body().size_hint().exact());
        let mut request = Request::new(());
        *request.version_mut() = Version::HTTP_2;

        let response = answer(SseLayer::new(), request, response).await;
        assert_eq!(response.status(), status);
        assert_eq!(*response.headers(), headers, "{status} {content_type:?}");
        assert_eq!(response.body().size_hint().exact(), size);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "\u{feff}a\n", "{status} {content_type:?}");
    }
}

#[tokio::test]
async fn a_head_request_gets_the_head_alone() {
    let request = Request::builder().method(Method::HEAD).body(()).unwrap();
    let response = answer(SseLayer::new(), request, event_stream(silent())).await;
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    let body = response.into_body();
    assert!(body.is_end_stream());
    assert_eq!(body.size_hint().exact(), None, "would become a content length");
    assert_eq!(body.collect().await.unwrap().to_bytes(), "");
}

#[tokio::test]
async fn nothing_is_put_into_an_encoded_body() {
    let mut response = event_stream(text("\u{feff}not really gzip"));
    response.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    let response = answer(SseLayer::new(), Request::new(()), response).await;
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "\u{feff}not really gzip");
}

#[tokio::test]
async fn an_error_of_the_service_within_is_passed_on() {
    let failing = service_fn(|_: Request<()>| ready(Err::<Response<Text>, _>("out of order")));
    let result = SseLayer::new().layer(failing).oneshot(Request::new(())).await;
    assert_eq!(result.err(), Some("out of order"));
}

/// Answers only if it was itself made ready; a clone was not.
#[derive(Default)]
struct Permit {
    ready: bool,
}

impl Clone for Permit {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Service<Request<()>> for Permit {
    type Response = Response<Text>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without having been made ready");
        ready(Ok(event_stream(text(""))))
    }
}

#[tokio::test]
async fn the_service_that_was_made_ready_is_the_one_called() {
    let mut service = SseLayer::new().layer(Permit::default());
    for _ in 0..2 {
        service.ready().await.unwrap().call(Request::new(())).await.unwrap();
    }
}

#[tokio::test]
async fn the_last_event_id_is_an_extension_of_the_request() {
    let echo = |request: Request<()>| {
        let id = request.extensions().get::<LastEventId>().map(|id| id.as_str().to_owned());
        ready(Ok::<_, Infallible>(Response::new(Full::<bytes::Bytes>::from(
            id.unwrap_or_default(),
        ))))
    };
    let service = SseLayer::new().layer(service_fn(echo));
    let requests = [
        (Request::get("/").header("last-event-id", "\u{e4}1".as_bytes()), "\u{e4}1"),
        (Request::get("/?lastEventId=%C3%A42"), "\u{e4}2"),
        (Request::get("/?last_event_id=1%0Adata:x"), ""),
        (Request::get("/"), ""),
    ];
    for (request, expected) in requests {
        let response = service.clone().oneshot(request.body(()).unwrap()).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), expected);
    }
}
