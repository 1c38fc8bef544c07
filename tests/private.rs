//! Private streams: one client, one origin stream.

use std::time::Duration;

use http::Method;
use tokio::time::{Instant, interval};

use crate::support::{Ending, Origin, Proxy, Wire, at_once, fields, request};

#[tokio::test]
async fn every_client_has_an_origin_stream_of_its_own() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for client in proxy.clients().await {
        let (mut one, mut to_one) = client.open_from(&origin, "/feed").await;
        let (mut other, mut to_other) = client.open_from(&origin, "/feed").await;
        to_one.send("data: one\n\n").await;
        to_other.send("data: other\n\n").await;
        assert_eq!(one.data().await, "one");
        assert_eq!(other.data().await, "other");
    }
    assert_eq!(origin.accepted(), 4);
}

#[tokio::test]
async fn a_client_that_leaves_closes_a_silent_origin_stream() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for client in proxy.clients().await {
        let (stream, mut exchange) = client.open_from(&origin, "/silent").await;
        drop(stream);
        at_once(client.protocol(), exchange.gone()).await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_closes_a_busy_origin_stream() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for client in proxy.clients().await {
        let (mut stream, mut exchange) = client.open_from(&origin, "/busy").await;
        exchange.send("data: a\n\ndata: half").await;
        assert_eq!(stream.data().await, "a");
        drop(stream);
        at_once(client.protocol(), exchange.gone()).await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_takes_its_request_with_it() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for client in proxy.clients().await {
        let waiting = tokio::spawn({
            let client = client.clone();
            async move { drop(client.open("/slow").await) }
        });
        let mut exchange = origin.request("/slow").await;
        waiting.abort();
        at_once(client.protocol(), exchange.gone()).await;
    }
}

#[tokio::test]
async fn when_all_clients_have_left_no_origin_stream_is_open() {
    const EACH: usize = 50;
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    let mut open = Vec::new();
    for client in proxy.clients().await {
        for _ in 0..EACH {
            open.push(client.open_from(&origin, "/feed").await);
        }
    }
    origin.until_open(2 * EACH).await;
    let (streams, mut exchanges): (Vec<_>, Vec<_>) = open.into_iter().unzip();
    drop(streams);
    for exchange in &mut exchanges {
        exchange.gone().await;
    }
    drop(exchanges);
    origin.until_open(0).await;
}

#[tokio::test]
async fn a_client_that_sends_more_than_its_request_is_seen_to_leave_all_the_same() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    let request = "GET /chatty HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut wire = Wire::send(proxy.plain(), request).await;
    let mut exchange = origin.request("/chatty").await;
    exchange.open().await;
    wire.read_until("\r\n\r\n").await;
    wire.write("GET /another HTTP/1.1\r\nHost: h\r\n\r\n").await;
    exchange.send("data: a\n\n").await;
    wire.read_until("data: a\n\n").await;
    drop(wire);
    at_once("the client has gone", exchange.gone()).await;
}

#[tokio::test]
async fn the_last_event_id_passes_byte_for_byte() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    let id = "caf\u{e9} \u{2603} \u{1f41f}; a=b, c";
    for client in proxy.clients().await {
        let (_, exchange) = tokio::join!(
            async { client.try_events("/feed", fields(&[("last-event-id", id)])).await.is_ok() },
            origin.opened("/feed")
        );
        let sent = exchange.head.value("last-event-id");
        assert_eq!(sent.as_deref(), Some(id.as_bytes()), "{}", client.protocol());
    }
}

#[tokio::test]
async fn the_head_leaves_before_the_body() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for client in proxy.clients().await {
        let (mut stream, mut exchange) = client.open_from(&origin, "/feed").await;
        assert_eq!(stream.response.values("content-type"), ["text/event-stream"]);
        assert_eq!(stream.text(), "", "the head was seen before the origin said a thing");
        exchange.send("data: a\n\n").await;
        assert_eq!(stream.data().await, "a");
    }
}

#[tokio::test]
async fn keep_alive_comments_stand_between_blocks() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "keep_alive = \"50ms\"").await;
    for client in proxy.clients().await {
        let (mut stream, mut exchange) = client.open_from(&origin, "/feed").await;
        exchange.send("id: 1\ndata: a\nda").await;
        for _ in 0..3 {
            assert_eq!(stream.text_until("\n\n").await, ":\n\n", "the block is not closed yet");
        }
        exchange.send("ta: b\n\n").await;
        let event = stream.event().await;
        assert_eq!((event.data.as_str(), event.last_event_id.as_str()), ("a\nb", "1"));
    }
}

#[tokio::test]
async fn keep_alive_comments_fill_only_silence() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "keep_alive = \"1s\"").await;
    let (mut stream, mut exchange) = proxy.h1().open_from(&origin, "/feed").await;
    let begun = Instant::now();
    let mut tick = interval(Duration::from_millis(100));
    while begun.elapsed() < Duration::from_millis(2500) {
        tick.tick().await;
        exchange.send("data: x\n\n").await;
        stream.data().await;
    }
    let text = stream.text();
    assert!(!text.lines().any(|line| line.starts_with(':')), "a comment in {text:?}");
    // And now there is silence.
    stream.text_until("\n:\n\n").await;
}

#[tokio::test]
async fn half_an_event_at_the_end_is_never_completed() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "keep_alive = \"50ms\"").await;
    for client in proxy.clients().await {
        for half in ["data: b", "data: b\n", "id: 2\ndata: b\n", "data: b\r"] {
            let (mut stream, mut exchange) = client.open_from(&origin, "/feed").await;
            exchange.send(format!("id: 1\ndata: a\n\n{half}")).await;
            // The silence is filled, and even that completes nothing.
            stream.text_until(":\n\n").await;
            exchange.end().await;
            let (events, ending) = stream.rest().await;
            let data: Vec<_> = events.into_iter().map(|event| event.data).collect();
            assert_eq!(data, ["a"], "{half:?} {}", client.protocol());
            assert_eq!(ending, Ending::Orderly);
            assert_eq!(stream.last_event_id(), "1");
        }
    }
}

#[tokio::test]
async fn an_origin_that_dies_within_a_chunk_is_seen_to_break_off() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for client in proxy.clients().await {
        let (mut stream, mut exchange) = client.open_from(&origin, "/feed").await;
        exchange.raw("20\r\ndata: a\n\ndata: b").await;
        assert_eq!(stream.data().await, "a");
        exchange.kill();
        assert_eq!(stream.rest().await, (vec![], Ending::BrokenOff), "{}", client.protocol());
    }
}

#[tokio::test]
async fn an_origin_that_closes_without_its_last_chunk_is_seen_to_break_off() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for client in proxy.clients().await {
        let (mut stream, mut exchange) = client.open_from(&origin, "/feed").await;
        exchange.send("data: a\n\n").await;
        assert_eq!(stream.data().await, "a");
        drop(exchange);
        assert_eq!(stream.rest().await, (vec![], Ending::BrokenOff), "{}", client.protocol());
    }
}

#[tokio::test]
async fn what_came_before_an_origin_died_is_delivered() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for client in proxy.clients().await {
        for _ in 0..10 {
            let (mut stream, mut exchange) = client.open_from(&origin, "/feed").await;
            exchange.send("data: last words\n\n").await;
            // No last chunk: this is no orderly end.
            drop(exchange);
            let (events, ending) = stream.rest().await;
            assert_eq!(events.len(), 1, "{}", client.protocol());
            assert_eq!(ending, Ending::BrokenOff);
        }
    }
}

#[tokio::test]
async fn our_reconnection_time_replaces_the_origins() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "retry = \"3s\"").await;
    let (mut stream, mut exchange) = proxy.h1().open_from(&origin, "/feed").await;
    let begin = stream.text_until("\n\n").await;
    let time = begin.strip_prefix("retry: ").expect(&begin).trim().parse::<u64>();
    assert!((2000..=4000).contains(&time.expect("digits")), "{begin}");
    exchange.send("retry: 7\nid: 1\ndata: a\n\n").await;
    assert_eq!(stream.text_until("\n\n").await, "id: 1\ndata: a\n\n");
}

#[tokio::test]
async fn our_reconnection_time_is_the_last_one_too() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "retry = \"3s\"").await;
    for client in proxy.clients().await {
        let (mut stream, mut exchange) = client.open_from(&origin, "/feed").await;
        // It would have effect though its block has no end.
        exchange.send("data: a\n\nretry: 7\nid: 1\n").await;
        exchange.end().await;
        let (events, ending) = stream.rest().await;
        assert_eq!((events.len(), ending), (1, Ending::Orderly), "{}", client.protocol());
        assert!(!stream.text().contains("retry: 7"), "{}", stream.text());
    }
}

#[tokio::test]
async fn credentials_and_cookies_pass_both_ways() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    let mut ask = request(Method::GET, "/feed");
    *ask.headers_mut() = fields(&[("cookie", "a=1"), ("authorization", "Bearer t")]);
    let client = proxy.h1();
    let (response, exchange) = tokio::join!(client.send(ask), async {
        let mut exchange = origin.request("/feed").await;
        exchange.open_with("Set-Cookie: b=2\r\nSet-Cookie: c=3\r\n").await;
        exchange
    });
    assert_eq!(exchange.head.text("cookie").as_deref(), Some("a=1"));
    assert_eq!(exchange.head.text("authorization").as_deref(), Some("Bearer t"));
    assert_eq!(response.values("set-cookie"), ["b=2", "c=3"]);
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_a_stream_without_chunks() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    let mut wire = Wire::send(proxy.plain(), "GET /feed HTTP/1.0\r\nHost: h\r\n\r\n").await;
    let mut exchange = origin.opened("/feed").await;
    exchange.send("data: a\n\n").await;
    let head = wire.text_until("\r\n\r\n").await.to_ascii_lowercase();
    assert!(!head.contains("transfer-encoding"), "{head}");
    exchange.end().await;
    assert_eq!(wire.rest_as_text().await, "data: a\n\n");
}

#[tokio::test]
async fn an_origin_that_does_not_answer_in_time_is_given_up() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "timeouts = { first_byte = \"100ms\" }").await;
    let cut = proxy.h1().try_events("/slow", fields(&[])).await;
    assert!(cut.is_err(), "an EventSource must come back");
    assert_eq!(proxy.h1().get("/slow").await.status, 502);
}

#[tokio::test]
async fn an_origin_that_falls_silent_for_too_long_is_given_up() {
    let origin = Origin::start();
    let keys = "timeouts = { idle = \"200ms\" }\nkeep_alive = \"50ms\"";
    let proxy = Proxy::before(&origin, keys).await;
    for client in proxy.clients().await {
        let (mut stream, mut exchange) = client.open_from(&origin, "/feed").await;
        exchange.send("data: a\n\n").await;
        assert_eq!(stream.data().await, "a");
        assert_eq!(stream.rest().await.1, Ending::BrokenOff);
        exchange.gone().await;
    }
}
