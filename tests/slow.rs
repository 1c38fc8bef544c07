//! Readers who do not keep up.

use std::sync::Arc;
use std::time::Duration;

use sse_layer::Decoder;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::support::{Exchange, Origin, Proxy, Stream, Wire};

/// More than the system keeps for a client that does not read.
const MUCH: usize = 24 << 20;

const EVENT: usize = 8 << 10;

/// So many events are on their way at once: far from the bounds of lag.
const BATCH: usize = 16;

/// Sends numbered events, no faster than `reader` gets them, and returns how many.
async fn pour(exchange: &mut Exchange, reader: &mut Stream, bytes: usize) -> usize {
    let filler = "x".repeat(EVENT);
    let batches = bytes / EVENT / BATCH;
    for batch in 0..batches {
        let ids: Vec<usize> = (batch * BATCH..(batch + 1) * BATCH).collect();
        for id in &ids {
            exchange.send(format!("id: {id}\ndata: {filler}\n\n")).await;
        }
        for id in &ids {
            assert_eq!(reader.event().await.last_event_id, id.to_string());
        }
    }
    batches * BATCH
}

/// The events that a connection got before it was ended.
pub(crate) fn ids(body: &[u8]) -> Vec<String> {
    let mut decoder = Decoder::new();
    decoder.push(dechunked(body));
    let mut ids = Vec::new();
    while let Some(event) = decoder.next_event().expect("small events") {
        ids.push(event.last_event_id.to_owned());
    }
    ids
}

/// The content of all whole chunks.
pub(crate) fn dechunked(mut body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(line) = body.windows(2).position(|part| part == b"\r\n") {
        let (size, rest) = body.split_at(line);
        let size = usize::from_str_radix(&String::from_utf8_lossy(size), 16).expect("a size");
        let Some(chunk) = rest.get(2..2 + size) else { break };
        out.extend_from_slice(chunk);
        body = rest.get(2 + size + 2..).unwrap_or_default();
    }
    out
}

pub(crate) async fn stalled(proxy: &Proxy) -> Wire {
    let mut wire = Wire::connect_narrow(proxy.plain()).await;
    wire.write("GET /feed HTTP/1.1\r\nHost: proxy.example\r\nAccept: text/event-stream\r\n\r\n")
        .await;
    wire.read_until("\r\n\r\n").await;
    wire
}

#[tokio::test]
async fn a_reader_that_stops_reading_is_ended_and_comes_back_without_loss() {
    let origin = Origin::start();
    let keys = "stream = \"shared\"\nhistory = { events = 10000, bytes = \"64MiB\" }";
    let proxy = Proxy::before(&origin, keys).await;
    let (mut fast, mut exchange) = proxy.h1().open_from(&origin, "/feed").await;
    let mut slow = stalled(&proxy).await;
    let sent = pour(&mut exchange, &mut fast, MUCH).await;

    let got = ids(&slow.rest().await);
    assert!(got.len() < sent, "it was ended before it had everything");
    let last = got.last().expect("something fits into every buffer");
    let mut back = proxy.h1().resume("/feed", last).await;
    for id in got.len()..sent {
        assert_eq!(back.event().await.last_event_id, id.to_string());
    }
}

#[tokio::test]
async fn a_reader_that_stops_reading_costs_no_memory() {
    let origin = Origin::start();
    let keys = "stream = \"shared\"\nhistory = { bytes = \"1MiB\" }\nlag = { bytes = \"1MiB\" }";
    let proxy = Proxy::before(&origin, keys).await;
    let (mut fast, mut exchange) = proxy.h1().open_from(&origin, "/feed").await;
    let mut slow = Vec::new();
    for _ in 0..20 {
        slow.push(stalled(&proxy).await);
    }
    let before = proxy.peak_memory();
    pour(&mut exchange, &mut fast, MUCH).await;
    let grown = proxy.peak_memory() - before;
    assert!(grown < 16 << 20, "grown by {} KiB for {MUCH} bytes", grown >> 10);
}

#[tokio::test]
async fn one_slow_stream_of_an_h2_connection_does_not_stop_the_others() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "stream = \"shared\"").await;
    let client = proxy.h2().await;
    let (mut fast, mut exchange) = client.open_from(&origin, "/feed").await;
    // Its window fills, and it is read no more.
    let mut slow = client.open("/feed").await;
    let sent = pour(&mut exchange, &mut fast, MUCH).await;
    let (got, _) = slow.rest().await;
    assert!(got.len() < sent, "it was ended before it had everything");
}

#[tokio::test]
async fn an_origin_waits_for_the_only_reader_of_its_private_stream() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "keep_alive = \"100ms\"").await;
    for accept in ["*/*", "text/event-stream"] {
        waits_for_its_reader(&origin, &proxy, accept).await;
    }
}

async fn waits_for_its_reader(origin: &Origin, proxy: &Proxy, accept: &str) {
    let mut wire = Wire::connect_narrow(proxy.plain()).await;
    wire.write(format!("GET /feed HTTP/1.1\r\nHost: h\r\nAccept: {accept}\r\n\r\n")).await;
    let mut exchange = origin.request("/feed").await;
    exchange.open().await;
    wire.read_until("\r\n\r\n").await;
    let before = proxy.peak_memory();
    let filler = "x".repeat(EVENT);
    let took = Arc::new(Notify::new());
    let sending = tokio::spawn({
        let took = Arc::clone(&took);
        async move {
            for id in 0..MUCH / EVENT {
                exchange.send(format!("id: {id}\ndata: {filler}\n\n")).await;
            }
            took.notify_one();
            exchange.end().await;
        }
    });
    let is_stuck = timeout(Duration::from_secs(2), took.notified()).await;
    assert!(is_stuck.is_err(), "the origin could send {MUCH} bytes that nobody has read");
    let grown = proxy.peak_memory() - before;
    assert!(grown < 8 << 20, "grown by {} KiB", grown >> 10);
    let got = ids(&wire.rest().await);
    assert_eq!(got.len(), MUCH / EVENT, "nothing was lost by waiting");
    sending.await.expect("sent");
}
