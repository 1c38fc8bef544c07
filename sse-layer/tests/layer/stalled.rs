//! A client that stops reading on a real connection: it costs its own stream, and nothing else.

use std::convert::Infallible;
use std::future::ready;

use allocation_counter::measure;
use http::Request;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use sse_layer::feed::{FeedOptions, HistoryLimits, Log};
use sse_layer::{Event, SseLayer};
use tokio::time::timeout;
use tower::{Layer, service_fn};

use crate::client::{DEADLINE, Protocol, read_to};
use crate::tcp::{Server, boxed};

const EVENTS: u64 = 100_000;

/// How many events are published before the other reader must have got them.
const BATCH: u64 = 200;

fn frames(ids: impl IntoIterator<Item = u64>) -> String {
    ids.into_iter().map(|id| format!("id: {id}\ndata: {id:0100}\n\n")).collect()
}

/// Asserts that 100,000 events pass one client by, which does not read, batch by batch: another
/// gets each batch before the next is published. And that few are kept for it: the server, its
/// clients and the feed run on this thread, and so all that they allocate is counted.
fn assert_passes_by(protocol: Protocol) {
    let history = HistoryLimits::default().events(1000);
    let feed = Log::new().feed(FeedOptions::default().history(history));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();

    let opening = async {
        let published = feed.clone();
        let handler = service_fn(move |_: Request<Incoming>| {
            ready(Ok::<_, Infallible>(published.stream(None).into_response()))
        });
        let server = Server::start(boxed(SseLayer::new().no_retry().layer(handler)));
        let mut clients = (server.client(protocol).await, server.client(protocol).await);
        let mut stalled = clients.0.get(&[]).await.into_body();
        read_to(&mut stalled, ":\n\n").await;
        let mut quick = clients.1.get(&[]).await.into_body();
        read_to(&mut quick, ":\n\n").await;
        (server, clients, stalled, quick)
    };
    let (_server, _clients, stalled, mut quick) = runtime.block_on(opening);

    let passing = async {
        for first in (1..=EVENTS).step_by(usize::try_from(BATCH).unwrap()) {
            let batch = first..first + BATCH;
            for id in batch.clone() {
                feed.publish(Event::new().id(id.into()).data(format!("{id:0100}")));
            }
            let last = frames([first + BATCH - 1]);
            assert_eq!(read_to(&mut quick, &last).await, frames(batch), "each, in order");
        }
    };
    let peak = measure(|| runtime.block_on(passing)).bytes_max;
    let passed = EVENTS * 100;
    assert!(peak < passed / 2, "{peak} bytes at a time for {passed} that passed");

    let rest = runtime.block_on(async { timeout(DEADLINE, stalled.collect()).await });
    let rest = rest.expect("an end").expect("a good one").to_bytes();
    let rest = std::str::from_utf8(&rest).unwrap();
    let got = u64::try_from(rest.matches("id: ").count()).unwrap();
    assert!(got < EVENTS / 4, "it did not stall, and got {got}");
    assert_eq!(rest, frames(1..=got), "what it got is whole");
}

#[test]
fn a_client_that_stops_reading_delays_no_other_and_takes_no_memory_over_http_1() {
    assert_passes_by(Protocol::H1);
}

#[test]
fn a_client_that_stops_reading_delays_no_other_and_takes_no_memory_over_http_2() {
    assert_passes_by(Protocol::H2);
}
