//! Multiplexed streams that are opened by POST, and changed while they go on.

use http::{HeaderMap, Method};
use serde_json::{Value, json};

use crate::support::{
    Mux, Origin, Proxy, fields, mux_change as change, mux_change_target as change_target,
    mux_post as post, pairs, request,
};

const SHARED: &str = "stream = \"shared\"";

#[tokio::test]
async fn a_post_opens_a_stream_as_a_get_does() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    for client in proxy.clients().await {
        let feed = format!("/{}", client.protocol());
        let wanted = json!({"feeds": [[feed, null], ["no-name", "7"]]});
        let (mut mux, open) = Mux::post(&client, &wanted).await;
        assert_eq!(open["resumed"], false);
        assert_eq!(mux.control("mux/feed").await["status"], 400);
        let mut exchange = origin.opened(&feed).await;
        exchange.send("id: 1\ndata: 1\n\n").await;
        let first = mux.event().await;
        assert_eq!(first.event_type, feed);
        drop(mux);

        exchange.send("id: 2\ndata: 2\n\n").await;
        let cursor = first.last_event_id.split(' ').next();
        let (mut mux, open) =
            Mux::post(&client, &json!({"feeds": [[feed, "1"]], "cursor": cursor})).await;
        assert_eq!(open["resumed"], true);
        assert_eq!(mux.events(1).await, pairs(&[(&feed, "2")]));
        assert!(!mux.stream.text().contains("mux/gap"));
    }
}

#[tokio::test]
async fn feeds_come_and_go_while_the_stream_goes_on() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    for client in proxy.clients().await {
        let [a, b] = ["a", "b"].map(|name| format!("/{}/{name}", client.protocol()));
        let (mut mux, open) = Mux::open(&client, &[&a]).await;
        let mut at_a = origin.opened(&a).await;
        mux.state(&a, "open").await;
        assert_eq!(change(&client, &open, &[&b, "no-name"], &[]).await, 204);
        assert_eq!(mux.state("no-name", "closed").await["status"], 400);
        let mut at_b = origin.opened(&b).await;
        mux.state(&b, "open").await;
        at_b.send("data: b1\n\n").await;
        at_a.send("data: a1\n\n").await;
        let mut both = mux.events(2).await;
        both.sort();
        assert_eq!(both, pairs(&[(&a, "a1"), (&b, "b1")]));

        assert_eq!(change(&client, &open, &[], &[&a, "/never"]).await, 204);
        // A change is made before what comes after its answer.
        at_a.send("data: unheard\n\n").await;
        at_b.send("data: b2\n\n").await;
        assert_eq!(mux.events(1).await, pairs(&[(&b, "b2")]));
        drop(mux);
    }
}

#[tokio::test]
async fn a_stream_is_changed_by_who_opened_it_and_nobody_else() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, SHARED).await;
    let client = proxy.h1();
    let ann = fields(&[("cookie", "session=ann")]);
    let (mux, open) = Mux::open_with(&client, &["/a"], ann.clone()).await;
    let target = change_target(&open);
    let status = async |target: &str, headers: HeaderMap| {
        post(&client, target, &json!({}), headers).await.status.as_u16()
    };
    assert_eq!(status(&target, ann.clone()).await, 204);
    assert_eq!(status(&target, fields(&[("cookie", "session=bob")])).await, 403);
    assert_eq!(status(&target, fields(&[("authorization", "session=ann")])).await, 403);
    assert_eq!(status(&target, HeaderMap::new()).await, 403);
    for unknown in ["/.sse/mux/", "/.sse/mux/1", "/.sse/mux/00000000000000000000000000000000"] {
        assert_eq!(status(unknown, ann.clone()).await, 404, "{unknown}");
    }
    drop(mux);
    crate::support::eventually("the stream is forgotten", async || {
        status(&target, ann.clone()).await == 404
    })
    .await;
}

#[tokio::test]
async fn what_is_no_such_request_is_refused() {
    let origin = Origin::start();
    let config = format!("{}\n[mux]\nmax_feeds = 2", Proxy::config(&origin, SHARED));
    let proxy = Proxy::start(&config).await;
    for client in proxy.clients().await {
        let (_mux, open) = Mux::open(&client, &["/a"]).await;
        let target = change_target(&open);
        let status = async |target: &str, json: Value| {
            post(&client, target, &json, HeaderMap::new()).await.status.as_u16()
        };
        for json in [json!(null), json!({}), json!({"feeds": ["/a"]}), json!({"feeds": []})] {
            assert_eq!(status("/.sse/mux", json.clone()).await, 400, "{json}");
        }
        for json in [json!(null), json!({"add": ["/a"]}), json!({"remove": [1]})] {
            assert_eq!(status(&target, json.clone()).await, 400, "{json}");
        }
        let three = json!([["/a", null], ["/b", null], ["/c", null]]);
        assert_eq!(status("/.sse/mux", json!({"feeds": three})).await, 400);
        assert_eq!(status(&target, json!({"add": three})).await, 400);
        let large = json!({"remove": [" ".repeat(64 << 10)]});
        assert_eq!(status("/.sse/mux", large.clone()).await, 413);
        assert_eq!(status(&target, large).await, 413);
        for (target, allowed) in
            [("/.sse/mux?feed=/a", "GET, POST, OPTIONS"), (&target, "POST, OPTIONS")]
        {
            for (method, status) in [(Method::DELETE, 405), (Method::OPTIONS, 204)] {
                let answer = client.send(request(method, target)).await;
                let told = (answer.status.as_u16(), answer.values("allow"));
                assert_eq!(told, (status, vec![allowed]));
            }
        }
    }
}
