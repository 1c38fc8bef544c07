//! Feeds in an application, seen from outside: by clients that come, stop reading, go and come
//! back.

#![cfg(feature = "axum")]
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use futures_util::FutureExt;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use sse_layer::feed::{Feed, FeedOptions, Lag, LagPolicy, Log};
use sse_layer::{Event, LastEventId, SseLayer};
use tower::ServiceExt;

async fn news(State(feed): State<Feed>, last: Option<LastEventId>) -> impl IntoResponse {
    feed.stream(last.as_ref())
}

struct App {
    feed: Feed,
    router: Router,
}

impl App {
    fn new(options: FeedOptions) -> Self {
        let feed = Log::new().feed(options);
        let router = Router::new()
            .route("/news", get(news))
            .layer(SseLayer::new().no_retry())
            .with_state(feed.clone());
        Self { feed, router }
    }

    fn publish(&self, ids: impl IntoIterator<Item = u64>) {
        for id in ids {
            self.feed.publish(Event::new().id(id.into()).data("x"));
        }
    }

    /// A client that has had the event with this id, or none.
    async fn client(&self, last: Option<u64>) -> Response<Body> {
        let mut request = Request::get("/news");
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }
}

/// What a client can read now, and whether the stream has ended.
fn readable(response: &mut Response<Body>) -> (String, bool) {
    let mut seen = Vec::new();
    loop {
        match response.body_mut().frame().now_or_never() {
            Some(Some(frame)) => seen.extend_from_slice(&frame.unwrap().into_data().unwrap()),
            ended => return (String::from_utf8(seen).unwrap(), ended.is_some()),
        }
    }
}

fn frames(ids: impl IntoIterator<Item = u64>) -> String {
    ids.into_iter().map(|id| format!("id: {id}\ndata: x\n\n")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_back_goes_on_where_it_was() {
    let app = App::new(FeedOptions::default());
    app.publish([1]);
    let mut first = app.client(None).await;
    assert_eq!(first.headers()["content-type"], "text/event-stream");
    assert_eq!(first.headers()["x-accel-buffering"], "no", "the layer knows it");
    assert_eq!(readable(&mut first), (":\n\n".to_owned(), false));
    app.publish([2]);
    assert_eq!(readable(&mut first), (frames([2]), false));
    drop(first);
    app.publish([3, 4]);
    let mut again = app.client(Some(2)).await;
    assert_eq!(readable(&mut again), (format!(":\n\n{}", frames([3, 4])), false));
    let mut lost = app.client(Some(999)).await;
    assert_eq!(readable(&mut lost), (":\n\n: gap\n\n".to_owned(), false));
}

#[tokio::test(start_paused = true)]
async fn silence_is_filled_by_the_layer() {
    let app = App::new(FeedOptions::default());
    let mut client = app.client(None).await;
    assert_eq!(readable(&mut client).0, ":\n\n");
    let comment = client.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(comment, ":\n\n");
}

#[tokio::test(start_paused = true)]
async fn a_closed_feed_sends_its_clients_away_for_good() {
    let app = App::new(FeedOptions::default());
    let mut client = app.client(None).await;
    app.publish([1]);
    app.feed.close();
    assert_eq!(readable(&mut client), (format!(":\n\n{}", frames([1])), true));
    assert_eq!(app.client(Some(1)).await.status(), StatusCode::NO_CONTENT);
}

const EVENTS: u64 = 100_000;

/// While 100,000 events pass, one client reads each at once, and another reads nothing. What the
/// other gets, and whether its stream has ended then.
async fn stalled(policy: LagPolicy) -> (App, String, bool) {
    let lag = Lag::default().events(10).policy(policy);
    let app = App::new(FeedOptions::default().lag(lag).key(|frame| {
        let last_digit = frame.id().and_then(<[u8]>::last).copied();
        last_digit.map(|digit| vec![digit].into())
    }));
    let (mut quick, mut stalled) = (app.client(None).await, app.client(None).await);
    assert_eq!(readable(&mut quick).0, ":\n\n");
    assert_eq!(readable(&mut stalled).0, ":\n\n");
    for id in 1..=EVENTS {
        app.publish([id]);
        assert_eq!(readable(&mut quick), (frames([id]), false), "delayed by another");
    }
    let (seen, ended) = readable(&mut stalled);
    (app, seen, ended)
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_reading_is_sent_away_and_resumes() {
    let (app, seen, ended) = stalled(LagPolicy::Resume).await;
    assert_eq!((seen.as_str(), ended), ("", true));
    let mut back = app.client(Some(EVENTS - 500)).await;
    assert_eq!(readable(&mut back).0, format!(":\n\n{}", frames(EVENTS - 499..=EVENTS)));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_reading_skips_and_is_told() {
    let (_, seen, ended) = stalled(LagPolicy::Skip).await;
    let told = format!("event: lagged\ndata: {{\"missed\":{},\"first\":\"1\"}}\n\n", EVENTS - 10);
    assert_eq!((seen, ended), (format!("{told}{}", frames(EVENTS - 9..=EVENTS)), false));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_reading_gets_the_newest_of_each_key() {
    let (_, seen, ended) = stalled(LagPolicy::Conflate).await;
    assert_eq!((seen, ended), (frames(EVENTS - 9..=EVENTS), false));
}
