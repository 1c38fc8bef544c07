//! Streams of events as bodies.

use std::collections::HashMap;
use std::io;

use bytes::Bytes;
use futures_util::{FutureExt, Stream, StreamExt, stream};
use http::Request;
use http_body::Body;
use http_body_util::BodyExt;
use serde::Serialize;
use sse_layer::stream::IntoEvent;
use sse_layer::{Event, EventStream, SseLayer};

use crate::Step::{Send, Wait};
use crate::{answer, bytes, secs};

fn event(data: &'static str) -> Event {
    Event::new().data(data)
}

async fn all<S>(events: EventStream<S>) -> Bytes
where
    S: Stream,
    S::Item: IntoEvent,
{
    events.collect().await.unwrap_or_else(|never| match never {}).to_bytes()
}

#[tokio::test]
async fn events_and_results_are_sent() {
    let events = [event("1"), event("2")];
    let results = events.clone().map(Ok::<_, io::Error>);
    let expected = "data: 1\n\ndata: 2\n\n";
    assert_eq!(all(EventStream::new(stream::iter(events))).await, expected);
    assert_eq!(all(EventStream::new(stream::iter(results))).await, expected);
}

#[tokio::test]
async fn the_response_is_one_that_the_layer_knows() {
    let response = EventStream::new(stream::iter([event("1")])).into_response();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-cache, no-store, no-transform");

    let response = answer(SseLayer::new().no_retry(), Request::new(()), response).await;
    assert_eq!(bytes(response.into_body()).await, b":\n\ndata: 1\n\n");
}

#[tokio::test]
async fn an_error_ends_the_stream_after_what_was_sent() {
    let items = || stream::iter([Ok(event("1")), Err("broken"), Ok(event("never"))]);
    assert_eq!(all(EventStream::new(items())).await, "data: 1\n\n");

    let mut body = EventStream::new(items());
    assert!(!body.is_end_stream());
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "data: 1\n\n");
    assert!(body.is_end_stream());
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn an_error_can_be_told_in_a_last_event() {
    let items = stream::iter([Ok(event("1")), Err("broken"), Err("never"), Ok(event("never"))]);
    let events = EventStream::new(items)
        .on_error(|error| Event::new().event("failed".try_into().unwrap()).data(error));
    assert_eq!(all(events).await, "data: 1\n\nevent: failed\ndata: broken\n\n");
}

#[derive(Clone, Serialize)]
struct Quote {
    symbol: &'static str,
    note: &'static str,
}

const QUOTE: Quote = Quote { symbol: "AB", note: "a\r\n\nb" };
const QUOTE_FRAME: &str = "data: {\"symbol\":\"AB\",\"note\":\"a\\r\\n\\nb\"}\n\n";

#[tokio::test]
async fn values_are_sent_as_json() {
    assert_eq!(all(EventStream::json(stream::iter([QUOTE]))).await, QUOTE_FRAME);
    let items = stream::iter([Ok(QUOTE), Err(io::Error::other("no more")), Ok(QUOTE)]);
    let events =
        EventStream::try_json(items).on_error(|error| Event::new().comment(error.to_string()));
    assert_eq!(all(events).await, format!("{QUOTE_FRAME}: no more\n\n"));
}

#[tokio::test]
async fn a_value_that_cannot_be_json_ends_the_stream_without_half_an_event() {
    let bad = HashMap::from([((1, 2), 3)]);
    let items = stream::iter([HashMap::new(), bad, HashMap::new()]);
    assert_eq!(all(EventStream::json(items.clone())).await, "data: {}\n\n");
    let events = EventStream::json(items).on_error(|_| event("failed"));
    assert_eq!(all(events).await, "data: {}\n\ndata: failed\n\n");
}

#[tokio::test]
async fn ready_events_leave_together_but_not_without_bound() {
    let mut many = EventStream::new(stream::repeat_with(|| event("x")));
    for _ in 0..2 {
        let frame = many.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(frame, "data: x\n\n".repeat(64));
    }

    let large = Event::new().data("x".repeat(40_000));
    let mut large = EventStream::new(stream::repeat_with(|| large.clone()));
    let frame = large.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(frame.len(), 2 * (40_000 + "data: \n\n".len()));

    let mut few = EventStream::new(stream::iter([event("1"), event("2")]).chain(stream::pending()));
    let frame = few.frame().now_or_never().expect("at once").unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "data: 1\n\ndata: 2\n\n");
    assert!(few.frame().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn silence_between_events_is_filled_by_the_layer() {
    let steps = [Send(b"1"), Wait(secs(20)), Send(b"2")];
    let events = stream::iter(steps).filter_map(|step| async move {
        match step {
            Send(data) => Some(event(std::str::from_utf8(data).unwrap())),
            Wait(time) => {
                tokio::time::sleep(time).await;
                None
            }
        }
    });
    let response = EventStream::new(events).into_response();
    let response = answer(SseLayer::new().no_retry(), Request::new(()), response).await;
    assert_eq!(bytes(response.into_body()).await, b":\n\ndata: 1\n\n:\n\ndata: 2\n\n");
}

/// Whatever text comes from users, it stays within the one field it was given to.
#[tokio::test]
async fn values_cannot_break_out_of_their_field() {
    for nasty in ["x\n\ndata: forged\n\n", "x\r\rid: 1\r\r", "x\r\nretry: 0", "\n", "x\n:"] {
        assert!(nasty.parse::<sse_layer::EventId>().is_err());
        assert!(nasty.parse::<sse_layer::EventType>().is_err());
        let sent =
            all(EventStream::new(stream::iter([Event::new().data(nasty).comment(nasty)]))).await;
        let sent = String::from_utf8(sent.to_vec()).unwrap();
        let lines = sent.strip_suffix("\n\n").unwrap();
        assert!(lines.split(['\r', '\n']).all(|l| l.starts_with("data: ") || l.starts_with(": ")));
    }
}
