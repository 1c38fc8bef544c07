//! Multiplexed streams that were cut off: what each kind of client goes on from.

use serde_json::json;

use crate::support::{Mux, Origin, Proxy, pairs};

const SHARED: &str = "stream = \"shared\"";
const PRIVATE: &str = "stream = \"private\"";

#[tokio::test]
async fn after_a_restart_each_feed_goes_on_from_its_own_last_id() {
    let origin = Origin::start();
    for keys in [SHARED, PRIVATE] {
        let before = Proxy::before(&origin, keys).await;
        let wanted = json!({"feeds": [["/a", null], ["/b", null]]});
        let (mut mux, _) = Mux::post(&before.h1(), &wanted).await;
        let (mut a, mut b) = (origin.opened("/a").await, origin.opened("/b").await);
        a.send("id: a1\ndata: 1\n\n").await;
        b.send("id: b7\ndata: 7\n\n").await;
        mux.event().await;
        let last = mux.event().await.last_event_id;
        let cursor = last.split(' ').next();
        drop((mux, before));

        let after = Proxy::before(&origin, keys).await;
        for client in after.clients().await {
            let feeds = json!([["/a", "a1"], ["/b", "b7"]]);
            let (mut mux, open) =
                Mux::post(&client, &json!({"feeds": feeds, "cursor": cursor})).await;
            assert_eq!(open["resumed"], false);
            if keys == PRIVATE || client.protocol() == "HTTP/1.1" {
                (a, b) = (origin.opened("/a").await, origin.opened("/b").await);
                assert_eq!(a.head.text("last-event-id").as_deref(), Some("a1"));
                assert_eq!(b.head.text("last-event-id").as_deref(), Some("b7"));
                a.send("id: a2\ndata: 2\n\n").await;
            }
            assert_eq!(mux.events(1).await, pairs(&[("/a", "2")]), "{keys}");
            assert!(!mux.stream.text().contains("mux/gap"), "{}", mux.stream.text());
        }
    }
}

#[tokio::test]
async fn a_private_feed_is_asked_to_go_on_from_its_own_last_id() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, PRIVATE).await;
    for client in proxy.clients().await {
        let wanted = json!({"feeds": [["/a", null], ["/b", null]]});
        let (mut mux, _) = Mux::post(&client, &wanted).await;
        let (mut a, b) = (origin.opened("/a").await, origin.opened("/b").await);
        a.send("id: 17\ndata: x\n\n").await;
        let last = mux.event().await.last_event_id;
        let cursor = last.split(' ').next();
        drop((mux, a, b));

        let wanted = json!({"feeds": [["/a", "17"], ["/b", null]], "cursor": cursor});
        let (mut mux, open) = Mux::post(&client, &wanted).await;
        assert_eq!(open["resumed"], true);
        let (mut a, b) = (origin.opened("/a").await, origin.opened("/b").await);
        assert_eq!(a.head.text("last-event-id").as_deref(), Some("17"));
        assert_eq!(b.head.text("last-event-id"), None);
        // Nobody knows what has become of what the other origin sent meanwhile.
        let gap = json!({"feed": "/b", "after": cursor, "missed": null});
        assert_eq!(mux.control("mux/gap").await, gap);
        a.send("id: 18\ndata: y\n\n").await;
        assert_eq!(mux.events(1).await, pairs(&[("/a", "y")]));
        // What comes without an id of its own has that of the event before it.
        a.send("data: z\n\n").await;
        assert!(mux.event().await.last_event_id.ends_with(" 18"));
        assert_eq!(mux.stream.text().matches("mux/gap").count(), 1);
    }
}

#[tokio::test]
async fn a_bare_client_of_one_private_feed_goes_on_from_the_id_behind_the_cursor() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, PRIVATE).await;
    let client = proxy.h1();
    let (mut mux, _) = Mux::open(&client, &["/a"]).await;
    let mut a = origin.opened("/a").await;
    a.send("id: with blank\ndata: x\n\n").await;
    let last = mux.event().await.last_event_id;
    drop(mux);
    let (mut mux, _) = Mux::resume(&client, &["/a"], &last).await;
    let mut a = origin.opened("/a").await;
    assert_eq!(a.head.text("last-event-id").as_deref(), Some("with blank"));
    a.send("data: y\n\n").await;
    assert_eq!(mux.events(1).await, pairs(&[("/a", "y")]));
    assert!(!mux.stream.text().contains("mux/gap"));
}

#[tokio::test]
async fn who_is_cut_off_before_the_first_event_goes_on_from_where_the_stream_began() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    for client in proxy.clients().await {
        let feed = format!("/{}", client.protocol());
        let (mut mux, _) = Mux::open(&client, &[&feed]).await;
        let mut exchange = origin.opened(&feed).await;
        mux.state(&feed, "open").await;
        let began = mux.stream.last_event_id().to_owned();
        drop(mux);
        exchange.send("data: missed\n\n").await;
        let (mut mux, open) = Mux::resume(&client, &[&feed], &began).await;
        // The feed's creation has a number of its own, which comes after where the stream began.
        assert_eq!(open["resumed"], true);
        assert_eq!(mux.events(1).await, pairs(&[(&feed, "missed")]));
    }
}

#[tokio::test]
async fn a_feed_that_is_added_goes_on_from_its_own_last_id() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    let client = proxy.h1();
    let (mut first, _) = Mux::open(&client, &["/a"]).await;
    let mut a = origin.opened("/a").await;
    a.send("id: 1\ndata: 1\n\nid: 2\ndata: 2\n\n").await;
    first.events(2).await;
    let (mut mux, open) = Mux::open(&client, &["/b"]).await;
    let change = json!({"add": [["/a", "1"]]});
    let target = crate::support::mux_change_target(&open);
    let answer = crate::support::mux_post(&client, &target, &change, http::HeaderMap::new()).await;
    assert_eq!(answer.status, 204);
    assert_eq!(mux.events(1).await, pairs(&[("/a", "2")]));
    assert!(!mux.stream.text().contains("mux/gap"));
}
