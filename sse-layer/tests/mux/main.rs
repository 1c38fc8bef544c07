//! Multiplexed streams, seen from outside.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod changes;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use sse_layer::feed::{Feed, FeedOptions, HistoryLimits, Lag, LagPolicy, Log, Status};
use sse_layer::mux::{MuxBody, MuxService, wire};
use sse_layer::{Drain, Event, SseLayer};
use tower::{Layer, ServiceExt};

struct App {
    log: Log,
    a: Feed,
    b: Feed,
}

impl App {
    fn new() -> Self {
        Self::with(FeedOptions::default())
    }

    fn with(options: FeedOptions) -> Self {
        let log = Log::new();
        let (a, b) = (log.feed(options.clone()), log.feed(options));
        Self { log, a, b }
    }

    fn service(&self) -> MuxService<BTreeMap<String, Feed>> {
        MuxService::new(BTreeMap::from([
            ("/a".to_owned(), self.a.clone()),
            ("/b?q=1".to_owned(), self.b.clone()),
        ]))
    }

    /// A stream of both feeds, for a client that has this position.
    async fn open(&self, last: &str) -> Stream<MuxBody> {
        let request = get("/mux?feed=/a&feed=/b%3Fq%3D1", last);
        Stream::of(self.service().oneshot(request).await.unwrap())
    }
}

fn get(uri: &str, last: &str) -> Request<String> {
    Request::get(uri).header("last-event-id", last).body(String::new()).unwrap()
}

/// A stream being read.
struct Stream<B>(Pin<Box<B>>);

impl<B> Stream<B>
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    fn of(response: Response<B>) -> Self {
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self(Box::pin(response.into_body()))
    }

    /// What can be read now, and whether the stream has ended.
    fn readable(&mut self) -> (String, bool) {
        let mut seen = Vec::new();
        loop {
            match self.0.frame().now_or_never() {
                Some(Some(frame)) => seen.extend_from_slice(&frame.unwrap().into_data().unwrap()),
                ended => return (String::from_utf8(seen).unwrap(), ended.is_some()),
            }
        }
    }

    /// What can be read now of a stream that goes on.
    fn read(&mut self) -> String {
        let (seen, ended) = self.readable();
        assert!(!ended, "ended after {seen:?}");
        seen
    }

    /// The same, after the first block, and after the states of the two feeds.
    fn read_events(&mut self) -> String {
        let seen = self.read();
        let (_, states) = seen.split_once("\n\n").unwrap();
        states.replace(&open("/a"), "").replace(&open("/b?q=1"), "")
    }
}

fn state(json: &str) -> String {
    format!("event: mux/feed\ndata: {json}\n\n")
}

fn open(name: &str) -> String {
    state(&format!(r#"{{"feed":"{name}","state":"open"}}"#))
}

fn event(id: u64) -> Event {
    Event::new().id(id.into()).data("x")
}

#[tokio::test]
async fn a_stream_begins_with_its_name_and_the_states_of_its_feeds() {
    let app = App::new();
    let request = get("/mux?feed=/a&feed=/gone&feed=/b%3Fq%3D1&feed=bad%0Aname", "");
    let mut stream = Stream::of(app.service().oneshot(request).await.unwrap());
    let seen = stream.read();
    let mut lines = seen.lines();
    let retry: u64 = lines.next().unwrap().strip_prefix("retry: ").unwrap().parse().unwrap();
    assert!((2000..4000).contains(&retry));
    assert_eq!(lines.next(), Some("event: mux/open"));
    let id = format!("id: {}", app.log.cursor());
    assert_eq!(lines.next(), Some(id.as_str()), "whoever is cut off goes on from there");
    let data: serde_json::Value =
        serde_json::from_str(lines.next().unwrap().strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(data["v"], 1);
    assert_eq!(data["resumed"], false);
    let sid = data["sid"].as_str().unwrap();
    assert!(sid.len() == 32 && sid.bytes().all(|b| b.is_ascii_hexdigit()), "{sid}");
    let expected = [
        state(r#"{"feed":"/gone","state":"closed","status":404}"#),
        state(r#"{"feed":"bad\nname","state":"closed","status":400}"#),
        open("/a"),
        open("/b?q=1"),
    ];
    assert_eq!(seen.split_once("\n\n").unwrap().1, expected.concat());
}

#[tokio::test]
async fn no_two_streams_have_one_name() {
    let app = App::new();
    let sid = |seen: String| seen.split("\"sid\":\"").nth(1).unwrap()[..32].to_owned();
    let (one, other) = (app.open("").await.read(), app.open("").await.read());
    assert_ne!(sid(one), sid(other));
}

#[tokio::test]
async fn events_come_in_log_order_under_their_feeds_names() {
    let app = App::new();
    let mut stream = app.open("").await;
    assert_eq!(stream.read_events(), "");
    let update = Event::new().event("update".try_into().unwrap()).id(17.into()).data("two\nlines");
    app.b.publish(update);
    let first = app.log.cursor();
    app.a.publish(Event::new().data(""));
    let second = app.log.cursor();
    let expected = [
        format!("event: /b?q=1#update\nid: {first} 17\ndata: two\ndata: lines\n\n"),
        format!("event: /a\nid: {second}\ndata: \n\n"),
    ];
    assert_eq!(stream.read(), expected.concat());
}

#[tokio::test]
async fn one_position_resumes_all_feeds() {
    let app = App::new();
    app.a.publish(event(1));
    let last = format!("{} 1", app.log.cursor());
    app.b.publish(event(2));
    let second = app.log.cursor();
    app.a.publish(event(3));
    let third = app.log.cursor();
    let mut stream = app.open(&last).await;
    let seen = stream.read();
    assert!(seen.contains("\"resumed\":true}"), "{seen}");
    let expected =
        format!("event: /b?q=1\nid: {second} 2\ndata: x\n\nevent: /a\nid: {third} 3\ndata: x\n\n");
    assert!(seen.contains(&expected), "{seen}");
    assert!(!seen.contains("mux/gap"), "{seen}");
}

#[tokio::test]
async fn what_is_gone_is_told_before_what_is_left() {
    let app = App::with(FeedOptions::default().history(HistoryLimits::default().events(1)));
    let last = app.log.cursor();
    for id in 1..=3 {
        app.a.publish(event(id));
    }
    let third = app.log.cursor();
    let gap = format!(
        "event: mux/gap\ndata: {{\"feed\":\"/a\",\"after\":\"{last}\",\"missed\":null}}\n\n"
    );
    let expected = format!("{gap}event: /a\nid: {third} 3\ndata: x\n\n");
    assert_eq!(app.open(&last.to_string()).await.read_events(), expected);

    let seen = app.open("00000000.7 x").await.read();
    assert!(seen.contains("\"resumed\":false}"), "{seen}");
    assert_eq!(seen.matches("mux/gap").count(), 2, "{seen}");
    assert!(seen.contains("\"after\":\"00000000.7 x\""), "{seen}");
}

#[tokio::test]
async fn one_feeds_end_is_told_and_ends_nothing_else() {
    let app = App::new();
    let mut stream = app.open("").await;
    stream.read();
    app.a.set_status(Status::Connecting {
        reason: "gone".into(),
        retry: Duration::from_millis(1500),
    });
    let connecting = r#"{"feed":"/a","state":"connecting","reason":"gone","retry":1500}"#;
    assert_eq!(stream.read(), state(connecting));
    app.a.publish(event(1));
    let first = app.log.cursor();
    app.a.close();
    let closed = state(r#"{"feed":"/a","state":"closed","status":204}"#);
    assert_eq!(stream.read(), format!("event: /a\nid: {first} 1\ndata: x\n\n{closed}"));
    app.b.publish(event(2));
    assert!(stream.read().starts_with("event: /b?q=1\n"));
    app.b.close();
    assert!(stream.read().contains("closed"), "and the client is kept");
}

#[tokio::test]
async fn a_stream_of_nothing_is_a_stream() {
    let request = get("/mux?feed=/gone", "");
    let mut stream = Stream::of(App::new().service().oneshot(request).await.unwrap());
    assert!(stream.read().ends_with("\"status\":404}\n\n"));
}

#[tokio::test]
async fn a_feed_of_another_log_is_refused() {
    let app = App::new();
    let other = Log::new().feed(FeedOptions::default());
    let feeds = BTreeMap::from([("/a".to_owned(), app.a.clone()), ("/o".to_owned(), other)]);
    let request = get("/mux?feed=/a&feed=/o", "");
    let mut stream = Stream::of(MuxService::new(feeds).oneshot(request).await.unwrap());
    let seen = stream.read();
    assert!(seen.contains(r#"{"feed":"/o","state":"closed","status":500}"#), "{seen}");
    assert!(seen.contains(&open("/a")), "{seen}");
}

#[tokio::test]
async fn requests_that_cannot_be_served_are_told_why() {
    let service = || App::new().service().max_feeds(2);
    for (request, status, text) in [
        (get("/mux", ""), StatusCode::BAD_REQUEST, "?feed=/a&feed=/b"),
        (get("/mux?feed=/a&feed=/b&feed=/c", ""), StatusCode::BAD_REQUEST, "Too many"),
        (
            Request::put("/mux?feed=/a").body(String::new()).unwrap(),
            StatusCode::METHOD_NOT_ALLOWED,
            "by GET or POST",
        ),
    ] {
        let response = service().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&body).contains(text), "{body:?}");
    }
    let request = get("/mux?feed=/a&feed=/a&feed=/gone&feed=/gone", "");
    assert_eq!(service().oneshot(request).await.unwrap().status(), StatusCode::OK, "two in all");
}

/// Each feed is opened with the stream's own credentials.
#[tokio::test]
async fn a_closure_finds_feeds_for_whom_it_sees_fit() {
    let app = App::new();
    let (public, secret) = (app.a.clone(), app.b.clone());
    let feeds = move |name: &str, request: &Parts| match name {
        "/public" => Ok(public.clone()),
        "/secret" if request.headers.contains_key("authorization") => Ok(secret.clone()),
        "/secret" => Err(StatusCode::UNAUTHORIZED),
        _ => Err(StatusCode::NOT_FOUND),
    };
    let request = get("/mux?feed=/secret&feed=/public", "");
    let mut stream = Stream::of(MuxService::new(feeds).oneshot(request).await.unwrap());
    let expected = [state(r#"{"feed":"/secret","state":"closed","status":401}"#), open("/public")];
    assert_eq!(stream.read_events(), expected.concat());
}

#[tokio::test]
async fn each_feed_has_its_own_way_with_slow_readers() {
    let log = Log::new();
    let lag = Lag::default().events(2);
    let all = log.feed(FeedOptions::default().history(HistoryLimits::default().events(2)));
    let newest = log.feed(FeedOptions::default().lag(lag.policy(LagPolicy::Skip)));
    let feeds =
        BTreeMap::from([("/all".to_owned(), all.clone()), ("/newest".to_owned(), newest.clone())]);
    let request = get("/mux?feed=/all&feed=/newest", "");
    let mut stream = Stream::of(MuxService::new(feeds).oneshot(request).await.unwrap());
    stream.read();
    for id in 1..=5 {
        newest.publish(event(id));
    }
    let seen = stream.read();
    let told = "event: /newest#lagged\ndata: {\"missed\":3,\"first\":\"1\"}\n\n";
    assert!(seen.starts_with(told) && seen.matches("event: /newest\n").count() == 2, "{seen}");
    for id in 1..=3 {
        all.publish(event(id));
    }
    newest.publish(event(6));
    let seen = stream.read();
    let gap = "event: mux/gap\ndata: {\"feed\":\"/all\",\"after\":\"\",\"missed\":1}\n\n";
    assert!(seen.starts_with(gap), "{seen}");
    assert_eq!(seen.matches("event: /all\n").count(), 2, "what is left comes: {seen}");
    assert_eq!(seen.matches("event: /newest\n").count(), 1, "the others go on: {seen}");
}

#[tokio::test(start_paused = true)]
async fn under_the_layer_silence_is_filled_and_the_end_is_announced() {
    let app = App::new();
    let drain = Drain::new();
    let layer = SseLayer::new().no_retry().drain(drain.clone()).farewell(wire::bye());
    let request = get("/mux?feed=/a", "");
    let mut stream = Stream::of(layer.layer(app.service()).oneshot(request).await.unwrap());
    assert!(stream.read().starts_with(":\n\nretry: "));
    let comment = stream.0.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(comment, ":\n\n");
    drain.start(Duration::ZERO);
    assert_eq!(stream.readable(), ("event: mux/bye\ndata: {}\n\n".to_owned(), true));
    drop(stream);
    assert_eq!(app.a.readers().count(), 0);
}

/// Whoever reads nothing holds positions and no queue: what it is due is in the feeds' history.
#[tokio::test]
async fn a_large_backlog_leaves_in_bounded_pieces() {
    let lag = Lag::default().bytes(1 << 30);
    let app = App::with(FeedOptions::default().lag(lag));
    let mut stream = app.open("").await;
    stream.read();
    for id in 1..=100 {
        app.a.publish(Event::new().id(id.into()).data("x".repeat(10_000)));
    }
    let mut sizes = Vec::new();
    while let Some(Some(frame)) = stream.0.frame().now_or_never() {
        sizes.push(frame.unwrap().into_data().unwrap().len());
    }
    assert!(sizes.len() > 10 && sizes.iter().all(|size| *size < 80_000), "{sizes:?}");
}

#[tokio::test]
async fn it_is_a_service_for_axum() {
    let app = App::new();
    let router: axum::Router = axum::Router::new()
        .route_service("/.sse/mux", app.service())
        .layer(SseLayer::new().no_retry());
    let request = get("/.sse/mux?feed=/a", "").map(axum::body::Body::from);
    let mut stream = Stream::of(router.oneshot(request).await.unwrap());
    stream.read();
    app.a.publish(event(1));
    assert_eq!(stream.read(), format!("event: /a\nid: {} 1\ndata: x\n\n", app.log.cursor()));
}
