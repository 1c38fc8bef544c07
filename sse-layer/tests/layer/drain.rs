//! How the layer ends streams: drains and lifetimes. And how many it lets be open.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, future::join_all, stream};
use http::{Method, Request, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use sse_layer::{Drain, Event, KeepAlive, SseLayer};
use tokio::time::{Instant, timeout};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::Step::{Send, Wait};
use crate::{answer, bytes, event_stream, scripted, secs, silent, through, timed};

/// The layer with `drain`, quiet, so that what is seen is what ends the stream.
fn layer(drain: &Drain) -> SseLayer {
    SseLayer::new().keep_alive(KeepAlive::off()).drain(drain.clone())
}

/// The number of a `retry:` frame and what follows it.
fn retry_of(frame: &[u8]) -> (u64, &str) {
    let rest = std::str::from_utf8(frame).unwrap().strip_prefix("retry: ").expect("a retry");
    let (ms, rest) = rest.split_once('\n').unwrap();
    (ms.parse().unwrap(), rest)
}

#[tokio::test(start_paused = true)]
async fn streams_end_all_over_the_window_each_with_a_time_to_come_back() {
    let drain = Drain::new();
    let bodies: Vec<_> = (0..300).map(|_| through(layer(&drain), silent())).collect();
    let bodies = join_all(bodies).await;
    assert_eq!(drain.active(), 300);
    drain.start(secs(30));
    let all = join_all(bodies.into_iter().map(|body| timed(body, secs(3600)))).await;
    assert_eq!(drain.active(), 0);

    let mut per_third = [0; 3];
    let mut retries = Vec::new();
    for seen in all {
        let [_opening, (at, last)] = &seen[..] else { panic!("{seen:?}") };
        assert!(*at <= secs(30) + Duration::from_millis(2), "{at:?}");
        per_third[usize::try_from(at.as_secs() / 10).unwrap().min(2)] += 1;
        let (ms, rest) = retry_of(last);
        assert_eq!(rest, "\n");
        retries.push(ms);
    }
    assert!(per_third.iter().all(|n| (60..140).contains(n)), "{per_third:?}");
    assert!(retries.iter().all(|ms| (2010..=3990).contains(ms)));
    assert!(retries.iter().any(|ms| *ms < 2500) && retries.iter().any(|ms| *ms > 3500));
}

#[tokio::test(start_paused = true)]
async fn a_farewell_is_the_last_event() {
    let drain = Drain::new();
    let farewell = Event::new().event("bye".try_into().unwrap()).data("back soon");
    let body = through(layer(&drain).farewell(farewell.clone()), silent()).await;
    drain.start(secs(1));
    let seen = timed(body, secs(10)).await;
    assert_eq!(retry_of(&seen[1].1).1, "\nevent: bye\ndata: back soon\n\n");

    let drain = Drain::new();
    let body = through(layer(&drain).no_retry().farewell(farewell), silent()).await;
    drain.start(secs(1));
    assert_eq!(bytes(body).await, b":\n\nevent: bye\ndata: back soon\n\n");
}

#[tokio::test(start_paused = true)]
async fn without_a_time_and_a_farewell_it_just_ends() {
    let drain = Drain::new();
    let body = through(layer(&drain).no_retry(), silent()).await;
    drain.start(secs(1));
    assert_eq!(bytes(body).await, b":\n\n");
}

#[tokio::test(start_paused = true)]
async fn a_stream_opened_after_the_start_ends_at_once_and_in_good_order() {
    let drain = Drain::new();
    drain.start(secs(1000));
    let busy = stream::repeat_with(|| Ok::<_, ()>(http_body::Frame::data(Bytes::from("data\n\n"))));
    let response = event_stream(http_body_util::StreamBody::new(busy));
    let response = answer(layer(&drain), Request::new(()), response).await;
    assert_eq!(response.status(), StatusCode::OK);
    let seen = timed(response.into_body(), secs(1)).await;
    let [(_, opening), (at, last)] = &seen[..] else { panic!("{seen:?}") };
    assert!(opening.starts_with(b":\nretry: "));
    assert_eq!(retry_of(last).1, "\n");
    assert_eq!(*at, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_has_begun_is_completed_and_what_follows_is_not_sent() {
    for (steps, expected) in [
        (vec![Send(b"data: a"), Wait(secs(5)), Send(b"b\n\ndata: c")], "data: ab\n\n"),
        (vec![Send(b"data: a\r\n"), Wait(secs(5)), Send(b"\r\n:\r\n\r\n")], "data: a\r\n\r"),
        (vec![Send(b"data: a"), Wait(secs(5)), Send(b"b\n"), Send(b"\nid: 1")], "data: ab\n\n"),
    ] {
        let drain = Drain::new();
        let body = through(layer(&drain), scripted(steps)).await;
        let mut body = Box::pin(body);
        for _ in 0..2 {
            body.frame().await.unwrap().unwrap(); // the opening, and the first half
        }
        drain.start(secs(5) + Duration::from_millis(1));
        let rest = bytes(body).await;
        let rest = std::str::from_utf8(&rest).unwrap();
        let (event, last) = rest.split_at(rest.find("retry").expect("a retry"));
        assert!(expected.ends_with(event), "{event:?} of {expected:?}");
        assert_eq!(retry_of(last.as_bytes()).1, "\n");
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_stays_half_is_not_completed() {
    for (half, has_retry) in
        [(&b"data: a"[..], false), (b"data: a\n", true), (b"data: a\r", true), (b"a\n\nid:", false)]
    {
        let drain = Drain::new();
        let farewell = Event::new().data("never");
        let body = scripted([Send(half), Wait(secs(86_400)), Send(b"\n\n")]);
        let body = through(layer(&drain).farewell(farewell), body).await;
        drain.start(secs(10));
        let seen = timed(body, secs(3600)).await;
        let last = seen.last().unwrap();
        if has_retry {
            assert_eq!(retry_of(&last.1).1, "", "a line alone");
            assert!((10_000..=10_002).contains(&last.0.as_millis()), "{:?}", last.0);
        } else {
            assert_eq!(last.1, half);
        }
        drain.finished().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_encoded_body_ends_in_its_turn() {
    let drain = Drain::new();
    let mut response = event_stream(scripted([Send(b"not really gzip"), Wait(secs(86_400))]));
    response.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    let body = answer(layer(&drain), Request::new(()), response).await.into_body();
    drain.start(secs(10));
    let start = Instant::now();
    assert_eq!(bytes(body).await, b"not really gzip");
    assert!(start.elapsed() <= secs(11));
}

#[tokio::test(start_paused = true)]
async fn a_busy_stream_ends_too_and_its_handler_is_dropped_with_the_last_frame() {
    let drain = Drain::new();
    let (alive, dropped) = tokio::sync::oneshot::channel::<()>();
    let events = stream::repeat(alive.into()).then(|_: std::sync::Arc<_>| async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        Event::new().data("x")
    });
    let response = sse_layer::EventStream::new(events).into_response();
    let body = answer(layer(&drain), Request::new(()), response).await.into_body();
    let mut body = Box::pin(body);
    drain.start(secs(3));
    let mut frames = 0;
    while !body.is_end_stream() {
        body.frame().await.unwrap().unwrap();
        frames += 1;
    }
    assert!(frames < 310, "{frames}");
    assert!(dropped.await.is_err());
    assert_eq!(drain.active(), 1, "until the server drops the body");
    drop(body);
    assert_eq!(drain.active(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lifetime_ends_like_a_drain_and_up_to_a_fifth_early() {
    let layer = SseLayer::new().keep_alive(KeepAlive::off()).max_lifetime(secs(100));
    let mut lives = Vec::new();
    for _ in 0..100 {
        let start = Instant::now();
        let seen = timed(through(layer.clone(), silent()).await, secs(3600)).await;
        assert_eq!(retry_of(&seen[1].1).1, "\n");
        lives.push(start.elapsed());
    }
    assert!(lives.iter().all(|life| (80_000..=100_002).contains(&life.as_millis())), "{lives:?}");
    assert!(lives.iter().any(|life| *life < secs(86)), "{lives:?}");
    assert!(lives.iter().any(|life| *life > secs(94)), "{lives:?}");
}

#[tokio::test(start_paused = true)]
async fn any_lifetime_is_taken_and_none_is_the_default() {
    for layer in [SseLayer::new(), SseLayer::new().max_lifetime(Duration::MAX)] {
        let body = through(layer.keep_alive(KeepAlive::off()), silent()).await;
        assert_eq!(timed(body, secs(86_400 * 30)).await.len(), 1);
    }
    let body = through(SseLayer::new().max_lifetime(Duration::ZERO), silent()).await;
    assert_eq!(timed(body, secs(1)).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stream_keeps_its_place_until_its_body_is_dropped() {
    let handler = service_fn(async |_: Request<()>| Ok::<_, ()>(event_stream(silent())));
    let layer = SseLayer::new().max_streams(2);
    let ask = async || layer.layer(handler).oneshot(Request::new(())).await.unwrap();
    let (first, second) = (ask().await, ask().await);
    assert_eq!(first.status(), StatusCode::OK);

    let refused = ask().await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    let after: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((3..=4).contains(&after), "{after}");
    assert_eq!(refused.headers()["cache-control"], "no-store");
    assert!(!refused.headers().contains_key("content-type"));
    assert!(refused.body().is_end_stream());

    let (head, body) = second.into_parts();
    drop(head);
    assert_eq!(ask().await.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(body);
    assert_eq!(ask().await.status(), StatusCode::OK);
}

#[tokio::test]
async fn only_streams_are_counted() {
    let layer = SseLayer::new().max_streams(0);
    let other = http::Response::new(silent());
    assert_eq!(answer(layer.clone(), Request::new(()), other).await.status(), StatusCode::OK);
    let head = Request::builder().method(Method::HEAD).body(()).unwrap();
    let response = answer(layer, head, event_stream(silent())).await;
    assert_eq!(response.status(), StatusCode::OK);
}

/// Why there is `max_streams`: tower's limit lets go of a stream when it begins.
#[tokio::test(start_paused = true)]
async fn towers_limit_counts_responses_and_ours_streams() {
    let handler = service_fn(async |_: Request<()>| Ok::<_, ()>(event_stream(silent())));
    let limit = tower::limit::ConcurrencyLimitLayer::new(1);
    let mut service = limit.layer(SseLayer::new().max_streams(2).layer(handler));
    let mut open = Vec::new();
    for expected in [200, 200, 503] {
        let ready = timeout(secs(1), service.ready()).await.expect("tower's permit is free");
        let response = ready.unwrap().call(Request::new(())).await.unwrap();
        assert_eq!(response.status(), expected);
        open.push(response);
    }
}
