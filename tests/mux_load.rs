//! Multiplexed streams under load: many feeds, many changes, large events, slow readers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use sse_layer::Decoder;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::slow::dechunked;
use crate::support::{
    Client, Exchange, Mux, Origin, Proxy, Wire, eventually, mux_change as change, mux_target, pairs,
};

/// Feeds that stay while others come and go.
const STAY: [&str; 4] = ["/stay/0", "/stay/1", "/stay/2", "/stay/3"];

/// A change is a feed that comes and another that goes. So many are made in each of some rounds.
const CHANGES: usize = 2000;
const ROUNDS: usize = 3;
const WORKERS: usize = 8;

/// How many changes are made in a second. Unset, as many as there is time for.
const PACE: &str = "SSE_CHANGES_PER_SECOND";

/// A feed of `/stay` counts until it is told to stop. Any other says one thing.
async fn talk(mut exchange: Exchange, stop: Arc<AtomicBool>) {
    exchange.open().await;
    if !exchange.head.path().starts_with("/stay") {
        exchange.send("data: hello\n\n").await;
        return exchange.gone_in_the_end().await;
    }
    let mut ticks = tokio::time::interval(Duration::from_millis(2));
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        exchange.send(format!("id: {n}\ndata: {n}\n\n")).await;
        n += 1;
    }
    exchange.send(format!("event: last\ndata: {n}\n\n")).await;
    exchange.gone_in_the_end().await;
}

/// Makes its part of the changes, one after the other.
async fn make_changes(client: Client, open: Value, worker: usize, count: usize, pace: Duration) {
    let name = |n: usize| format!("/passing/{worker}/{}", n % 50);
    let mut ticks = tokio::time::interval(pace);
    for n in 0..count {
        ticks.tick().await;
        let (come, go) = (name(n), name(n + 49));
        // A stream that has too much to do yet says so.
        while change(&client, &open, &[&come], &[&go]).await == 503 {
            tokio::task::yield_now().await;
        }
    }
}

/// Reads until each feed that stays has said its last; every number must have come once.
async fn read_all(mut mux: Mux) {
    let mut next: HashMap<String, usize> = HashMap::new();
    let mut done = HashSet::new();
    while done.len() < STAY.len() {
        let event = mux.stream.event().await;
        assert_ne!(event.event_type, "mux/gap", "{event:?}");
        let (name, kind) = event.event_type.split_once('#').unwrap_or((&event.event_type, ""));
        if !STAY.contains(&name) {
            continue;
        }
        let next = next.entry(name.to_owned()).or_default();
        assert_eq!(event.data, next.to_string(), "{name}");
        if kind == "last" {
            done.insert(name.to_owned());
        }
        *next += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_changes_lose_no_event_of_the_feeds_that_stay_and_keep_no_memory() {
    let stop = Arc::new(AtomicBool::new(false));
    let is_over = Arc::clone(&stop);
    let origin = Origin::scripted(move |exchange| talk(exchange, Arc::clone(&is_over)));
    let keys = "stream = \"shared\"\nlinger = \"0s\"\n[admin]\naddress = \"127.0.0.1:0\"";
    let proxy = Proxy::before(&origin, keys).await;
    let (client, admin) = (proxy.h2().await, proxy.admin());
    let (mux, open) = Mux::open(&client, &STAY).await;
    let reading = tokio::spawn(read_all(mux));

    let per_second = std::env::var(PACE).map_or(u32::MAX, |pace| pace.parse().expect("a number"));
    let pace = (Duration::from_secs(WORKERS as u64) / per_second).max(Duration::from_nanos(1));
    let mut memory = Vec::new();
    let begun = Instant::now();
    for _ in 0..ROUNDS {
        let mut workers = JoinSet::new();
        for worker in 0..WORKERS {
            let (client, open) = (client.clone(), open.clone());
            workers.spawn(make_changes(client, open, worker, CHANGES / WORKERS, pace));
        }
        while let Some(worker) = workers.join_next().await {
            worker.expect("all changes are made");
        }
        // Every feed that came in passing goes: nothing but those that stay is left.
        for worker in 0..WORKERS {
            let names: Vec<_> = (0..50).map(|n| format!("/passing/{worker}/{n}")).collect();
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            assert_eq!(change(&client, &open, &[], &names).await, 204);
        }
        let left = [format!("sse_feeds {}", STAY.len()), "sse_readers 1".to_owned()];
        eventually("the feeds that went are closed", async || {
            let text = admin.get("/metrics").await.text().await;
            left.iter().all(|line| text.lines().any(|found| found == line))
        })
        .await;
        origin.until_open(STAY.len()).await;
        memory.push(proxy.memory());
    }
    let took = begun.elapsed();
    stop.store(true, Ordering::Relaxed);
    reading.await.expect("nothing is lost");
    println!("{} changes in {took:?}, memory after each third: {memory:?}", CHANGES * ROUNDS);
    let [first, .., last] = memory[..] else { unreachable!("three rounds") };
    assert!(last < first + (2 << 20), "memory grows: {memory:?}");
}

#[tokio::test]
async fn a_stream_may_have_256_feeds() {
    let origin = Origin::scripted(|mut exchange: Exchange| async move {
        exchange.open().await;
        let path = exchange.head.path().to_owned();
        exchange.send(format!("data: {path}\n\n")).await;
        exchange.gone_in_the_end().await;
    });
    for keys in ["stream = \"shared\"", "stream = \"private\""] {
        let proxy = Proxy::before(&origin, keys).await;
        for client in proxy.clients().await {
            let names: Vec<_> = (0..256).map(|n| format!("/{}/{n}", client.protocol())).collect();
            let feeds: Vec<_> = names.iter().map(|name| json!([name, null])).collect();
            let (mut mux, open) = Mux::post(&client, &json!({"feeds": feeds})).await;
            let said = mux.events(256).await;
            assert!(said.iter().all(|(name, data)| name == data));
            let distinct: HashSet<_> = said.into_iter().collect();
            assert_eq!(distinct.len(), 256);
            let more = format!("/{}/more", client.protocol());
            assert_eq!(change(&client, &open, &[&more], &[]).await, 204);
            assert_eq!(mux.state(&more, "closed").await["status"], 409);
            assert_eq!(change(&client, &open, &[&more], &[&names[0]]).await, 204);
            assert_eq!(mux.events(1).await, pairs(&[(&more, &more)]));
        }
    }
}

/// What a connection got of a stream that is not read at first.
async fn unread(proxy: &Proxy, feeds: &[&str]) -> Wire {
    let mut wire = Wire::connect_narrow(proxy.plain()).await;
    let target = mux_target(feeds);
    wire.write(format!("GET {target} HTTP/1.1\r\nHost: proxy.example\r\n\r\n")).await;
    wire.read_until("\r\n\r\n").await;
    wire
}

/// Events up to and with the one with this data.
async fn events_until(wire: &mut Wire, last: &str) -> Vec<(String, String)> {
    let bytes = wire.read_until(format!("data: {last}\n\n\r\n")).await;
    let mut decoder = Decoder::new();
    decoder.push(dechunked(&bytes));
    let mut events = Vec::new();
    while let Some(event) = decoder.next_event().expect("no event is too large here") {
        events.push((event.event_type.to_owned(), event.data.to_owned()));
    }
    events
}

#[tokio::test]
async fn small_events_wait_for_a_large_one_no_longer_than_its_own_bytes_take() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "stream = \"shared\"\nlag = { bytes = \"64MiB\" }").await;
    for client in proxy.clients().await {
        let [large, small] =
            ["large", "small"].map(|name| format!("/{}/{name}", client.protocol()));
        let (mut mux, _) = Mux::open(&client, &[&large, &small]).await;
        let (mut at_large, mut at_small) =
            (origin.opened(&large).await, origin.opened(&small).await);
        let much = "x".repeat(1 << 20);
        // As soon as the large one is in the log, the small one is right behind it, and no other
        // large one before it.
        let mut second = client.open(&large).await;
        for n in 0..8 {
            at_large.send(format!("data: {much}\n\n")).await;
            assert_eq!(second.event().await.data.len(), much.len());
            at_small.send(format!("data: {n}\n\n")).await;
        }
        for n in 0..8 {
            let (name, data) = mux.events(1).await.remove(0);
            assert_eq!((name.as_str(), data.len()), (large.as_str(), much.len()));
            assert_eq!(mux.events(1).await, pairs(&[(&small, &n.to_string())]));
        }
    }
}

#[tokio::test]
async fn a_large_event_is_taken_to_its_end_whatever_comes_meanwhile() {
    const MANY: usize = 400;
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "stream = \"shared\"").await;
    let mut wire = unread(&proxy, &["/large", "/small"]).await;
    let (mut large, mut small) = (origin.opened("/large").await, origin.opened("/small").await);
    let much = 12 << 20;
    large.send(format!("data: {}\n\n", "x".repeat(much))).await;
    wire.read_until("event: /large\n").await;
    // More than `lag` allows, while the large one is under way.
    let mut reader = proxy.h1().open("/small").await;
    for n in 0..MANY {
        small.send(format!("data: {n}\n\n")).await;
        assert_eq!(reader.data().await, n.to_string());
    }
    let last = format!("data: {}\n\n", MANY - 1);
    let rest = wire.read_until(&last).await;
    assert!(rest.len() > much, "the large one is whole");
    let end = rest.iter().rposition(|byte| *byte == b'x').expect("the large one");
    let small = String::from_utf8_lossy(rest.get(end..).expect("in range"));
    for n in 0..MANY {
        assert!(small.contains(&format!("\ndata: {n}\n\n")), "{n}");
    }
    assert!(!small.contains("mux/gap"));
}

#[tokio::test]
async fn of_a_feed_that_is_read_too_slowly_a_gap_is_told_and_the_others_go_on() {
    const MANY: usize = 640;
    let origin = Origin::start();
    let keys = "stream = \"shared\"\nhistory = { events = 32 }\nlag = { events = 16 }";
    let proxy = Proxy::before(&origin, keys).await;
    let mut wire = unread(&proxy, &["/flood", "/calm"]).await;
    let (mut flood, mut calm) = (origin.opened("/flood").await, origin.opened("/calm").await);
    let much = "x".repeat(16 << 10);
    let mut reader = proxy.h1().open("/flood").await;
    for n in 0..MANY {
        flood.send(format!("data: {n} {much}\n\n")).await;
        reader.event().await;
    }
    calm.send("data: calm\n\n").await;
    let events = events_until(&mut wire, "calm").await;
    let missed = |(event_type, data): &(String, String)| {
        let told: Value = serde_json::from_str(data).ok().filter(|_| event_type == "mux/gap")?;
        assert_eq!(told["feed"], "/flood");
        told["missed"].as_u64()
    };
    let missed: u64 = events.iter().filter_map(missed).sum();
    let got = events.iter().filter(|(name, _)| name == "/flood").count();
    assert!(missed > 0 && got > 0);
    assert_eq!(got as u64 + missed, MANY as u64, "what does not come is told");
}

#[tokio::test]
async fn a_feed_whose_origin_does_not_answer_keeps_no_other_waiting() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "stream = \"private\"").await;
    for client in proxy.clients().await {
        let (mut mux, open) = Mux::open(&client, &["/silent", "/a"]).await;
        let silent = origin.request("/silent").await;
        let mut a = origin.opened("/a").await;
        a.send("data: 1\n\n").await;
        assert_eq!(mux.events(1).await, pairs(&[("/a", "1")]));
        assert_eq!(change(&client, &open, &["/b"], &["/silent"]).await, 204);
        let mut b = origin.opened("/b").await;
        b.send("data: 2\n\n").await;
        assert_eq!(mux.events(1).await, pairs(&[("/b", "2")]));
        drop(silent);
    }
}
