//! Origins that flood, stall, lie or make no sense: each is survived, told once, and costs little.

use std::io::Write;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::support::{Client, Ending, Exchange, Origin, Proxy, Stream, eventually, fields};

/// More than any of these should take, and far less than what the origins send.
const BOUND: u64 = 24 << 20;

const KEYS: &str = "on_origin_error = \"hold\"\n\
                    timeouts = { first_byte = \"1s\", idle = \"1s\" }\n\
                    history = { bytes = \"1MiB\" }\n[limits]\nevent_bytes = \"256KiB\"";

/// Runs `attack` on a held client's first connection to its origin, on every kind of stream, and
/// expects that the next one is read as if nothing had been, that `told` is logged once, and that
/// memory is bounded.
async fn survived<F>(told: &'static str, attack: impl Fn(Exchange) -> F + Send + Sync + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let attack = Arc::new(attack);
    let mut running = JoinSet::new();
    for stream in ["private", "shared"] {
        for http2 in [false, true] {
            let attack = Arc::clone(&attack);
            running.spawn(async move {
                let origin = Origin::start();
                let keys = format!("stream = \"{stream}\"\n{KEYS}");
                let proxy = Proxy::start(&Proxy::config(&origin, &keys)).await;
                let client = if http2 { proxy.h2().await } else { proxy.h1() };
                let before = proxy.peak_memory();
                let (mut reader, ()) = tokio::join!(client.open("/feed"), async {
                    attack(origin.request("/feed").await).await;
                });
                let mut good = origin.opened("/feed").await;
                good.send("data: fine\n\n").await;
                assert_eq!(last(&mut reader, "fine").await, "fine", "{stream}");
                proxy.logged(told).await;
                let log = proxy.log();
                assert_eq!(log.matches(told).count(), 1, "{log}");
                let grown = proxy.peak_memory().saturating_sub(before);
                assert!(grown < BOUND, "{stream}: grown by {} KiB", grown >> 10);
            });
        }
    }
    running.join_all().await;
}

/// Reads up to an event with this data.
async fn last(reader: &mut Stream, wanted: &str) -> String {
    loop {
        let data = reader.data().await;
        if data == wanted {
            return data;
        }
    }
}

/// Sends `piece` until nobody takes it any more.
async fn for_ever(mut exchange: Exchange, piece: Vec<u8>) {
    let mut sent = 0;
    while exchange.try_raw(&piece).await.is_ok() {
        sent += piece.len();
        assert!(sent < 256 << 20, "{} MiB were taken", sent >> 20);
    }
}

const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";

#[tokio::test]
async fn a_line_without_end() {
    survived("longer than the limit of 262144 bytes", |mut exchange| async move {
        exchange.raw(format!("{STREAM}\r\ndata: ")).await;
        for_ever(exchange, vec![b'x'; 64 << 10]).await;
    })
    .await;
}

#[tokio::test]
async fn a_block_without_end() {
    survived("longer than the limit of 262144 bytes", |mut exchange| async move {
        exchange.raw(format!("{STREAM}\r\n")).await;
        for_ever(exchange, "data: x\n".repeat(8 << 10).into_bytes()).await;
    })
    .await;
}

#[tokio::test]
async fn a_block_without_end_in_a_few_bytes() {
    let coded = swelling(b"data: x\n");
    survived("longer than the limit of 262144 bytes", move |exchange| send(exchange, &coded)).await;
}

#[tokio::test]
async fn blank_lines_without_end_in_a_few_bytes() {
    let coded = swelling(b"\n");
    survived("blank lines longer than twice the limit", move |exchange| send(exchange, &coded))
        .await;
}

/// Far more of a line than a program may take, in brotli.
fn swelling(line: &[u8]) -> Vec<u8> {
    let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 22);
    let lines = line.repeat((64 << 20) / line.len());
    encoder.write_all(&lines).and_then(|()| encoder.flush()).expect("a vector");
    encoder.into_inner()
}

fn send(mut exchange: Exchange, coded: &[u8]) -> impl Future<Output = ()> + use<> {
    let stream = [STREAM, "Content-Encoding: br\r\n\r\n"].concat().into_bytes();
    let stream = [&stream, coded].concat();
    async move {
        exchange.raw(stream).await;
        exchange.gone().await;
    }
}

#[tokio::test]
async fn a_head_without_end() {
    survived("origin gone", |mut exchange| async move {
        exchange.raw("HTTP/1.1 200 OK\r\n").await;
        let line = format!("X-Filler: {}\r\n", "x".repeat(1000));
        for_ever(exchange, line.repeat(64).into_bytes()).await;
    })
    .await;
}

#[tokio::test]
async fn more_fields_than_anybody_needs() {
    survived("origin gone", |mut exchange| async move {
        exchange.raw(format!("{STREAM}{}\r\n", "X: y\r\n".repeat(2000))).await;
        exchange.gone().await;
    })
    .await;
}

#[tokio::test]
async fn interim_answers_without_end() {
    survived("more than 100 informational answers", |exchange| async move {
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
        for_ever(exchange, hints.repeat(1000).into_bytes()).await;
    })
    .await;
}

#[tokio::test]
async fn what_is_no_http() {
    survived("origin gone", |mut exchange| async move {
        exchange.raw("SSH-2.0-OpenSSH_9.2\r\n\r\ndata: forged\n\n").await;
        exchange.gone().await;
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_does_not_come() {
    survived("no answer in time", |mut exchange| async move { exchange.gone().await }).await;
}

#[tokio::test]
async fn a_stream_that_falls_silent() {
    survived("no answer in time", |mut exchange| async move {
        exchange.open().await;
        exchange.send("data: a\n\ndata: ha").await;
        exchange.gone().await;
    })
    .await;
}

#[tokio::test]
async fn a_length_that_is_too_great() {
    survived("origin gone", |mut exchange| async move {
        exchange.raw(format!("{STREAM}Content-Length: 1000\r\n\r\ndata: a\n\n")).await;
    })
    .await;
}

// What comes after the body is no answer to the next request.
#[tokio::test]
async fn a_length_that_is_too_small() {
    survived("origin gone", |mut exchange| async move {
        let forged = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        exchange.raw(format!("{STREAM}Content-Length: 9\r\n\r\ndata: a\n\n{forged}")).await;
        exchange.gone().await;
    })
    .await;
}

#[tokio::test]
async fn a_chunk_that_is_none() {
    survived("origin gone", |mut exchange| async move {
        exchange.raw(format!("{STREAM}Transfer-Encoding: chunked\r\n\r\nzzz\r\ndata: a\n\n")).await;
        exchange.gone().await;
    })
    .await;
}

/// Events of a kilobyte, as one chunk.
fn flood() -> Vec<u8> {
    let events = format!("data: {}\n\n", "x".repeat(1 << 10)).repeat(64);
    format!("{:x}\r\n{events}\r\n", events.len()).into_bytes()
}

// A shared feed waits for none of its readers, so whoever does not read must not be kept waiting
// for with all that has come.
#[tokio::test]
async fn a_flood_costs_no_more_than_the_history() {
    const FLOOD: usize = 64 << 20;
    let origin = Origin::start();
    let keys = format!("stream = \"shared\"\n{KEYS}");
    let proxy = Proxy::start(&Proxy::config(&origin, &keys)).await;
    let clients: Vec<Client> = proxy.clients().await.into();
    let mut idle = Vec::new();
    let (first, mut exchange) = clients[0].open_from(&origin, "/feed").await;
    idle.push(first);
    for n in 0..8 {
        idle.push(clients[n % 2].open("/feed").await);
    }
    let before = proxy.peak_memory();
    let piece = flood();
    for _ in 0..FLOOD / piece.len() {
        exchange.try_raw(&piece).await.expect("a feed is always read");
    }
    exchange.send("id: last\ndata: last\n\n").await;
    let mut late = proxy.h1().resume("/feed", "last").await;
    exchange.send("data: more\n\n").await;
    assert_eq!(last(&mut late, "more").await, "more");
    let grown = proxy.peak_memory() - before;
    assert!(grown < BOUND, "grown by {} KiB", grown >> 10);
}

#[tokio::test]
async fn a_route_has_no_more_connections_than_it_may() {
    let origin = Origin::start();
    let keys = "max_connections = 2\ntimeouts = { first_byte = \"20s\" }";
    let proxy = Proxy::before(&origin, keys).await;
    let client = proxy.h1();
    let (first, exchange) = client.open_from(&origin, "/feed").await;
    let (_second, _other) = client.open_from(&origin, "/feed").await;
    assert!(client.try_events("/feed", fields(&[])).await.is_err(), "cut off, to come back");
    assert_eq!(client.get("/page").await.status, 502);
    proxy.logged("max_connections").await;
    assert_eq!(origin.accepted(), 2);
    drop((first, exchange));
    eventually("room for another", async || {
        let (opened, accepted) = (client.try_events("/feed", fields(&[])), origin.accepted());
        let opened = async {
            tokio::select! {
                opened = opened => opened.is_ok(),
                mut exchange = origin.request("/feed") => {
                    exchange.open().await;
                    true
                }
            }
        };
        opened.await && origin.accepted() > accepted
    })
    .await;
}

#[tokio::test]
async fn a_route_has_no_more_feeds_than_it_may() {
    let origin = Origin::start();
    for (hold, is_answered) in [("pass", true), ("hold", false)] {
        let keys = format!("stream = \"shared\"\nmax_feeds = 1\non_origin_error = \"{hold}\"");
        let proxy = Proxy::before(&origin, &keys).await;
        let (mut first, mut exchange) = proxy.h1().open_from(&origin, "/one").await;
        let answer = proxy.h1().try_events("/two", fields(&[])).await;
        assert_eq!(answer.map(|answer| answer.status.as_u16()).ok(), is_answered.then_some(503));
        exchange.send("data: a\n\n").await;
        assert_eq!(first.data().await, "a");
        exchange.end().await;
    }
}

#[tokio::test]
async fn without_hold_the_client_sees_a_stream_that_breaks_off() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "timeouts = { idle = \"300ms\" }").await;
    for client in proxy.clients().await {
        let (mut stream, mut exchange) = client.open_from(&origin, "/feed").await;
        exchange.send("data: a\n\ndata: ha").await;
        exchange.gone().await;
        let (events, ending) = stream.rest().await;
        assert_eq!((events.len(), ending), (1, Ending::BrokenOff));
    }
}
