//! The feeds of a multiplexed stream: what becomes of one is told, and never ends another.

use serde_json::json;

use crate::support::{Client, Ending, Mux, Origin, Proxy, at_once, fields, mux_target, pairs};

const SHARED: &str = "stream = \"shared\"";

#[tokio::test]
async fn a_feed_that_cannot_be_opened_is_closed_and_the_others_go_on() {
    let origin = Origin::start();
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
        let mut exchange = origin.opened(&good).await;
        exchange.send("data: fine\n\n").await;
        assert_eq!(mux.events(1).await, pairs(&[(&good, "fine")]));
    }
}

#[tokio::test]
async fn an_origin_that_dies_is_told_and_the_others_go_on() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    let (mut mux, _) = Mux::open(&proxy.h1(), &["/mortal", "/other"]).await;
    let mut mortal = origin.opened("/mortal").await;
    mux.state("/mortal", "open").await;
    let mut other = origin.opened("/other").await;
    mux.state("/other", "open").await;
    mortal.send("retry: 300\nid: 1\ndata: 1\n\ndata: ha").await;
    assert_eq!(mux.events(1).await, pairs(&[("/mortal", "1")]));

    mortal.kill();
    let told = mux.state("/mortal", "connecting").await;
    assert_eq!(told["retry"], 300);
    assert!(told["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{told}");
    other.send("data: still here\n\n").await;
    assert_eq!(mux.events(1).await, pairs(&[("/other", "still here")]));

    let mut mortal = origin.opened("/mortal").await;
    assert_eq!(mortal.head.text("last-event-id").as_deref(), Some("1"));
    mux.state("/mortal", "open").await;
    mortal.send("id: 2\ndata: 2\n\n").await;
    assert_eq!(mux.events(1).await, pairs(&[("/mortal", "2")]));
}

#[tokio::test]
async fn a_feed_that_its_origin_ends_is_closed_and_the_others_go_on() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    let (mut mux, _) = Mux::open(&proxy.h1(), &["/mortal", "/other"]).await;
    let mut mortal = origin.opened("/mortal").await;
    mortal.send("retry: 100\ndata: last\n\n").await;
    mortal.end().await;
    origin.request("/mortal").await.raw("HTTP/1.1 204 No Content\r\n\r\n").await;
    let mut other = origin.opened("/other").await;
    other.send("data: here\n\n").await;
    let mut got = mux.events(2).await;
    got.sort();
    assert_eq!(got, pairs(&[("/mortal", "last"), ("/other", "here")]));
    mux.stream.text_until("\"state\":\"closed\",\"status\":204}\n\n").await;
}

#[tokio::test]
async fn a_stream_is_answered_with_200_even_if_every_feed_fails() {
    let mut origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    origin.stop_listening().await;
    let (mut mux, _) = Mux::open(&proxy.h1(), &["/a", "/b"]).await;
    let mut failed = [mux.control("mux/feed").await, mux.control("mux/feed").await];
    failed.sort_by_key(|said| said["feed"].to_string());
    for (said, feed) in failed.iter().zip(["/a", "/b"]) {
        assert_eq!((&said["feed"], &said["state"]), (&json!(feed), &json!("connecting")));
    }
    let origin = origin.restarted();
    let mut a = origin.opened("/a").await;
    a.send("data: up\n\n").await;
    assert_eq!(mux.events(1).await, pairs(&[("/a", "up")]));
}

#[tokio::test]
async fn a_feed_named_twice_is_read_once() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    let (mut mux, _) = Mux::open(&proxy.h1(), &["/a", "/a"]).await;
    let mut a = origin.opened("/a").await;
    a.send("data: 1\n\n").await;
    a.send("data: 2\n\n").await;
    assert_eq!(mux.events(2).await, pairs(&[("/a", "1"), ("/a", "2")]));
}

#[tokio::test]
async fn a_feed_is_named_as_it_would_be_requested() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    let feed = "/orders?x=1&y=%26&lastEventId=no";
    let (mut mux, _) = Mux::open(&proxy.h1(), &[feed]).await;
    let mut orders = origin.opened("/orders").await;
    assert_eq!(orders.head.target(), feed);
    orders.send("event: new\ndata: 1\n\n").await;
    assert_eq!(mux.events(1).await, pairs(&[(&format!("{feed}#new"), "1")]));
}

#[tokio::test]
async fn a_multiplexed_reader_and_one_of_its_own_share_the_origin() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    let client = proxy.h2().await;
    let (mut single, mut a) = client.open_from(&origin, "/a").await;
    let (mut mux, _) = Mux::open(&client, &["/a"]).await;
    mux.state("/a", "open").await;
    a.send("data: for both\n\n").await;
    assert_eq!(single.data().await, "for both");
    assert_eq!(mux.event().await.data, "for both");
    assert_eq!(origin.accepted(), 1);
}

#[tokio::test]
async fn a_private_feed_is_opened_with_the_clients_own_credentials() {
    let origin = Origin::start();
    for stream in ["private", "shared"] {
        let proxy = Proxy::before(&origin, &format!("stream = \"{stream}\"")).await;
        for cookie in ["session=ann", "session=bob"] {
            let headers = fields(&[("cookie", cookie)]);
            let (mut mux, _) = Mux::open_with(&proxy.h1(), &["/a"], headers).await;
            let mut a = origin.opened("/a").await;
            assert_eq!(a.head.text("cookie").as_deref(), Some(cookie));
            a.send(format!("data: {cookie}\n\n")).await;
            assert_eq!(mux.event().await.data, cookie);
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_closes_its_private_feeds() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for client in proxy.clients().await {
        let (mux, _) = Mux::open(&client, &["/a", "/b"]).await;
        let mut open = [origin.opened("/a").await, origin.opened("/b").await];
        drop(mux);
        for exchange in &mut open {
            at_once(client.protocol(), exchange.gone()).await;
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_takes_the_request_for_a_private_feed_with_it() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for client in proxy.clients().await {
        let (mux, _) = Mux::open(&client, &["/slow"]).await;
        let mut exchange = origin.request("/slow").await;
        drop(mux);
        at_once(client.protocol(), exchange.gone()).await;
    }
}

async fn status(client: &Client, target: &str) -> u16 {
    client.get(target).await.status.as_u16()
}

#[tokio::test]
async fn a_request_that_names_no_feed_or_too_many_is_refused() {
    let origin = Origin::start();
    let config = format!("{}\n[mux]\nmax_feeds = 2", Proxy::config(&origin, SHARED));
    let proxy = Proxy::start(&config).await;
    for client in proxy.clients().await {
        assert_eq!(status(&client, "/.sse/mux").await, 400);
        assert_eq!(status(&client, "/.sse/mux?feeds=/a").await, 400);
        assert_eq!(status(&client, &mux_target(&["/a", "/b", "/c"])).await, 400);
        assert_eq!(status(&client, &mux_target(&["/a", "/b"])).await, 200);
    }
}

#[tokio::test]
async fn the_endpoint_can_be_elsewhere() {
    let origin = Origin::start();
    let config = format!("{}\n[mux]\npath = \"/live\"", Proxy::config(&origin, SHARED));
    let proxy = Proxy::start(&config).await;
    let mut stream = proxy.h1().open("/live?feed=/a").await;
    assert_eq!(stream.event().await.event_type, "mux/open");
}

#[tokio::test]
async fn when_every_feed_is_over_the_client_is_kept() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    let (mut mux, _) = Mux::open(&proxy.h1(), &["/a"]).await;
    origin.request("/a").await.answer("404 Not Found", "", "").await;
    mux.state("/a", "closed").await;
    // It would only come back and ask for the same again.
    proxy.terminate();
    assert_eq!(mux.control("mux/bye").await, json!({}));
    assert_eq!(mux.stream.rest().await, (vec![], Ending::Orderly));
}
