//! Clients of multiplexed streams that leave: nothing of theirs stays behind, whenever they do.

use http::HeaderMap;
use serde_json::json;

use crate::admin::proxy;
use crate::support::{
    Client, Exchange, Mux, Origin, Wire, eventually, mux_change as change, mux_post as post,
    mux_target,
};

/// Feeds of all kinds, by their paths.
const FEEDS: [&str; 6] = ["/silent", "/quiet", "/flood", "/ends", "/fails", "/breaks"];

async fn talk(mut exchange: Exchange) {
    match exchange.head.path() {
        "/silent" => {}
        "/fails" => return exchange.answer("503 Service Unavailable", "", "").await,
        "/breaks" => return exchange.kill(),
        "/ends" => {
            exchange.open().await;
            exchange.send("retry: 1\ndata: x\n\n").await;
            return exchange.end().await;
        }
        "/flood" => {
            exchange.open().await;
            let event = format!("2000\r\ndata: {}\n\n\r\n", "x".repeat(0x2000 - 8));
            while exchange.try_raw(event.as_bytes()).await.is_ok() {}
        }
        _ => exchange.open().await,
    }
    exchange.gone_in_the_end().await;
}

async fn nothing_stays(origin: &Origin, admin: &Client, what: &str) {
    eventually(&format!("no feed and no reader, {what}"), async || {
        let text = admin.get("/metrics").await.text().await;
        ["sse_feeds 0", "sse_readers 0"].iter().all(|none| text.lines().any(|line| line == *none))
    })
    .await;
    origin.until_open(0).await;
}

/// Lets others go on, some times over.
async fn some(times: usize) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn whenever_a_client_leaves_no_private_feed_stays_behind() {
    let origin = Origin::scripted(talk);
    let proxy = proxy(&origin, "").await;
    let admin = proxy.admin();
    let wanted = json!({"feeds": FEEDS.map(|feed| json!([feed, null]))});
    for client in proxy.clients().await {
        for moment in 0..60 {
            tokio::select! {
                biased;
                answer = post(&client, "/.sse/mux", &wanted, HeaderMap::new()) => drop(answer),
                () = some(moment * 4) => {}
            }
            // A server parts with whoever resets many streams that it has not yet come to.
            assert_eq!(client.get("/.sse/mux").await.status, 400);
        }
        nothing_stays(&origin, &admin, &format!("after {} that broke off", client.protocol()))
            .await;
        for events in [0, 1, 40] {
            let (mut mux, _) = Mux::post(&client, &wanted).await;
            mux.events(events).await;
            drop(mux);
        }
        nothing_stays(&origin, &admin, &format!("after {}", client.protocol())).await;
    }
}

#[tokio::test]
async fn whoever_leaves_while_his_changes_are_made_leaves_nothing_behind() {
    let origin = Origin::scripted(talk);
    let proxy = proxy(&origin, "").await;
    let admin = proxy.admin();
    let client = proxy.h2().await;
    for moment in 0..30 {
        let (mux, open) = Mux::open(&client, &["/quiet"]).await;
        tokio::join!(change(&client, &open, &FEEDS[1..], &["/quiet"]), async {
            some(moment * 4).await;
            drop(mux);
        });
    }
    nothing_stays(&origin, &admin, "after changes").await;
}

#[tokio::test]
async fn whoever_has_stopped_reading_and_is_cut_off_leaves_nothing_behind() {
    let origin = Origin::scripted(talk);
    let proxy = proxy(&origin, "").await;
    let admin = proxy.admin();
    let mut wires = Vec::new();
    for _ in 0..4 {
        let mut wire = Wire::connect_narrow(proxy.plain()).await;
        let target = mux_target(&FEEDS);
        wire.write(format!("GET {target} HTTP/1.1\r\nHost: proxy.example\r\n\r\n")).await;
        wire.read_until("event: /flood\n").await;
        wires.push(wire);
    }
    eventually("all feeds are open", async || {
        admin.get("/metrics").await.text().await.contains("sse_readers 4")
    })
    .await;
    drop(wires);
    nothing_stays(&origin, &admin, "after a cut").await;
}
