//! How many bytes compression saves, and what it costs, event by event as [`SseLayer`] does it.
//!
//!     cargo bench -p sse-layer --features compress --bench compression
//!
//! Each event is flushed, so that a client can read it at once. What was sent is decoded again
//! and must be what the handler sent, or the run fails.

#![expect(clippy::indexing_slicing, reason = "a panic fails the run")]

use std::convert::Infallible;
use std::io::Read;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::stream;
use http::{Request, header};
use http_body::{Body, Frame};
use http_body_util::StreamBody;
use sse_layer::compress::Compression;
use sse_layer::{Event, KeepAlive, SseLayer};
use tokio::time::Instant;
use tower::{Layer, Service, service_fn};

/// Events of one stream.
const EVENTS: u64 = 1000;

const CODINGS: [&str; 3] = ["gzip", "br", "zstd"];

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    let _context = runtime.enter();
    println!("| stream | coding | bytes before | bytes sent | saved | per event |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for (name, events) in [("prices", prices()), ("chat", chat()), ("tokens", tokens())] {
        let plain: usize = events.iter().map(Bytes::len).sum();
        for coding in CODINGS {
            let begin = Instant::now();
            let coded = sent(&events, coding);
            let each = begin.elapsed().as_secs_f64() * 1e6 / EVENTS as f64;
            let decoded = decoded(&coded, coding);
            assert!(decoded.ends_with(&events.concat()), "{name} in {coding}");
            let saved = 100.0 * (1.0 - coded.len() as f64 / plain as f64);
            let sent = coded.len();
            println!("| {name} | {coding} | {plain} | {sent} | {saved:.0} % | {each:.1} µs |");
        }
    }
}

/// JSON of one kind, with numbers that change.
fn prices() -> Vec<Bytes> {
    let symbols = ["AAPL", "MSFT", "NVDA", "AMZN", "GOOG"];
    let price = |n: u64| {
        let symbol = symbols[(n * 7 % 5) as usize];
        let (price, volume) = (10_000 + n * 7919 % 5000, n * 104_729 % 100_000);
        format!(
            "{{\"symbol\":\"{symbol}\",\"price\":{price},\"volume\":{volume},\"currency\":\"USD\"}}"
        )
    };
    (0..EVENTS).map(|n| Event::new().id(n.into()).data(price(n)).to_bytes()).collect()
}

/// Text of people, in which little comes again.
fn chat() -> Vec<Bytes> {
    let words = [
        "hello", "who", "has", "seen", "the", "new", "build", "it", "fails", "on", "my", "machine",
        "again", "lunch", "at", "noon", "thanks", "works", "now", "maybe", "tomorrow",
    ];
    let text = |n: u64| {
        let word = |k: u64| words[((n * 31 + k * k * 17 + n * k) % 21) as usize];
        (0..4 + n % 9).map(word).collect::<Vec<_>>().join(" ")
    };
    let message = |n: u64| format!("{{\"from\":\"user{}\",\"text\":\"{}\"}}", n * 13 % 40, text(n));
    (0..EVENTS).map(|n| Event::new().id(n.into()).data(message(n)).to_bytes()).collect()
}

/// A language model's answer, a few letters in much JSON.
fn tokens() -> Vec<Bytes> {
    let words = [" the", " of", " a", " stream", " is", " event", " that", ",", ".", " and"];
    let token = |n: u64| {
        let word = words[(n * 37 % 10) as usize];
        format!(
            "{{\"id\":\"chatcmpl-9xK2\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\
            \"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{word}\"}},\"finish_reason\":null}}]}}"
        )
    };
    (0..EVENTS).map(|n| Event::new().data(token(n)).to_bytes()).collect()
}

/// What the layer sends to a client that accepts `coding`.
fn sent(events: &[Bytes], coding: &str) -> Vec<u8> {
    let layer = SseLayer::new().keep_alive(KeepAlive::off()).compress(Compression::new());
    let events = events.to_vec();
    let mut service = layer.layer(service_fn(move |_: Request<()>| {
        let frames =
            events.clone().into_iter().map(|event| Ok::<_, Infallible>(Frame::data(event)));
        let mut response = http::Response::new(StreamBody::new(stream::iter(frames)));
        let event_stream = header::HeaderValue::from_static("text/event-stream");
        response.headers_mut().insert(header::CONTENT_TYPE, event_stream);
        std::future::ready(Ok::<_, Infallible>(response))
    }));
    let request = Request::get("/").header(header::ACCEPT_ENCODING, coding).body(());
    let mut cx = Context::from_waker(Waker::noop());
    let answer = pin!(service.call(request.expect("a request"))).poll(&mut cx);
    let Poll::Ready(Ok(response)) = answer else { panic!("the service answers at once") };
    assert_eq!(response.headers()[header::CONTENT_ENCODING], coding);
    let mut body = pin!(response.into_body());
    let mut sent = Vec::new();
    while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(&mut cx) {
        let frame = frame.unwrap_or_else(|error| match error {});
        sent.extend_from_slice(frame.data_ref().expect("no trailers"));
    }
    sent
}

fn decoded(coded: &[u8], coding: &str) -> Vec<u8> {
    let mut out = Vec::new();
    match coding {
        "gzip" => flate2::read::GzDecoder::new(coded).read_to_end(&mut out),
        "br" => brotli::Decompressor::new(coded, 4096).read_to_end(&mut out),
        _ => zstd::stream::read::Decoder::new(coded).expect("memory").read_to_end(&mut out),
    }
    .expect("a whole stream in the coding");
    out
}
