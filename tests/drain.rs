//! The end of the process: streams are ended in order, nothing new is taken, nothing is cut.

use std::time::Duration;

use http::Method;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::support::{Ending, Mux, Origin, Proxy, Wire, eventually, request, within};

/// Streams that end early make the window short: this is far less than its 30 seconds.
const SOON: Duration = Duration::from_secs(5);

/// What a stream that is drained says last.
fn assert_farewell(text: &str) {
    let last = text.trim_end().rsplit("\n\n").next().unwrap_or_default();
    let time = last.strip_prefix("retry: ").expect(text).parse::<u64>();
    assert!((1000..10_000).contains(&time.expect("digits")), "{text}");
}

#[tokio::test]
async fn every_stream_is_told_when_to_come_back_and_ends_in_order() {
    let origin = Origin::start();
    for stream in ["private", "shared"] {
        let mut proxy = Proxy::before(&origin, &format!("stream = \"{stream}\"")).await;
        let mut open = Vec::new();
        for client in proxy.clients().await {
            for n in 0..3 {
                let path = format!("/{}/{n}", client.protocol());
                let (stream, mut exchange) = client.open_from(&origin, &path).await;
                exchange.send("id: 1\ndata: a\n\nid: 2\ndata: ha").await;
                open.push((stream, exchange));
            }
        }
        for (stream, _) in &mut open {
            assert_eq!(stream.data().await, "a");
        }
        let begun = Instant::now();
        proxy.terminate();
        for (stream, exchange) in &mut open {
            let (events, ending) = stream.rest().await;
            let protocol = stream.response.version;
            let what = format!("{protocol:?}: {:?}", stream.text());
            assert_eq!((events.len(), ending), (0, Ending::Orderly), "{what}");
            assert_eq!(stream.last_event_id(), "1", "half an event is no event");
            assert_farewell(&stream.text());
            exchange.gone().await;
        }
        assert_eq!(proxy.exit().await.code(), Some(0));
        assert!(begun.elapsed() < SOON, "took {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn streams_do_not_all_end_in_the_same_instant() {
    let origin = Origin::start();
    let mut proxy = Proxy::before(&origin, "stream = \"shared\"").await;
    let (client, mut open) = (proxy.h1(), Vec::new());
    let (first, _exchange) = client.open_from(&origin, "/feed").await;
    open.push(first);
    while open.len() < 20 {
        open.push(client.open("/feed").await);
    }
    proxy.terminate();
    let mut ending = tokio::task::JoinSet::new();
    for mut stream in open {
        ending.spawn(async move {
            assert_eq!(stream.rest().await.1, Ending::Orderly);
            Instant::now()
        });
    }
    let ends = ending.join_all().await;
    let first = ends.iter().min().copied().expect("some");
    let took = ends.iter().max().copied().expect("some") - first;
    assert!((Duration::from_millis(200)..SOON).contains(&took), "took {took:?}");
    assert_eq!(proxy.exit().await.code(), Some(0));
}

#[tokio::test]
async fn a_multiplexed_stream_says_goodbye() {
    let origin = Origin::start();
    let mut proxy = Proxy::before(&origin, "stream = \"shared\"").await;
    let mut open = Vec::new();
    for client in proxy.clients().await {
        open.push(Mux::open(&client, &["/a", "/b"]).await.0);
    }
    let _a = origin.opened("/a").await;
    for mux in &mut open {
        mux.state("/a", "open").await;
    }
    proxy.terminate();
    for mut mux in open {
        assert_eq!(mux.control("mux/bye").await, serde_json::json!({}));
        assert_eq!(mux.stream.rest().await, (vec![], Ending::Orderly));
        assert_eq!(mux.stream.text().matches("retry: ").count(), 2, "one to begin, one to end");
    }
    assert_eq!(proxy.exit().await.code(), Some(0));
}

#[tokio::test]
async fn a_request_is_answered_before_the_process_goes_and_none_is_taken() {
    let origin = Origin::start();
    let mut proxy = Proxy::before(&origin, "").await;
    let clients = proxy.clients().await;
    let mut answers = Vec::new();
    let mut exchanges = Vec::new();
    for client in &clients {
        let client = client.clone();
        let sent = async move { client.send(request(Method::POST, "/slow")).await };
        answers.push(tokio::spawn(sent));
        exchanges.push(origin.request("/slow").await);
    }
    let (mut stream, _exchange) = clients[0].open_from(&origin, "/feed").await;
    proxy.terminate();
    assert_eq!(stream.rest().await.1, Ending::Orderly);
    for address in [proxy.plain(), proxy.tls()] {
        let is_refused = async || TcpStream::connect(address).await.is_err();
        eventually("connections are refused", is_refused).await;
    }
    for exchange in &mut exchanges {
        exchange.answer("200 OK", "", "in the end").await;
    }
    for answer in answers {
        let response = within("an answer", answer).await.expect("not cut off");
        assert_eq!(response.text().await, "in the end");
    }
    assert_eq!(proxy.exit().await.code(), Some(0));
}

#[tokio::test]
async fn a_connection_that_waits_for_a_next_request_holds_nothing_up() {
    let origin = Origin::start();
    let mut proxy = Proxy::before(&origin, "").await;
    let mut wire = Wire::send(proxy.plain(), "GET /page HTTP/1.1\r\nHost: h\r\n\r\n").await;
    origin.request("/page").await.answer("200 OK", "", "page").await;
    wire.read_until("page").await;
    let _h2 = proxy.h2().await;
    let begun = Instant::now();
    proxy.terminate();
    assert_eq!(wire.rest().await, b"");
    assert_eq!(proxy.exit().await.code(), Some(0));
    assert!(begun.elapsed() < SOON, "took {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_client_that_does_not_read_is_waited_for_no_longer_than_the_window() {
    let origin = Origin::start();
    let config = format!("{}\n[shutdown]\ndrain = \"500ms\"", Proxy::config(&origin, ""));
    let mut proxy = Proxy::start(&config).await;
    let mut wire = Wire::connect_narrow(proxy.plain()).await;
    wire.write("GET /feed HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let mut exchange = origin.opened("/feed").await;
    wire.read_until("\r\n\r\n").await;
    // More than every buffer on the way holds.
    let event = format!("data: {}\n\n", "x".repeat(1 << 20));
    let flood =
        tokio::spawn(async move { while exchange.try_raw(event.as_bytes()).await.is_ok() {} });
    proxy.terminate();
    let begun = Instant::now();
    assert_eq!(proxy.exit().await.code(), Some(0));
    assert!(begun.elapsed() < SOON, "took {:?}", begun.elapsed());
    flood.abort();
}

#[tokio::test]
async fn without_anything_to_end_the_process_goes_at_once() {
    let origin = Origin::start();
    let mut proxy = Proxy::before(&origin, "stream = \"shared\"").await;
    let (stream, _exchange) = proxy.h1().open_from(&origin, "/feed").await;
    drop(stream);
    let begun = Instant::now();
    proxy.terminate();
    assert_eq!(proxy.exit().await.code(), Some(0));
    assert!(begun.elapsed() < SOON, "took {:?}", begun.elapsed());
}
