//! Origins that fail in every way at any moment, and clients that come and go: nobody loses an
//! event, has it twice, or in another order.
//!
//! `SOAK_SEEDS=0..500 cargo test -p sse-proxy --test e2e soak` looks longer for what fails. What a
//! seed does does not depend on the machine, but when it does it may.

use std::env;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use http::StatusCode;
use sse_layer::MessageEvent;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::support::{Client, Exchange, LISTENERS, Mux, Origin, Proxy, Stream, fields};

/// A client has read enough when it has read up to this event.
const EVENTS: usize = 300;

/// How many may come at once.
const BATCH: usize = 12;

/// The time between two batches, so that clients come and go in the middle of it.
const PACE: Duration = Duration::from_millis(2);

/// How long a client waits for an event of an origin that may be away, before it asks anew.
const PATIENCE: Duration = Duration::from_secs(5);

const ROUTES: &str = r#"
    [[route]]
    path = "/shared/*"
    upstream = "UPSTREAM"
    stream = "shared"
    mux = true
    [[route]]
    path = "/held/*"
    upstream = "UPSTREAM"
    stream = "shared"
    on_origin_error = "hold"
    mux = true
    [[route]]
    path = "/short/*"
    upstream = "UPSTREAM"
    stream = "shared"
    on_origin_error = "hold"
    resume = "origin"
    history = { events = 40 }
    mux = true
    [[route]]
    path = "/private/*"
    upstream = "UPSTREAM"
    [[route]]
    path = "/private-held/*"
    upstream = "UPSTREAM"
    on_origin_error = "hold"
    "#;

/// Event number `n`, in one of the forms that servers have for it.
fn event(n: usize) -> String {
    match n % 4 {
        0 => format!("id: {n}\ndata: {n}\n\n"),
        1 => format!("data:{n}\r\nid:{n}\r\n\r\n"),
        2 => format!(": comment\nevent: update\nid: {n}\ndata: {n}\ndata\n\n"),
        _ => format!("id: {n}\ndata: {n}\ndata: {}\n\n", "x".repeat(n)),
    }
}

/// Which event it is.
fn number(event: &MessageEvent) -> usize {
    let first = event.data.split('\n').next().unwrap_or_default();
    first.parse().unwrap_or_else(|_| panic!("half an event, or two joined: {event:?}"))
}

/// How an answer of the origin ends.
#[derive(Clone, Copy)]
enum Fault {
    Status(&'static str),
    /// Before the head, or within it.
    NoHead,
    /// After so many bytes of the stream: with an RST, a FIN, or an end that is meant.
    Reset(usize),
    Closed(usize),
    Ended(usize),
}

fn fault(rng: &mut Rng) -> Fault {
    let at = rng.usize(..6000);
    match rng.u8(..12) {
        0 => Fault::Status(["502 Bad Gateway", "503 Wait", "504 Timeout"][rng.usize(..3)]),
        1 => Fault::NoHead,
        2..=5 => Fault::Reset(at),
        6..=8 => Fault::Closed(at),
        _ => Fault::Ended(at),
    }
}

/// Answers one request of a stream that goes on for ever, after the event that is asked for.
async fn answer(mut exchange: Exchange, mut rng: Rng) {
    let path = exchange.head.path().to_owned();
    let seen: usize = exchange.head.text("last-event-id").map_or(0, |id| id.parse().expect("ours"));
    // A server may say again what it has said, which only a shared feed can tell.
    let again = if path.starts_with("/private") { 0 } else { rng.usize(..4) };
    let mut next = (seen + 1).saturating_sub(again).max(1);
    let fault = fault(&mut rng);
    let left = match fault {
        Fault::Status(status) => return exchange.answer(status, "", "").await,
        Fault::NoHead => {
            exchange.raw(&b"HTTP/1.1 200 OK\r\nContent-Ty"[..rng.usize(..25)]).await;
            return exchange.kill();
        }
        Fault::Reset(at) | Fault::Closed(at) | Fault::Ended(at) => at,
    };
    exchange.open().await;
    let begin = if rng.bool() { "\u{feff}retry: 100\n\n" } else { "retry: 100\n\n" };
    exchange.send(begin).await;
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sent = 0;
    loop {
        let batch = next..next + rng.usize(1..=BATCH);
        next = batch.end;
        let mut bytes = batch.map(event).collect::<String>().into_bytes();
        bytes.truncate(left - sent);
        sent += bytes.len();
        while !bytes.is_empty() {
            let rest = bytes.split_off(rng.usize(1..=bytes.len()));
            exchange.send(&bytes).await;
            bytes = rest;
        }
        if sent == left {
            return match fault {
                Fault::Reset(_) => exchange.kill(),
                Fault::Ended(_) => exchange.end().await,
                _ => {}
            };
        }
        pace.tick().await;
    }
}

/// Reads a stream, and leaves and comes back on the way. Nothing may be missing
/// since its first event, unless that is told, and nothing may come twice.
async fn read(client: Client, path: String, mut rng: Rng) {
    let mut last: Option<usize> = None;
    while last < Some(EVENTS) {
        if path.starts_with("/short") {
            sleep(PACE * rng.u32(..20)).await;
        }
        let id = last.map(|n| n.to_string());
        let id = id.as_deref().map(|id| ("last-event-id", id));
        let answer = client.try_events(&path, fields(id.as_slice())).await;
        let Ok(response) = answer else { continue };
        if response.status != StatusCode::OK {
            assert!(response.status.is_server_error(), "{path}: {}", response.status);
            continue;
        }
        let mut stream = Stream::of(response);
        let mut is_told = false;
        for _ in 0..=rng.usize(..EVENTS / 2) {
            let next = stream.try_event();
            let next = async {
                // A stream of its own whose origin fails from the first on is asked for ever less often.
                if path.starts_with("/private-held") {
                    timeout(PATIENCE, next).await.ok()
                } else {
                    Some(next.await)
                }
            };
            let Some(Ok(event)) = next.await else { break };
            if !is_told && stream.text().contains(": gap") {
                assert!(path.starts_with("/short"), "{path}: a gap after {last:?}");
                is_told = true;
                assert!(last.take() < Some(number(&event)), "{path}: nothing is missing");
            }
            check(&path, &mut last, &event);
        }
    }
}

/// The same of two feeds on one stream.
async fn read_mux(client: Client, feeds: [String; 2], mut rng: Rng) {
    let names = [feeds[0].as_str(), feeds[1].as_str()];
    let mut last = [None; 2];
    let mut id = String::new();
    while last.iter().any(|last| *last < Some(EVENTS)) {
        let (mut mux, _) = Mux::resume(&client, &names, &id).await;
        for _ in 0..=rng.usize(..EVENTS) {
            let Ok(event) = mux.stream.try_event().await else { break };
            let feed = event.event_type.split('#').next().unwrap_or_default();
            if feed == "mux/gap" {
                // Nobody knows what a feed that has only failed so far had before.
                let of = |name: &&str| event.data.contains(&format!("\"{name}\""));
                let at = names.iter().position(of).expect("a feed of ours");
                assert_eq!(last[at], None, "{event:?}");
            }
            if let Some(at) = names.iter().position(|name| *name == feed) {
                check(feed, &mut last[at], &event);
                event.last_event_id.clone_into(&mut id);
            }
        }
    }
}

#[track_caller]
fn check(path: &str, last: &mut Option<usize>, event: &MessageEvent) {
    let n = number(event);
    if let Some(last) = last {
        assert_eq!(n, *last + 1, "{path}: not what comes after {last}");
    }
    *last = Some(n);
}

async fn soak(seed: u64) {
    let rng = Arc::new(Mutex::new(Rng::with_seed(seed)));
    let fork = move || rng.lock().expect("not poisoned").fork();
    let fates = fork.clone();
    let origin = Origin::scripted(move |exchange| answer(exchange, fates()));
    let proxy =
        Proxy::start(&(LISTENERS.to_owned() + &ROUTES.replace("UPSTREAM", &origin.url()))).await;
    let mut reading = JoinSet::new();
    for client in proxy.clients().await {
        for route in ["shared", "held", "short", "private", "private-held"] {
            // All clients of a shared route read the same feed.
            for _ in 0..2 {
                reading.spawn(read(client.clone(), format!("/{route}/one"), fork()));
            }
        }
        let feeds = ["/shared/two".to_owned(), "/held/two".to_owned()];
        reading.spawn(read_mux(client, feeds, fork()));
    }
    while let Some(done) = reading.join_next().await {
        assert!(done.is_ok(), "seed {seed}");
    }
}

#[tokio::test]
async fn nothing_is_lost_doubled_or_swapped_whatever_fails_and_whoever_leaves() {
    let seeds = env::var("SOAK_SEEDS").unwrap_or_else(|_| "0..2".to_owned());
    let (from, to) = seeds.split_once("..").expect("SOAK_SEEDS is like 0..500");
    let seed = |text: &str| text.parse::<u64>().expect("SOAK_SEEDS is like 0..500");
    for seed in seed(from)..seed(to) {
        soak(seed).await;
    }
}
