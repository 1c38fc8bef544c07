//! Many feeds on one stream: wire format v1.

use std::collections::HashMap;

use serde_json::{Value, json};
use sse_layer::feed::Cursor;

use crate::support::{Mux, Origin, Proxy, mux_target as target, pairs};

const SHARED: &str = "stream = \"shared\"";

fn cursor(id: &str) -> Cursor {
    let cursor = id.split(' ').next().expect("an id");
    cursor.parse().expect(id)
}

/// The id that a block of wire bytes gives.
fn id_in(block: &str) -> &str {
    block.lines().find_map(|line| line.strip_prefix("id: ")).expect(block)
}

#[tokio::test]
async fn the_wire_format_is_version_1() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    for client in proxy.clients().await {
        let feed = format!("/{}", client.protocol());
        let mut stream = client.open(&target(&[&feed, "/nowhere#"])).await;
        assert_eq!(stream.response.values("content-type"), ["text/event-stream"]);
        let begin = stream.text_until("\n\n").await;
        let lines: Vec<_> = begin.lines().collect();
        let retry = lines[0].strip_prefix("retry: ").expect(&begin).parse::<u64>();
        assert!((1000..10_000).contains(&retry.expect("digits")), "{begin}");
        assert_eq!(lines[1], "event: mux/open");
        // Whoever is cut off before the first event goes on from here.
        let begin_at = cursor(lines[2].strip_prefix("id: ").expect(&begin));
        let open: Value = serde_json::from_str(&lines[3]["data: ".len()..]).expect("JSON");
        let sid = open["sid"].as_str().expect("a sid");
        assert!(sid.len() == 32 && sid.bytes().all(|byte| byte.is_ascii_hexdigit()), "{sid}");
        assert_eq!(open, json!({"v": 1, "sid": sid, "resumed": false}));
        assert_eq!(
            stream.text_until("\n\n").await,
            "event: mux/feed\ndata: {\"feed\":\"/nowhere#\",\"state\":\"closed\",\"status\":400}\n\n"
        );

        let mut exchange = origin.opened(&feed).await;
        assert_eq!(
            stream.text_until("\n\n").await,
            format!("event: mux/feed\ndata: {{\"feed\":\"{feed}\",\"state\":\"open\"}}\n\n")
        );
        exchange.send("retry: 7\n\n:hi\n\nevent: update\nid: 17\ndata: {\"price\":10.5}\n\n").await;
        let named = stream.text_until("\n\n").await;
        let id = id_in(&named);
        assert_eq!(named, format!("event: {feed}#update\nid: {id}\ndata: {{\"price\":10.5}}\n\n"));
        let (at, origins) = id.split_once(' ').expect("the origin's id after the cursor");
        assert_eq!(origins, "17");
        let first = cursor(at);
        assert!(first.seq > begin_at.seq && first.epoch == begin_at.epoch);

        exchange.send("x: unknown\ndata: a\ndata:  b\n:c\ndata\n\n").await;
        let default = stream.text_until("\n\n").await;
        let id = id_in(&default);
        assert_eq!(default, format!("event: {feed}\nid: {id}\ndata: a\ndata:  b\ndata: \n\n"));
        assert!(cursor(id).seq > first.seq && cursor(id).epoch == first.epoch);
        assert_eq!(stream.text().matches("retry:").count(), 1);
    }
}

#[tokio::test]
async fn an_event_without_an_id_of_the_origin_has_the_cursor_alone() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    let (mut mux, _) = Mux::open(&proxy.h1(), &["/a"]).await;
    let mut a = origin.opened("/a").await;
    a.send("data: x\n\n").await;
    let id = mux.event().await.last_event_id;
    assert_eq!(cursor(&id).to_string(), id);
}

#[tokio::test]
async fn an_id_that_no_server_would_take_back_is_left_out() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    let (mut mux, _) = Mux::open(&proxy.h1(), &["/a"]).await;
    let mut a = origin.opened("/a").await;
    let long = "x".repeat(2048);
    a.send(format!("id: {long}\ndata: x\n\n")).await;
    let id = mux.event().await.last_event_id;
    assert!(id.len() <= 1024 && cursor(&id).to_string() == id, "{id}");
}

#[tokio::test]
async fn events_of_all_feeds_come_in_the_order_of_the_log() {
    const EACH: usize = 50;
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    let feeds = ["/a", "/b", "/c"];
    let (mut mux, _) = Mux::open(&proxy.h1(), &feeds).await;
    let mut exchanges = Vec::new();
    for feed in feeds {
        exchanges.push(origin.opened(feed).await);
    }
    for n in 0..EACH {
        for exchange in &mut exchanges {
            exchange.send(format!("data: {n}\n\n")).await;
        }
    }
    let mut last = 0;
    let mut next = HashMap::new();
    for _ in 0..EACH * feeds.len() {
        let event = mux.event().await;
        let position = cursor(&event.last_event_id).seq;
        assert!(position > last, "{position} after {last}");
        last = position;
        let next: &mut usize = next.entry(event.event_type).or_default();
        assert_eq!(event.data, next.to_string());
        *next += 1;
    }
}

#[tokio::test]
async fn who_comes_back_with_a_cursor_has_missed_nothing_and_gets_nothing_twice() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    for client in proxy.clients().await {
        let names = ["a", "b"].map(|name| format!("/{}/{name}", client.protocol()));
        let feeds = names.each_ref().map(String::as_str);
        let (mut mux, open) = Mux::open(&client, &feeds).await;
        assert_eq!(open["resumed"], false);
        let mut a = origin.opened(feeds[0]).await;
        let mut b = origin.opened(feeds[1]).await;
        a.send("data: a1\n\n").await;
        assert_eq!(mux.events(1).await, pairs(&[(feeds[0], "a1")]));
        b.send("id: x\ndata: b1\n\n").await;
        let last = mux.event().await.last_event_id;
        drop(mux);

        a.send("data: a2\n\n").await;
        b.send("id: y\ndata: b2\n\n").await;
        let (mut mux, open) = Mux::resume(&client, &feeds, &last).await;
        assert_eq!(open["resumed"], true);
        // The two feeds are read by tasks of their own, so either may have been first.
        let mut missed = mux.events(2).await;
        missed.sort();
        assert_eq!(missed, pairs(&[(feeds[0], "a2"), (feeds[1], "b2")]));
        a.send("data: a3\n\n").await;
        assert_eq!(mux.events(1).await, pairs(&[(feeds[0], "a3")]));
        assert!(!mux.stream.text().contains("mux/gap"));
    }
}

#[tokio::test]
async fn a_query_parameter_says_where_to_go_on_as_well() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    let client = proxy.h1();
    let (mut mux, _) = Mux::open(&client, &["/a"]).await;
    let mut a = origin.opened("/a").await;
    a.send("id: 1\ndata: 1\n\nid: 2\ndata: 2\n\n").await;
    let first = mux.event().await.last_event_id;
    let id = first.replace(' ', "%20");
    for name in ["lastEventId", "last_event_id"] {
        let target = format!("{}&{name}={id}", target(&["/a"]));
        let mut back = Mux { stream: client.open(&target).await };
        assert_eq!(back.control("mux/open").await["resumed"], true);
        assert_eq!(back.event().await.data, "2");
    }
}

#[tokio::test]
async fn an_unknown_cursor_is_a_gap_in_every_feed() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    let client = proxy.h1();
    let feeds = ["/a", "/b"];
    let (_first, _) = Mux::open(&client, &feeds).await;
    let mut exchanges = [origin.opened("/a").await, origin.opened("/b").await];
    for id in ["00000000.17 x", "nonsense"] {
        let (mut mux, open) = Mux::resume(&client, &feeds, id).await;
        assert_eq!(open["resumed"], false);
        for feed in feeds {
            let gap = mux.control("mux/gap").await;
            assert_eq!(gap, json!({"feed": feed, "after": id, "missed": null}));
        }
        for exchange in &mut exchanges {
            exchange.send("data: live\n\n").await;
        }
        let mut live = mux.events(2).await;
        live.sort();
        assert_eq!(live, pairs(&[("/a", "live"), ("/b", "live")]));
    }
}
