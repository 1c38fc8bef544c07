//! Multiplexed streams that were cut off: what each kind of client goes on from.

use serde_json::json;

use crate::support::{Mux, Origin, Proxy, mux_change as change, pairs};

const SHARED: &str = "stream = \"shared\"";
const PRIVATE: &str = "stream = \"private\"";
/// Two events are all that history has.
const FROM_ORIGIN: &str = "stream = \"shared\"\nresume = \"origin\"\n\
                           history = { events = 2 }\nlag = { events = 2 }";

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
        assert_eq!(open["resumed"], true);
        assert_eq!(mux.events(1).await, pairs(&[(&feed, "missed")]));
        // The feed's creation has a number of its own, which comes after where the stream began.
        assert!(!mux.stream.text().contains("mux/gap"), "{}", mux.stream.text());
    }
}

#[tokio::test]
async fn a_feed_that_began_after_the_clients_position_has_no_gap() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    let client = proxy.h2().await;
    let (mut mux, open) = Mux::open(&client, &["/a"]).await;
    let mut a = origin.opened("/a").await;
    a.send("data: 1\n\n").await;
    let last = mux.event().await.last_event_id;
    // Meanwhile much goes on that is none of this client's.
    let (mut other, mut busy) = tokio::join!(client.open("/busy"), origin.opened("/busy"));
    for n in 0..3 {
        busy.send(format!("data: {n}\n\n")).await;
        other.event().await;
    }
    assert_eq!(change(&client, &open, &["/new"], &[]).await, 204);
    let mut new = origin.opened("/new").await;
    mux.state("/new", "open").await;
    drop(mux);
    new.send("data: missed\n\n").await;

    // Neither in the one that is there nor in one that is new to the proxy.
    let (mut mux, _) = Mux::resume(&client, &["/a", "/new", "/newer"], &last).await;
    assert_eq!(mux.events(1).await, pairs(&[("/new", "missed")]));
    let mut newer = origin.opened("/newer").await;
    newer.send("data: first\n\n").await;
    assert_eq!(mux.events(1).await, pairs(&[("/newer", "first")]));
    assert!(!mux.stream.text().contains("mux/gap"), "{}", mux.stream.text());
}

#[tokio::test]
async fn a_feed_that_ended_while_its_client_was_away_has_a_gap_even_if_nothing_else_went_on() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "stream = \"shared\"\nlinger = \"0s\"").await;
    for client in proxy.clients().await {
        let feed = format!("/{}", client.protocol());
        let (mut mux, _) = Mux::open(&client, &[&feed]).await;
        let mut exchange = origin.opened(&feed).await;
        exchange.send("data: 1\n\n").await;
        let last = mux.event().await.last_event_id;
        drop(mux);
        exchange.gone().await;
        let (mut mux, _) = Mux::resume(&client, &[&feed], &last).await;
        assert_eq!(mux.control("mux/gap").await["feed"], feed);
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

/// Events `from` to `to`, as an origin sends them at once.
fn events(from: usize, to: usize) -> String {
    (from..=to).map(|n| format!("id: {n}\ndata: {n}\n\n")).collect()
}

/// Types and data of events `from` to `to` of a feed.
fn of_feed(feed: &str, from: usize, to: usize) -> Vec<(String, String)> {
    (from..=to).map(|n| (feed.to_owned(), n.to_string())).collect()
}

#[tokio::test]
async fn what_history_no_longer_has_of_an_open_feed_comes_from_its_origin_first() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, FROM_ORIGIN).await;
    for client in proxy.clients().await {
        let [a, b, c] = ["a", "b", "c"].map(|feed| format!("/{feed}/{}", client.protocol()));
        let (mut first, _) = Mux::open(&client, &[&a, &b, &c]).await;
        let mut live = Vec::new();
        for feed in [&a, &b, &c] {
            let mut exchange = origin.opened(feed).await;
            for n in 1..=9 {
                exchange.send(events(n, n)).await;
                assert_eq!(first.events(1).await, of_feed(feed, n, n));
            }
            live.push(exchange);
        }
        let wanted = json!({"feeds": [[a, "3"], [b, "5"], [c, null]]});
        let opened = tokio::spawn({
            let (client, wanted) = (client.clone(), wanted.clone());
            async move { Mux::post(&client, &wanted).await.0 }
        });
        let mut of_b = origin.opened(&b).await;
        let mut of_a = origin.opened(&a).await;
        assert_eq!(of_b.head.text("last-event-id").as_deref(), Some("5"));
        assert_eq!(of_a.head.text("last-event-id").as_deref(), Some("3"));
        // What comes meanwhile has to wait: the position after it is after what is missing, too.
        live[2].send(events(10, 10)).await;
        assert_eq!(first.events(1).await, of_feed(&c, 10, 10));
        of_b.send(events(6, 9)).await;
        let mut mux = opened.await.expect("a stream");
        assert_eq!(mux.events(2).await, of_feed(&b, 6, 7));
        of_a.send(events(4, 9)).await;
        assert_eq!(mux.events(4).await, of_feed(&a, 4, 7));
        let cut_off_at = mux.stream.last_event_id().to_owned();
        assert!(cut_off_at.ends_with(" 7"), "{cut_off_at}");
        let rest = [of_feed(&a, 8, 9), of_feed(&b, 8, 9), of_feed(&c, 10, 10)].concat();
        assert_eq!(mux.events(5).await, rest);
        assert!(!mux.stream.text().contains("mux/gap"), "{}", mux.stream.text());

        // Whoever was cut off in between goes on from the last id that it has of each.
        let cursor = cut_off_at.split(' ').next();
        let wanted = json!({"feeds": [[a, "7"], [b, "7"], [c, "9"]], "cursor": cursor});
        let ((mut mux, open), ()) = tokio::join!(Mux::post(&client, &wanted), async {
            for feed in [&a, &b] {
                let mut catch_up = origin.opened(feed).await;
                assert_eq!(catch_up.head.text("last-event-id").as_deref(), Some("7"));
                catch_up.send(events(8, 9)).await;
            }
        });
        assert_eq!(open["resumed"], false);
        assert_eq!(mux.events(5).await, rest);
        live[0].send(events(10, 10)).await;
        assert_eq!(mux.events(1).await, of_feed(&a, 10, 10));
        assert!(!mux.stream.text().contains("mux/gap"), "{}", mux.stream.text());
    }
}

#[tokio::test]
async fn after_a_restart_who_is_further_behind_than_the_first_is_caught_up_with() {
    let origin = Origin::start();
    let mut before = Proxy::before(&origin, FROM_ORIGIN).await;
    let (mut mux, _) = Mux::open(&before.h1(), &["/a"]).await;
    let mut live = origin.opened("/a").await;
    live.send(events(1, 2)).await;
    assert_eq!(mux.events(2).await, of_feed("/a", 1, 2));
    let cursor = mux.stream.last_event_id().split(' ').next().map(str::to_owned);
    before.terminate();
    assert!(before.exit().await.success());
    live.gone().await;

    let after = Proxy::before(&origin, FROM_ORIGIN).await;
    for client in after.clients().await {
        let feed = format!("/{}", client.protocol());
        let from = |id: &str| json!({"feeds": [[feed, id]], "cursor": cursor});
        let (mut ahead, open) = Mux::post(&client, &from("6")).await;
        assert_eq!(open["resumed"], false, "the cursor is of another life");
        let mut live = origin.opened(&feed).await;
        assert_eq!(live.head.text("last-event-id").as_deref(), Some("6"));
        let (mut behind, _) = Mux::post(&client, &from("2")).await;
        live.send(events(7, 8)).await;
        assert_eq!(ahead.events(2).await, of_feed(&feed, 7, 8));
        let mut catch_up = origin.opened(&feed).await;
        assert_eq!(catch_up.head.text("last-event-id").as_deref(), Some("2"));
        catch_up.send(events(3, 8)).await;
        catch_up.gone().await;
        assert_eq!(behind.events(5).await, of_feed(&feed, 3, 7));
        assert_eq!(behind.events(1).await, of_feed(&feed, 8, 8));
        assert!(!behind.stream.text().contains("mux/gap"), "{}", behind.stream.text());
    }
}

#[tokio::test]
async fn an_origin_that_cannot_fill_a_gap_holds_the_other_feeds_up_no_longer() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, FROM_ORIGIN).await;
    for client in proxy.clients().await {
        let [a, b] = ["a", "b"].map(|feed| format!("/{feed}/{}", client.protocol()));
        let (mut first, _) = Mux::open(&client, &[&a, &b]).await;
        let (mut of_a, mut of_b) = (origin.opened(&a).await, origin.opened(&b).await);
        of_a.send(events(1, 5)).await;
        first.events(2).await;
        let (mut mux, ()) = tokio::join!(
            async { Mux::post(&client, &json!({"feeds": [[a, "1"], [b, null]]})).await.0 },
            async {
                origin.request(&a).await.answer("503 Busy", "", "").await;
            }
        );
        let gap = json!({"feed": a, "after": "1", "missed": null});
        assert_eq!(mux.control("mux/gap").await, gap);
        of_b.send(events(1, 1)).await;
        assert_eq!(mux.events(1).await, of_feed(&b, 1, 1));
    }
}
