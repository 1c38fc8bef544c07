//! A feed as a response.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_core::Stream;
use http::StatusCode;
use http_body::Body;

use super::*;

/// What is ready now, piece by piece, and whether the stream has ended.
fn ready(stream: &mut FeedStream) -> (Vec<Bytes>, bool) {
    let mut pieces = Vec::new();
    loop {
        match Pin::new(&mut *stream).poll_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(piece)) => pieces.push(piece),
            Poll::Ready(None) => return (pieces, true),
            Poll::Pending => return (pieces, false),
        }
    }
}

fn last(id: &str) -> Option<LastEventId> {
    let request = http::Request::get("/").header("last-event-id", id).body(()).unwrap();
    LastEventId::of(&request)
}

fn publish(feed: &Feed, ids: std::ops::RangeInclusive<u64>) {
    for id in ids {
        feed.publish(Event::new().id(id.into()).data("x"));
    }
}

fn frames(ids: std::ops::RangeInclusive<u64>) -> String {
    ids.map(|id| format!("id: {id}\ndata: x\n\n")).collect()
}

#[test]
fn what_was_missed_comes_first_in_one_piece_and_then_what_is_published() {
    let feed = Log::new().feed(FeedOptions::default());
    publish(&feed, 1..=3);
    let mut stream = feed.stream(last("1").as_ref());
    assert_eq!(ready(&mut stream), (vec![frames(2..=3).into()], false));
    publish(&feed, 4..=5);
    assert_eq!(ready(&mut stream), (vec![frames(4..=5).into()], false));
    assert_eq!(ready(&mut feed.stream(None)), (vec![], false));
    let gap = format!(": gap\n\n{}", frames(6..=6));
    let mut stream = feed.stream(last("unknown").as_ref());
    publish(&feed, 6..=6);
    assert_eq!(ready(&mut stream).0.concat(), gap.into_bytes());
}

#[test]
fn one_event_alone_is_not_copied() {
    let feed = Log::new().feed(FeedOptions::default());
    let (mut one, mut other) = (feed.stream(None), feed.stream(None));
    publish(&feed, 1..=1);
    let (one, other) = (ready(&mut one).0, ready(&mut other).0);
    assert_eq!(one[0].as_ptr(), other[0].as_ptr());
}

#[test]
fn pieces_are_bounded_and_a_large_event_goes_alone_and_uncopied() {
    let feed = Log::new().feed(FeedOptions::default());
    let mut stream = feed.stream(None);
    let large = "x".repeat(100_000);
    publish(&feed, 1..=2);
    feed.publish(Event::new().id(3.into()).data(large));
    publish(&feed, 4..=4);
    let lens: Vec<_> = ready(&mut stream).0.iter().map(Bytes::len).collect();
    assert_eq!(lens, [frames(1..=2).len(), 100_000 + "id: 3\ndata: \n\n".len(), 15]);
    for id in 10..=15_u64 {
        feed.publish(Event::new().id(id.into()).data("x".repeat(20_000)));
    }
    let lens: Vec<_> = ready(&mut stream).0.iter().map(Bytes::len).collect();
    assert_eq!(lens, [3 * 20_015; 2], "three of 20,015 bytes fit");
}

#[test]
fn the_feeds_reconnection_time_comes_first() {
    let feed = Log::new().feed(FeedOptions::default());
    feed.publish(Event::new().id(1.into()).retry(Duration::from_secs(9)).data("x"));
    assert_eq!(ready(&mut feed.stream(None)).0, ["retry: 9000\n\n"]);
}

#[test]
fn a_closed_feed_ends_its_streams_after_the_events_before() {
    let feed = Log::new().feed(FeedOptions::default());
    let mut stream = feed.stream(None);
    publish(&feed, 1..=200);
    feed.close();
    let (pieces, ended) = ready(&mut stream);
    assert_eq!(pieces.concat(), frames(1..=200).into_bytes());
    assert!(ended && stream.is_end_stream());
    assert_eq!(feed.readers().count(), 0, "its place is given up before it is dropped");
}

#[test]
fn whoever_comes_to_a_closed_feed_gets_the_rest_and_then_its_status() {
    let feed = Log::new().feed(FeedOptions::default());
    publish(&feed, 1..=2);
    feed.close();
    let mut response = feed.stream(last("1").as_ref()).into_response();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(ready(response.body_mut()), (vec![frames(2..=2).into()], true));
    let response = feed.stream(last("2").as_ref()).into_response();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert!(response.headers().is_empty() && response.body().is_end_stream());
    feed.set_status(Status::Closed { status: 404 });
    assert_eq!(feed.stream(None).into_response().status(), StatusCode::NOT_FOUND);
    feed.set_status(Status::Closed { status: 7 });
    assert_eq!(feed.stream(None).into_response().status(), StatusCode::NO_CONTENT);
}

#[test]
fn a_stream_that_lags_ends_or_goes_on_as_the_feed_says() {
    let lag = Lag::default().events(2);
    let limits = HistoryLimits::default().events(3);
    let feed = Log::new().feed(FeedOptions::default().lag(lag).history(limits));
    let mut stream = feed.stream(None);
    publish(&feed, 1..=3);
    let all_there = (vec![frames(1..=3).into()], false);
    assert_eq!(ready(&mut stream), all_there, "whoever comes back in time");
    publish(&feed, 4..=7);
    assert_eq!(ready(&mut stream), (vec![], true));

    let lag = lag.policy(LagPolicy::Skip);
    let feed = Log::new().feed(FeedOptions::default().lag(lag));
    let mut stream = feed.stream(None);
    publish(&feed, 1..=4);
    let told = "event: lagged\ndata: {\"missed\":2,\"first\":\"1\"}\n\n";
    assert_eq!(ready(&mut stream), (vec![[told, &frames(3..=4)].concat().into()], false));
}

#[tokio::test]
async fn a_stream_is_woken_by_what_is_published() {
    let feed = Log::new().feed(FeedOptions::default());
    let mut stream = feed.stream(None);
    let next = tokio::spawn(async move {
        std::future::poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)).await
    });
    tokio::task::yield_now().await;
    publish(&feed, 1..=1);
    assert_eq!(next.await.unwrap().unwrap(), frames(1..=1));
}

#[test]
fn a_client_that_missed_the_end_of_a_closed_feed_is_told_and_gets_what_is_left() {
    let history = HistoryLimits::default().events(1);
    let feed = Log::new().feed(FeedOptions::default().history(history));
    publish(&feed, 1..=3);
    feed.close();
    let mut stream = feed.stream(last("1").as_ref());
    let (pieces, has_ended) = ready(&mut stream);
    assert_eq!(pieces.concat(), format!(": gap\n\n{}", frames(3..=3)).into_bytes());
    assert!(has_ended);
    let after = feed.stream(last("3").as_ref()).into_response();
    assert_eq!(after.status(), StatusCode::NO_CONTENT);
}

#[test]
fn a_task_that_is_dropped_by_its_waking_leaves_the_feed() {
    struct Task(Mutex<Option<FeedStream>>);
    impl std::task::Wake for Task {
        fn wake(self: Arc<Self>) {
            let stream = self.0.lock().unwrap().take();
            drop(stream);
        }
    }
    let feed = Log::new().feed(FeedOptions::default());
    let task = Arc::new(Task(Mutex::default()));
    let waker = Waker::from(Arc::clone(&task));
    let mut stream = feed.stream(None);
    let mut cx = Context::from_waker(&waker);
    assert!(Pin::new(&mut stream).poll_next(&mut cx).is_pending());
    *task.0.lock().unwrap() = Some(stream);
    publish(&feed, 1..=1);
    assert_eq!(feed.readers().count(), 0);
}

#[test]
fn who_waits_for_any_reader_is_woken_by_the_first_and_the_last_alone() {
    #[derive(Default)]
    struct Wakes(AtomicUsize);
    impl std::task::Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut cx = Context::from_waker(&waker);
    let feed = Log::new().feed(FeedOptions::default());
    let mut readers = feed.readers();
    let mut any = Box::pin(readers.wait_for_any(true));
    assert!(any.as_mut().poll(&mut cx).is_pending());
    let first = feed.stream(None);
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    assert!(any.as_mut().poll(&mut cx).is_ready());
    drop(any);
    let mut none = Box::pin(readers.wait_for_any(false));
    assert!(none.as_mut().poll(&mut cx).is_pending());
    let others: Vec<_> = (0..100).map(|_| feed.stream(None)).collect();
    drop((first, others));
    assert_eq!(wakes.0.load(Ordering::Relaxed), 2);
    assert!(none.as_mut().poll(&mut cx).is_ready());
}

#[test]
fn feeds_of_several_logs_are_all_read() {
    let options = FeedOptions::default;
    let (one, other) = (Log::new().feed(options()), Log::new().feed(options()));
    let mut reader = Reader::new(Lag::default());
    reader.subscribe(&one, Start::Live);
    reader.subscribe(&other, Start::Live);
    publish(&other, 1..=5);
    let mut items = Vec::new();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(reader.poll_next(&mut cx, &mut items).is_ready());
    assert_eq!(items.iter().filter(|item| matches!(item, Item::Event { .. })).count(), 5);
}

#[test]
fn an_id_that_no_event_can_have_is_none() {
    for id in ["7\ndata: forged", "7\r", "\0"] {
        let feed = Log::new().feed(FeedOptions::default().last_event_id(id));
        assert_eq!(feed.last_event_id(), "", "{id:?}");
    }
}
