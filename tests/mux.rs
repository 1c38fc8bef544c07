//! Many feeds on one stream: wire format v1.

use std::collections::HashMap;

use http::HeaderMap;
use serde_json::{Value, json};
use sse_layer::MessageEvent;
use sse_layer::feed::Cursor;

use crate::support::{Client, Ending, Exchange, Origin, Proxy, Stream, at_once, fields};

const SHARED: &str = "stream = \"shared\"";

/// A mux request for these feeds.
fn target(feeds: &[&str]) -> String {
    let encode = |feed: &&str| feed.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let names: Vec<_> = feeds.iter().map(|feed| format!("feed={}", encode(feed))).collect();
    format!("/.sse/mux?{}", names.join("&"))
}

/// A multiplexed stream, its control events told from the others.
struct Mux {
    stream: Stream,
}

impl Mux {
    /// Opens a stream of these feeds, and returns what `mux/open` says.
    async fn open(client: &Client, feeds: &[&str]) -> (Self, Value) {
        Self::open_with(client, feeds, HeaderMap::new()).await
    }

    async fn open_with(client: &Client, feeds: &[&str], headers: HeaderMap) -> (Self, Value) {
        let mut mux = Self { stream: client.open_with(&target(feeds), headers).await };
        let open = mux.control("mux/open").await;
        (mux, open)
    }

    async fn resume(client: &Client, feeds: &[&str], id: &str) -> (Self, Value) {
        Self::open_with(client, feeds, fields(&[("last-event-id", id)])).await
    }

    /// The data of the next event, which is this control event.
    async fn control(&mut self, event_type: &str) -> Value {
        let event = self.stream.event().await;
        assert_eq!(event.event_type, event_type, "{event:?}");
        serde_json::from_str(&event.data).expect("JSON")
    }

    /// Waits until a feed is told to be in this state, and returns all that is said of it.
    async fn state(&mut self, feed: &str, state: &str) -> Value {
        loop {
            let event = self.stream.event().await;
            assert_eq!(event.event_type, "mux/feed", "{event:?}");
            let said: Value = serde_json::from_str(&event.data).expect("JSON");
            if said["feed"] == feed && said["state"] == state {
                return said;
            }
        }
    }

    /// The next event that is of a feed.
    async fn event(&mut self) -> MessageEvent {
        loop {
            let event = self.stream.event().await;
            if !event.event_type.starts_with("mux/") {
                return event;
            }
        }
    }

    /// Types and data of the next so many events of feeds.
    async fn events(&mut self, count: usize) -> Vec<(String, String)> {
        let mut events = Vec::new();
        for _ in 0..count {
            let event = self.event().await;
            events.push((event.event_type, event.data));
        }
        events
    }
}

/// What comes of feeds `a` and `b` in these pairs of name and data.
fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, data)| ((*name).to_owned(), (*data).to_owned())).collect()
}

/// Answers the request for a feed with a stream.
async fn opened(origin: &Origin, feed: &str) -> Exchange {
    let mut exchange = origin.request(feed).await;
    exchange.open().await;
    exchange
}

fn cursor(id: &str) -> Cursor {
    let cursor = id.split(' ').next().expect("an id");
    cursor.parse().expect(id)
}

#[tokio::test]
async fn the_wire_format_is_version_1() {
    let origin = Origin::start().await;
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
        let open: Value = serde_json::from_str(&lines[2]["data: ".len()..]).expect("JSON");
        let sid = open["sid"].as_str().expect("a sid");
        assert!(sid.len() == 32 && sid.bytes().all(|byte| byte.is_ascii_hexdigit()), "{sid}");
        assert_eq!(open, json!({"v": 1, "sid": sid, "resumed": false}));
        assert_eq!(
            stream.text_until("\n\n").await,
            "event: mux/feed\ndata: {\"feed\":\"/nowhere#\",\"state\":\"closed\",\"status\":400}\n\n"
        );

        let mut exchange = opened(&origin, &feed).await;
        assert_eq!(
            stream.text_until("\n\n").await,
            format!("event: mux/feed\ndata: {{\"feed\":\"{feed}\",\"state\":\"open\"}}\n\n")
        );
        exchange.send("retry: 7\n\n:hi\n\nevent: update\nid: 17\ndata: {\"price\":10.5}\n\n").await;
        let named = stream.text_until("\n\n").await;
        let id = stream.event_id(&named);
        assert_eq!(named, format!("event: {feed}#update\nid: {id}\ndata: {{\"price\":10.5}}\n\n"));
        let (at, origins) = id.split_once(' ').expect("the origin's id after the cursor");
        assert_eq!(origins, "17");
        let first = cursor(at);

        exchange.send("x: unknown\ndata: a\ndata:  b\n:c\ndata\n\n").await;
        let default = stream.text_until("\n\n").await;
        let id = stream.event_id(&default);
        assert_eq!(default, format!("event: {feed}\nid: {id}\ndata: a\ndata:  b\ndata: \n\n"));
        assert!(cursor(&id).seq > first.seq && cursor(&id).epoch == first.epoch);
        assert_eq!(stream.text().matches("retry:").count(), 1);
    }
}

#[tokio::test]
async fn an_event_without_an_id_of_the_origin_has_the_cursor_alone() {
    let origin = Origin::start().await;
    let proxy = Proxy::before(&origin, SHARED).await;
    let (mut mux, _) = Mux::open(&proxy.h1(), &["/a"]).await;
    let mut a = opened(&origin, "/a").await;
    a.send("data: x\n\n").await;
    let id = mux.event().await.last_event_id;
    assert_eq!(cursor(&id).to_string(), id);
}

#[tokio::test]
async fn an_id_that_no_server_would_take_back_is_left_out() {
    let origin = Origin::start().await;
    let proxy = Proxy::before(&origin, SHARED).await;
    let (mut mux, _) = Mux::open(&proxy.h1(), &["/a"]).await;
    let mut a = opened(&origin, "/a").await;
    let long = "x".repeat(2048);
    a.send(format!("id: {long}\ndata: x\n\n")).await;
    let id = mux.event().await.last_event_id;
    assert!(id.len() <= 1024 && cursor(&id).to_string() == id, "{id}");
}

#[tokio::test]
async fn events_of_all_feeds_come_in_the_order_of_the_log() {
    const EACH: usize = 50;
    let origin = Origin::start().await;
    let proxy = Proxy::before(&origin, SHARED).await;
    let feeds = ["/a", "/b", "/c"];
    let (mut mux, _) = Mux::open(&proxy.h1(), &feeds).await;
    let mut exchanges = Vec::new();
    for feed in feeds {
        exchanges.push(opened(&origin, feed).await);
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
    let origin = Origin::start().await;
    let proxy = Proxy::before(&origin, SHARED).await;
    for client in proxy.clients().await {
        let names = ["a", "b"].map(|name| format!("/{}/{name}", client.protocol()));
        let feeds = names.each_ref().map(String::as_str);
        let (mut mux, open) = Mux::open(&client, &feeds).await;
        assert_eq!(open["resumed"], false);
        let mut a = opened(&origin, feeds[0]).await;
        let mut b = opened(&origin, feeds[1]).await;
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
    let origin = Origin::start().await;
    let proxy = Proxy::before(&origin, SHARED).await;
    let client = proxy.h1();
    let (mut mux, _) = Mux::open(&client, &["/a"]).await;
    let mut a = opened(&origin, "/a").await;
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
    let origin = Origin::start().await;
    let proxy = Proxy::before(&origin, SHARED).await;
    let client = proxy.h1();
    let feeds = ["/a", "/b"];
    let (_first, _) = Mux::open(&client, &feeds).await;
    let mut exchanges = [opened(&origin, "/a").await, opened(&origin, "/b").await];
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

#[tokio::test]
async fn a_feed_that_cannot_be_opened_is_closed_and_the_others_go_on() {
    let origin = Origin::start().await;
    let upstream = origin.url();
    let more = format!(
        "{SHARED}
        [[route]]
        path = \"/alone\"
        upstream = \"{upstream}\"
        mux = false
        [[route]]
        path = \"/plain\"
        upstream = \"{upstream}\"
        stream = \"off\"
        [[route]]
        path = \"/elsewhere\"
        host = \"elsewhere.example\"
        upstream = \"{upstream}\""
    );
    let config = Proxy::config(&origin, &more).replace("path = \"/*\"", "path = \"/feeds/*\"");
    let proxy = Proxy::start(&config).await;
    for client in proxy.clients().await {
        let (good, missing) =
            (format!("/feeds/{}", client.protocol()), format!("/feeds/404/{}", client.protocol()));
        let closed = [
            ("/nowhere", 404),
            ("/alone", 404),
            ("/plain", 404),
            ("/elsewhere", 404),
            ("no-slash", 400),
            ("//evil.example/feed", 404),
            ("/feeds/x#y", 400),
            ("/feeds/x y", 400),
            ("http://evil.example/feeds/x", 400),
            ("", 400),
        ];
        let mut feeds: Vec<_> = closed.iter().map(|(feed, _)| *feed).collect();
        feeds.extend([missing.as_str(), good.as_str()]);
        let (mut mux, _) = Mux::open(&client, &feeds).await;
        for (feed, status) in closed {
            let expected = json!({"feed": feed, "state": "closed", "status": status});
            assert_eq!(mux.control("mux/feed").await, expected);
        }
        origin.request(&missing).await.answer("404 Not Found", "", "no").await;
        assert_eq!(mux.state(&missing, "closed").await["status"], 404);
        let mut exchange = opened(&origin, &good).await;
        exchange.send("data: fine\n\n").await;
        assert_eq!(mux.events(1).await, pairs(&[(&good, "fine")]));
    }
}

#[tokio::test]
async fn an_origin_that_dies_is_told_and_the_others_go_on() {
    let origin = Origin::start().await;
    let proxy = Proxy::before(&origin, SHARED).await;
    let (mut mux, _) = Mux::open(&proxy.h1(), &["/mortal", "/other"]).await;
    let mut mortal = opened(&origin, "/mortal").await;
    mux.state("/mortal", "open").await;
    let mut other = opened(&origin, "/other").await;
    mux.state("/other", "open").await;
    mortal.send("retry: 300\nid: 1\ndata: 1\n\ndata: ha").await;
    assert_eq!(mux.events(1).await, pairs(&[("/mortal", "1")]));

    mortal.kill();
    let told = mux.state("/mortal", "connecting").await;
    assert_eq!(told["retry"], 300);
    assert!(told["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{told}");
    other.send("data: still here\n\n").await;
    assert_eq!(mux.events(1).await, pairs(&[("/other", "still here")]));

    let mut mortal = opened(&origin, "/mortal").await;
    assert_eq!(mortal.head.text("last-event-id").as_deref(), Some("1"));
    mux.state("/mortal", "open").await;
    mortal.send("id: 2\ndata: 2\n\n").await;
    assert_eq!(mux.events(1).await, pairs(&[("/mortal", "2")]));
}

#[tokio::test]
async fn a_feed_that_its_origin_ends_is_closed_and_the_others_go_on() {
    let origin = Origin::start().await;
    let proxy = Proxy::before(&origin, SHARED).await;
    let (mut mux, _) = Mux::open(&proxy.h1(), &["/mortal", "/other"]).await;
    let mut mortal = opened(&origin, "/mortal").await;
    mortal.send("retry: 100\ndata: last\n\n").await;
    mortal.end().await;
    origin.request("/mortal").await.raw("HTTP/1.1 204 No Content\r\n\r\n").await;
    let mut other = opened(&origin, "/other").await;
    other.send("data: here\n\n").await;
    let mut got = mux.events(2).await;
    got.sort();
    assert_eq!(got, pairs(&[("/mortal", "last"), ("/other", "here")]));
    mux.stream.text_until("\"state\":\"closed\",\"status\":204}\n\n").await;
}

#[tokio::test]
async fn a_stream_is_answered_with_200_even_if_every_feed_fails() {
    let mut origin = Origin::start().await;
    let proxy = Proxy::before(&origin, SHARED).await;
    origin.stop_listening().await;
    let (mut mux, _) = Mux::open(&proxy.h1(), &["/a", "/b"]).await;
    let mut failed = [mux.control("mux/feed").await, mux.control("mux/feed").await];
    failed.sort_by_key(|said| said["feed"].to_string());
    for (said, feed) in failed.iter().zip(["/a", "/b"]) {
        assert_eq!((&said["feed"], &said["state"]), (&json!(feed), &json!("connecting")));
    }
    let origin = Origin::start_at(origin.address).await;
    let mut a = opened(&origin, "/a").await;
    a.send("data: up\n\n").await;
    assert_eq!(mux.events(1).await, pairs(&[("/a", "up")]));
}
