//! Attacks, one per test: what is tried, why it would matter, and what must come of it.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::{Method, Request};
use serde_json::json;

use crate::smuggling::agreeable;
use crate::support::{
    Ending, HOST_NAME, Mux, Origin, Proxy, Stream, Tls, Wire, fields, mux_target, request, within,
};

const SHARED: &str = "stream = \"shared\"";

// A feed's name is written into the stream: a line break in it would write whole events.
#[tokio::test]
async fn a_line_break_in_a_feeds_name_writes_no_line() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    let names = [
        "/a\r\n\r\ndata: forged\n\n",
        "/a\ndata: forged",
        "/a\revent: forged",
        "/a\0",
        "/\u{e9}",
        "/a\u{2028}data: forged",
    ];
    for client in proxy.clients().await {
        let (mut mux, _) = Mux::open(&client, &names).await;
        for name in names {
            let expected = json!({"feed": name, "state": "closed", "status": 400});
            assert_eq!(mux.control("mux/feed").await, expected);
        }
        assert!(!mux.stream.text().contains("\ndata: forged"), "{}", mux.stream.text());
        assert!(!mux.stream.text().contains('\r'));
    }
    assert_eq!(origin.accepted(), 0);
}

// The same with the id that a client claims to have had, which `mux/gap` repeats.
#[tokio::test]
async fn a_line_break_in_a_last_event_id_writes_no_line() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    let id = "x%0D%0A%0D%0Adata:%20forged%0A%0A";
    let target = format!("{}&lastEventId={id}", mux_target(&["/a"]));
    let mut stream = proxy.h1().open(&target).await;
    stream.text_until("event: mux/gap\n").await;
    stream.text_until("\n\n").await;
    assert!(!stream.text().contains("\ndata: forged"), "{}", stream.text());
    let asked = origin.opened("/a").await;
    assert!(!asked.head.bytes.escape_ascii().to_string().contains("forged"));
}

// An event's type and id come from the origin, and become part of a line of ours.
#[tokio::test]
async fn an_origin_cannot_forge_events_of_another_feed() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    let (mut mux, _) = Mux::open(&proxy.h1(), &["/a", "/b"]).await;
    let mut a = origin.opened("/a").await;
    a.send("event: x\rdata: 1\r\rid: 7\nevent: mux/bye\ndata: 2\n\ndata: 3\n\n").await;
    for (event_type, data) in [("/a#x", "1"), ("/a#mux/bye", "2"), ("/a", "3")] {
        let event = mux.event().await;
        assert_eq!((event.event_type.as_str(), event.data.as_str()), (event_type, data));
    }
}

// Each feed named is an origin connection: one small request must not open ten thousand.
#[tokio::test]
async fn ten_thousand_feeds_are_not_opened_for_one_request() {
    let origin = Origin::start();
    let config = format!("{}\n[limits]\nheader_bytes = \"1MiB\"", Proxy::config(&origin, SHARED));
    let proxies = [Proxy::before(&origin, SHARED).await, Proxy::start(&config).await];
    for count in [257, 5_000, 10_000] {
        let names: Vec<String> = (0..count).map(|n| format!("feed=/{n}")).collect();
        let target = format!("/.sse/mux?{}", names.join("&"));
        for proxy in &proxies {
            let head = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
            let mut wire = Wire::send(proxy.plain(), head).await;
            let answer = wire.text_until("\r\n").await;
            let refused = ["HTTP/1.1 400 ", "HTTP/1.1 414 ", "HTTP/1.1 431 "];
            assert!(refused.iter().any(|status| answer.starts_with(status)), "{count}: {answer}");
        }
    }
    assert_eq!(origin.accepted(), 0);
}

// A head without end: whoever keeps it all runs out of memory.
#[tokio::test]
async fn an_endless_head_is_cut_off() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    let before = proxy.peak_memory();
    let mut wire = Wire::send(proxy.plain(), "GET /a HTTP/1.1\r\nHost: h\r\n").await;
    let line = format!("X-Filler: {}\r\n", "x".repeat(1000)).repeat(64);
    let mut sent = 0;
    while wire.try_write(line.as_bytes()).await.is_ok() {
        sent += line.len();
        assert!(sent < 64 << 20, "{sent} bytes of a head were taken");
    }
    let grown = proxy.peak_memory() - before;
    assert!(grown < 16 << 20, "grown by {} KiB", grown >> 10);
    assert_eq!(origin.accepted(), 0);
}

// The same from an origin.
#[tokio::test]
async fn an_origins_endless_head_is_cut_off() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    let before = proxy.peak_memory();
    let line = format!("X-Filler: {}\r\n", "x".repeat(1000)).repeat(64);
    let client = proxy.h1();
    let (response, ()) = tokio::join!(client.get("/a"), async {
        let mut exchange = origin.request("/a").await;
        exchange.raw("HTTP/1.1 200 OK\r\n").await;
        let mut sent = 0;
        while exchange.try_raw(line.as_bytes()).await.is_ok() {
            sent += line.len();
            assert!(sent < 64 << 20, "{sent} bytes of a head were taken");
        }
    });
    assert_eq!(response.status, 502);
    let grown = proxy.peak_memory() - before;
    assert!(grown < 16 << 20, "grown by {} KiB", grown >> 10);
}

// An event without end: it is kept until its blank line comes, so there must be a bound, and it
// must be one feed's trouble only.
#[tokio::test]
async fn an_event_larger_than_the_limit_ends_its_own_stream_and_no_other() {
    let origin = Origin::start();
    for stream in ["private", "shared"] {
        let keys = format!("stream = \"{stream}\"\n[limits]\nevent_bytes = \"64KiB\"");
        let proxy = Proxy::start(&Proxy::config(&origin, &keys)).await;
        for client in proxy.clients().await {
            let names = ["large", "small"].map(|name| format!("/{}/{name}", client.protocol()));
            let (mut small, mut to_small) = client.open_from(&origin, &names[1]).await;
            let (mut large, mut to_large) = client.open_from(&origin, &names[0]).await;
            to_large.send(format!("data: before\n\ndata: {}", "x".repeat(100 << 10))).await;
            to_large.gone().await;
            proxy.logged("longer than the limit of 65536 bytes").await;
            assert_eq!(large.data().await, "before");
            if stream == "private" {
                assert_eq!(large.rest().await, (vec![], Ending::BrokenOff));
            }
            to_small.send("data: fine\n\n").await;
            assert_eq!(small.data().await, "fine");
        }
    }
}

/// A megabyte of `piece` over and over again, so many times, as gzip: each a member of its own.
fn bomb(piece: &str, megabytes: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(piece.repeat((1 << 20) / piece.len()).as_bytes()).expect("memory");
    encoder.finish().expect("memory").repeat(megabytes)
}

/// Far less than the bombs, and more than is needed for the largest event that is allowed.
const BOUND: u64 = 24 << 20;

const SMALL_EVENTS: &str = "[limits]\nevent_bytes = \"1MiB\"";

// A few kilobytes that decode to a hundred megabytes, as one event without end.
#[tokio::test]
async fn a_compressed_event_without_end_does_not_fill_the_memory() {
    let origin = Origin::start();
    for stream in ["private", "shared"] {
        let keys = format!("stream = \"{stream}\"\n{SMALL_EVENTS}");
        let proxy = Proxy::start(&Proxy::config(&origin, &keys)).await;
        let before = proxy.peak_memory();
        let asked = tokio::spawn({
            let client = proxy.h1();
            async move { client.open("/feed").await.try_event().await.is_err() }
        });
        let mut exchange = origin.request("/feed").await;
        exchange.open_with("Content-Encoding: gzip\r\n").await;
        exchange.send(bomb("data: more and more ", 100)).await;
        exchange.gone().await;
        proxy.logged("longer than the limit of 1048576 bytes").await;
        let grown = proxy.peak_memory() - before;
        assert!(grown < BOUND, "{stream}: grown by {} KiB", grown >> 10);
        asked.abort();
    }
}

// The same as very many events, for a client that reads few of them.
#[tokio::test]
async fn compressed_events_without_end_do_not_fill_the_memory() {
    let origin = Origin::start();
    for stream in ["private", "shared"] {
        let keys = format!("stream = \"{stream}\"\n{SMALL_EVENTS}");
        let proxy = Proxy::start(&Proxy::config(&origin, &keys)).await;
        let before = proxy.peak_memory();
        let mut wire = Wire::connect_narrow(proxy.plain()).await;
        wire.write(format!("GET /feed HTTP/1.1\r\nHost: {HOST_NAME}\r\n\r\n")).await;
        let mut exchange = origin.request("/feed").await;
        exchange.open_with("Content-Encoding: gzip\r\n").await;
        let event = format!("data: {}\n\n", "x".repeat(1000));
        exchange.send(bomb(&event, 100)).await;
        exchange.end().await;
        if stream == "shared" {
            // The origin is read to its end, and who does not keep up is given up.
            proxy.logged("the origin ended the stream").await;
            wire.rest().await;
        } else {
            // The origin waits for its only reader.
            for _ in 0..4000 {
                wire.read_until("\n\n").await;
            }
        }
        let grown = proxy.peak_memory() - before;
        assert!(grown < BOUND, "{stream}: grown by {} KiB", grown >> 10);
    }
}

// A client whose window is closed from the start: it can be sent nothing, ever.
#[tokio::test]
async fn a_client_that_never_reads_is_given_up() {
    let origin = Origin::start();
    // What comes before it is waited for is not behind: nothing may follow that it could lag.
    let keys = format!("{SHARED}\nlag = {{ events = 10 }}\nkeep_alive = \"500ms\"");
    let proxy = Proxy::before(&origin, &keys).await;
    let io = Tls::speaking("h2").connect(proxy.tls()).await;
    let mut client = h2::client::Builder::new();
    let shaken = client.initial_window_size(0).handshake::<_, bytes::Bytes>(io).await;
    let (mut send, connection) = shaken.expect("HTTP/2");
    tokio::spawn(async { drop(connection.await) });
    let ask = Request::get(format!("https://{HOST_NAME}/feed")).body(()).expect("a request");
    let (answer, _) = send.send_request(ask, true).expect("a stream");
    let mut exchange = origin.opened("/feed").await;
    let answer = within("the head", answer).await.expect("an answer");
    exchange.send("data: x\n\n".repeat(100)).await;
    let ended = within("the stream ends", answer.into_body().data()).await;
    assert!(matches!(ended, Some(Err(_))), "{ended:?}");
}

// More connections than the process can hold: those that are served stay served, others wait.
#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let origin = Origin::start();
    let config = format!("{}\n[limits]\nconnections = 2", Proxy::config(&origin, ""));
    let proxy = Proxy::start(&config).await;
    let client = proxy.h1();
    let (first, _exchange) = client.open_from(&origin, "/first").await;
    let (mut second, mut to_second) = client.open_from(&origin, "/second").await;
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.open("/third").await }
    });
    to_second.send("data: served\n\n").await;
    assert_eq!(second.data().await, "served");
    assert_eq!(origin.heads().len(), 2);
    drop(first);
    let mut third = origin.opened("/third").await;
    third.send("data: at last\n\n").await;
    let mut stream: Stream = within("its turn", waiting).await.expect("served");
    assert_eq!(stream.data().await, "at last");
}

// An id that no header can carry must not keep a feed from being reconnected.
#[tokio::test]
async fn an_id_that_no_header_can_carry_is_not_sent() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    let (mut stream, mut exchange) = proxy.h1().open_from(&origin, "/feed").await;
    exchange.send("retry: 100\nid: a\u{1}b\ndata: 1\n\n").await;
    assert_eq!(stream.data().await, "1");
    exchange.kill();
    let mut exchange = origin.opened("/feed").await;
    assert_eq!(exchange.head.text("last-event-id"), None);
    exchange.send("id: 2\ndata: 2\n\n").await;
    assert_eq!(stream.data().await, "2");
}

// Uploads to the endpoints of the proxy itself are no way around their limits.
#[tokio::test]
async fn other_methods_do_not_reach_the_multiplexer() {
    let origin = agreeable();
    let config = Proxy::config(&origin, SHARED).replace("path = \"/*\"", "path = \"/feeds/*\"");
    let proxy = Proxy::start(&config).await;
    for client in proxy.clients().await {
        for method in [Method::PUT, Method::DELETE] {
            let mut ask = request(method, "/.sse/mux?feed=/feeds/a");
            *ask.headers_mut() = fields(&[("accept", "text/event-stream")]);
            assert_eq!(client.send(ask).await.status, 405);
        }
    }
    assert_eq!(origin.accepted(), 0);
}
