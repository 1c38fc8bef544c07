//! Shared feeds: one origin stream, any number of readers.

use http::Method;
use tokio::task::JoinSet;

use crate::support::{
    Case, Cases, Client, Cut, Ending, Origin, Proxy, Stream, Wire, at_once, case_events, fields,
    request,
};

const SHARED: &str = "stream = \"shared\"";

/// Another reader of a feed that is open already.
async fn join(client: &Client) -> Stream {
    client.open("/feed").await
}

#[tokio::test]
async fn two_hundred_readers_share_one_origin_connection() {
    const READERS: usize = 200;
    const EVENTS: usize = 50;
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    let clients = proxy.clients().await;
    let mut opening = JoinSet::new();
    for reader in 0..READERS {
        let client = clients[reader % 2].clone();
        opening.spawn(async move { join(&client).await });
    }
    let mut exchange = origin.opened("/feed").await;
    let streams = opening.join_all().await;
    let mut reading = JoinSet::new();
    for mut stream in streams {
        reading.spawn(async move { stream.data_of(EVENTS).await });
    }
    let expected: Vec<String> = (0..EVENTS).map(|n| n.to_string()).collect();
    for n in &expected {
        exchange.send(format!("id: {n}\ndata: {n}\n\n")).await;
    }
    for found in reading.join_all().await {
        assert_eq!(found, expected);
    }
    assert_eq!((origin.accepted(), origin.heads().len()), (1, 1));
}

#[tokio::test]
async fn a_late_joiner_begins_with_the_next_event() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    let [h1, h2] = proxy.clients().await;
    let (mut first, mut exchange) = h1.open_from(&origin, "/feed").await;
    exchange.send("id: 1\ndata: early\n\n").await;
    assert_eq!(first.data().await, "early");
    let mut late = join(&h2).await;
    exchange.send("id: 2\ndata: late\n\n").await;
    assert_eq!(first.data().await, "late");
    assert_eq!(late.data().await, "late");
    assert_eq!(origin.accepted(), 1);
}

#[tokio::test]
async fn who_comes_back_with_the_origins_id_gets_what_was_missed_and_then_the_rest() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    for client in proxy.clients().await {
        let path = format!("/{}", client.protocol());
        let (mut stream, mut exchange) = client.open_from(&origin, &path).await;
        exchange.send("id: a\ndata: 1\n\nid: b\ndata: 2\n\nid: c\ndata: 3\n\n").await;
        assert_eq!(stream.data_of(3).await, ["1", "2", "3"]);
        drop(stream);
        let mut back = client.resume(&path, "a").await;
        exchange.send("id: d\ndata: 4\n\n").await;
        assert_eq!(back.data_of(3).await, ["2", "3", "4"]);
        assert_eq!(back.last_event_id(), "d");
    }
}

#[tokio::test]
async fn an_origin_without_ids_is_resumed_by_cursor() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    let (mut stream, mut exchange) = proxy.h1().open_from(&origin, "/feed").await;
    exchange.send("data: 1\n\ndata: 2\n\ndata: 3\n\n").await;
    let id = stream.event().await.last_event_id;
    assert!(id.parse::<sse_layer::feed::Cursor>().is_ok(), "{id:?} is a cursor");
    assert_eq!(stream.data_of(2).await, ["2", "3"]);
    let mut back = proxy.h1().resume("/feed", &id).await;
    exchange.send("data: 4\n\n").await;
    assert_eq!(back.data_of(3).await, ["2", "3", "4"]);
}

#[tokio::test]
async fn who_comes_back_with_an_unknown_id_is_told_of_the_gap() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    let (mut stream, mut exchange) = proxy.h1().open_from(&origin, "/feed").await;
    exchange.send("id: 1\ndata: 1\n\n").await;
    stream.event().await;
    for id in ["never-heard-of", "00000000.1", "caf\u{e9}"] {
        let mut back = proxy.h1().resume("/feed", id).await;
        back.text_until(": gap\n\n").await;
        exchange.send("id: 2\ndata: live\n\n").await;
        assert_eq!(back.data().await, "live");
    }
}

#[tokio::test]
async fn what_is_older_than_the_history_is_a_gap() {
    let origin = Origin::start();
    let keys = format!("{SHARED}\nhistory = {{ events = 2 }}\nlag = {{ events = 2 }}");
    let proxy = Proxy::before(&origin, &keys).await;
    let (mut stream, mut exchange) = proxy.h1().open_from(&origin, "/feed").await;
    for n in 1..=4 {
        exchange.send(format!("id: {n}\ndata: {n}\n\n")).await;
        assert_eq!(stream.data().await, n.to_string());
    }
    let mut back = proxy.h1().resume("/feed", "3").await;
    let mut too_late = proxy.h1().resume("/feed", "1").await;
    exchange.send("id: 5\ndata: 5\n\n").await;
    assert_eq!(back.data_of(2).await, ["4", "5"]);
    assert!(!back.text().contains("gap"));
    too_late.text_until(": gap\n\n").await;
}

#[tokio::test]
async fn an_origin_may_restart_in_the_middle_of_an_event_and_no_reader_notices() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    let [h1, h2] = proxy.clients().await;
    let (mut one, mut exchange) = h1.open_from(&origin, "/feed").await;
    let mut other = join(&h2).await;
    exchange.send("retry: 100\n\nid: 1\ndata: one\n\nid: 2\ndata: tw").await;
    assert_eq!(one.data().await, "one");
    exchange.kill();

    let mut exchange = origin.opened("/feed").await;
    let id = exchange.head.text("last-event-id");
    assert_eq!(id.as_deref(), Some("1"), "the half event counts for nothing");
    exchange.send("\u{feff}id: 2\ndata: two\n\nid: 3\ndata: three\n\n").await;
    assert_eq!(one.data_of(2).await, ["two", "three"]);
    assert_eq!(other.data_of(3).await, ["one", "two", "three"]);
    for reader in [one, other] {
        assert!(!reader.text().contains('\u{feff}'), "a mark in mid-stream is no mark");
        assert_eq!(reader.text().matches("id: 2").count(), 1);
    }
}

#[tokio::test]
async fn an_origin_that_is_away_for_a_while_is_tried_until_it_is_back() {
    let mut origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    let (mut stream, mut exchange) = proxy.h1().open_from(&origin, "/feed").await;
    exchange.send("retry: 100\nid: 1\ndata: one\n\n").await;
    assert_eq!(stream.data().await, "one");
    origin.stop_listening().await;
    exchange.kill();
    proxy.logged("origin gone").await;
    proxy.logged("cannot connect").await;
    let origin = origin.restarted();
    // Not even an error counts, once there was a stream.
    origin.request("/feed").await.answer("503 Busy", "", "later").await;
    let mut exchange = origin.opened("/feed").await;
    assert_eq!(exchange.head.text("last-event-id").as_deref(), Some("1"));
    exchange.send("id: 2\ndata: two\n\n").await;
    assert_eq!(stream.data().await, "two");
}

#[tokio::test]
async fn an_origin_that_says_204_ends_the_feed_for_good() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    for client in proxy.clients().await {
        let path = format!("/{}", client.protocol());
        let (mut stream, mut exchange) = client.open_from(&origin, &path).await;
        exchange.send("retry: 100\ndata: last\n\n").await;
        exchange.end().await;
        origin.request(&path).await.raw("HTTP/1.1 204 No Content\r\n\r\n").await;
        let (events, ending) = stream.rest().await;
        assert_eq!((events.len(), ending), (1, Ending::Orderly));
        let asked = origin.heads().len();
        assert_eq!(client.get(&path).await.status, 204);
        assert_eq!(origin.heads().len(), asked, "the origin has said all that it has to say");
    }
}

#[tokio::test]
async fn an_answer_of_204_has_no_length() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    let mut wire = Wire::send(proxy.plain(), "GET /over HTTP/1.1\r\nHost: h\r\n\r\n").await;
    origin.request("/over").await.raw("HTTP/1.1 204 No Content\r\n\r\n").await;
    let head = wire.text_until("\r\n\r\n").await.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 204"), "{head}");
    // RFC 9110, 8.6.
    assert!(!head.contains("content-length"), "{head}");
}

#[tokio::test]
async fn the_origin_stream_is_kept_for_a_while_after_the_last_reader() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, &format!("{SHARED}\nlinger = \"1m\"")).await;
    let (mut stream, mut exchange) = proxy.h1().open_from(&origin, "/feed").await;
    exchange.send("id: 1\ndata: 1\n\n").await;
    stream.event().await;
    drop(stream);
    exchange.send("id: 2\ndata: nobody is there\n\n").await;
    let mut back = proxy.h1().resume("/feed", "1").await;
    assert_eq!(back.data().await, "nobody is there");
    assert_eq!(origin.accepted(), 1);
}

#[tokio::test]
async fn the_origin_stream_is_closed_when_nobody_comes_back() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, &format!("{SHARED}\nlinger = \"100ms\"")).await;
    for client in proxy.clients().await {
        let (one, mut exchange) = client.open_from(&origin, "/feed").await;
        let other = join(&client).await;
        drop(one);
        drop(other);
        at_once("the linger is over", exchange.gone()).await;
    }
}

#[tokio::test]
async fn a_reader_who_leaves_takes_nothing_from_the_others() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, &format!("{SHARED}\nlinger = \"0s\"")).await;
    let client = proxy.h1();
    let (first, mut exchange) = client.open_from(&origin, "/feed").await;
    let mut second = join(&client).await;
    drop(first);
    exchange.send("data: still here\n\n").await;
    assert_eq!(second.data().await, "still here");
}

#[tokio::test]
async fn a_first_connection_that_is_refused_cuts_who_wants_events_and_tells_others() {
    let mut origin = Origin::start();
    origin.stop_listening().await;
    for stream in ["shared", "private"] {
        let proxy = Proxy::before(&origin, &format!("stream = \"{stream}\"")).await;
        for client in proxy.clients().await {
            let cut = client.try_events("/feed", fields(&[])).await;
            assert!(cut.is_err(), "a status of ours would end an EventSource for good");
            assert_eq!(client.get("/feed").await.status, 502, "{stream} {}", client.protocol());
        }
    }
}

#[tokio::test]
async fn an_origin_that_comes_up_later_is_found_by_the_next_reader() {
    let mut origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    origin.stop_listening().await;
    assert!(proxy.h1().try_events("/feed", fields(&[])).await.is_err());
    let origin = origin.restarted();
    let (mut stream, mut exchange) = proxy.h1().open_from(&origin, "/feed").await;
    exchange.send("data: up\n\n").await;
    assert_eq!(stream.data().await, "up");
}

#[tokio::test]
async fn a_first_answer_that_is_no_stream_passes_with_its_body() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    for client in proxy.clients().await {
        for _ in 0..2 {
            let (response, ()) = tokio::join!(client.get("/feed"), async {
                let mut exchange = origin.request("/feed").await;
                exchange.answer("404 Not Found", "X-Why: gone\r\n", "no such feed").await;
            });
            assert_eq!(response.status, 404);
            assert_eq!(response.values("x-why"), ["gone"]);
            assert_eq!(response.text().await, "no such feed");
        }
    }
}

#[tokio::test]
async fn a_route_has_no_more_feeds_than_it_may() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, &format!("{SHARED}\nmax_feeds = 1")).await;
    let client = proxy.h1();
    let (_stream, _exchange) = client.open_from(&origin, "/feed").await;
    assert_eq!(client.get("/another").await.status, 503);
    let _joined = join(&client).await;
}

#[tokio::test]
async fn a_shared_feed_carries_every_event_of_the_corpus() {
    let cases = Cases::of("parse.jsonl");
    let keys = format!("{SHARED}\nlag = {{ events = 1000 }}");
    let proxy = Proxy::before(&cases.origin, &keys).await;
    let client = proxy.h2().await;
    for case in Case::all("parse.jsonl") {
        let expected = case_events(case.at("/expect/events"));
        for cut in case.cuts().into_iter().filter(|cut| *cut != Cut::Given) {
            let mut stream = client.open(&Cases::target("shared", &case, cut, "")).await;
            for expected in &expected {
                let found = stream.try_event().await;
                let what = format!("{} {cut:?}", case.name());
                let found = found.expect(&what);
                assert_eq!(found.event_type, expected.event_type, "{what}");
                assert_eq!(found.data, expected.data, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn a_burst_is_no_reason_to_end_a_reader_who_reads() {
    const BURST: usize = 500;
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, &format!("{SHARED}\nlag = {{ events = 10 }}")).await;
    for client in proxy.clients().await {
        let path = format!("/{}", client.protocol());
        let (mut stream, mut exchange) = client.open_from(&origin, &path).await;
        let burst: String = (0..BURST).map(|n| format!("data: {n}\n\n")).collect();
        exchange.send(burst).await;
        for n in 0..BURST {
            let event = stream.try_event().await.map(|event| event.data);
            assert_eq!(event, Ok(n.to_string()), "{}", client.protocol());
        }
    }
}

#[tokio::test]
async fn an_upload_is_nobody_elses() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    let client = proxy.h1();
    let (_reader, _exchange) = client.open_from(&origin, "/feed").await;
    let (response, ()) = tokio::join!(client.send(request(Method::POST, "/feed")), async {
        origin.request("/feed").await.answer("201 Created", "", "").await;
    });
    assert_eq!(response.status, 201);
}

#[tokio::test]
async fn keep_alive_comments_stand_between_blocks() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, &format!("{SHARED}\nkeep_alive = \"50ms\"")).await;
    for client in proxy.clients().await {
        let path = format!("/{}", client.protocol());
        let (mut stream, mut exchange) = client.open_from(&origin, &path).await;
        exchange.send("data: a\nda").await;
        for _ in 0..3 {
            assert_eq!(stream.text_until("\n\n").await, ":\n\n");
        }
        exchange.send("ta: b\n\n").await;
        assert_eq!(stream.data().await, "a\nb");
    }
}
