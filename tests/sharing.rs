//! Who shares a feed, and what of one client others may see.

use http::HeaderMap;

use crate::support::{Client, Exchange, Origin, Proxy, Stream, fields};

/// A reader with these header fields, for whom the origin is asked anew.
async fn opens(
    client: &Client,
    origin: &Origin,
    target: &str,
    headers: HeaderMap,
) -> (Stream, Exchange) {
    let path = target.split('?').next().expect("a path");
    tokio::join!(client.open_with(target, headers), origin.opened(path))
}

/// Asserts that a reader with these header fields joins the stream that `exchange` is.
async fn joins(client: &Client, target: &str, headers: HeaderMap, exchange: &mut Exchange) {
    let mut stream = client.open_with(target, headers).await;
    exchange.send("data: for all\n\n").await;
    assert_eq!(stream.data().await, "for all");
}

#[tokio::test]
async fn whoever_sends_a_cookie_has_a_stream_of_his_own() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "stream = \"shared\"").await;
    for client in proxy.clients().await {
        for cookie in ["session=ann", "session=bob"] {
            let headers = fields(&[("cookie", cookie)]);
            let (mut stream, mut exchange) = opens(&client, &origin, "/feed", headers).await;
            assert_eq!(exchange.head.text("cookie").as_deref(), Some(cookie));
            exchange.send(format!("data: {cookie}\n\n")).await;
            assert_eq!(stream.data().await, cookie);
        }
    }
}

#[tokio::test]
async fn whoever_sends_authorization_has_a_stream_of_his_own() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "stream = \"shared\"").await;
    for client in proxy.clients().await {
        let path = format!("/{}", client.protocol());
        let (_nobody, mut for_all) = opens(&client, &origin, &path, HeaderMap::new()).await;
        let headers = fields(&[("authorization", "Bearer ann")]);
        let (mut stream, mut exchange) = opens(&client, &origin, &path, headers).await;
        assert_eq!(exchange.head.text("authorization").as_deref(), Some("Bearer ann"));
        for_all.send("data: public\n\n").await;
        exchange.send("data: secret\n\n").await;
        assert_eq!(stream.data().await, "secret");
    }
}

#[tokio::test]
async fn a_feed_can_be_shared_by_a_cookie() {
    let origin = Origin::start();
    let keys = "stream = \"shared\"\nshare_by = [\"cookie:tenant\"]";
    let proxy = Proxy::before(&origin, keys).await;
    let client = proxy.h1();
    let ann = fields(&[("cookie", "session=ann; tenant=x")]);
    let (_ann, mut of_x) = opens(&client, &origin, "/feed", ann).await;
    assert_eq!(of_x.head.text("cookie").as_deref(), Some("tenant=x"), "and nothing of Ann's");
    let bob = fields(&[("cookie", "tenant=x; session=bob")]);
    joins(&client, "/feed", bob, &mut of_x).await;
    let eve = fields(&[("cookie", "tenant=y")]);
    let (_eve, of_y) = opens(&client, &origin, "/feed", eve).await;
    assert_eq!(of_y.head.text("cookie").as_deref(), Some("tenant=y"));
}

#[tokio::test]
async fn a_feed_can_be_shared_by_a_header() {
    let origin = Origin::start();
    let keys = "stream = \"shared\"\nshare_by = [\"query\", \"header:authorization\"]";
    let proxy = Proxy::before(&origin, keys).await;
    let client = proxy.h1();
    let ann = || fields(&[("authorization", "Bearer ann")]);
    let (_ann, mut for_ann) = opens(&client, &origin, "/feed", ann()).await;
    joins(&client, "/feed", ann(), &mut for_ann).await;
    let (_bob, for_bob) =
        opens(&client, &origin, "/feed", fields(&[("authorization", "Bearer bob")])).await;
    assert_eq!(for_bob.head.text("authorization").as_deref(), Some("Bearer bob"));
}

#[tokio::test]
async fn another_query_is_another_feed() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "stream = \"shared\"").await;
    let client = proxy.h1();
    let (_one, mut one) = opens(&client, &origin, "/feed?room=1", HeaderMap::new()).await;
    let (_two, two) = opens(&client, &origin, "/feed?room=2", HeaderMap::new()).await;
    assert_eq!((one.head.target(), two.head.target()), ("/feed?room=1", "/feed?room=2"));
    joins(&client, "/feed?room=1", HeaderMap::new(), &mut one).await;
    // A query that only says where to go on is not part of the feed's name.
    joins(&client, "/feed?room=1&lastEventId=7", HeaderMap::new(), &mut one).await;
}

#[tokio::test]
async fn a_query_can_be_of_no_account() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "stream = \"shared\"\nshare_by = []").await;
    let client = proxy.h1();
    let (_one, mut one) = opens(&client, &origin, "/feed?who=ann", HeaderMap::new()).await;
    assert_eq!(one.head.target(), "/feed", "the origin cannot tell who asked first");
    joins(&client, "/feed?who=bob", HeaderMap::new(), &mut one).await;
}

#[tokio::test]
async fn another_host_is_another_feed() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "stream = \"shared\"").await;
    let client = proxy.h1();
    for host in ["a.example", "b.example"] {
        let headers = fields(&[("host", host)]);
        let (_stream, exchange) = opens(&client, &origin, "/feed", headers).await;
        assert_eq!(exchange.head.text("host").as_deref(), Some(host));
    }
}

#[tokio::test]
async fn what_the_origin_says_to_one_client_is_not_said_to_others() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "stream = \"shared\"").await;
    for client in proxy.clients().await {
        let path = format!("/{}", client.protocol());
        let (first, _exchange) = client
            .open_from_with(&origin, &path, "Set-Cookie: session=ann\r\nX-Feed: news\r\n")
            .await;
        let second = client.open(&path).await;
        for stream in [first, second] {
            assert!(stream.response.values("set-cookie").is_empty());
            assert_eq!(stream.response.values("x-feed"), ["news"]);
        }
    }
}

#[tokio::test]
async fn a_cookie_set_with_a_refusal_is_not_shared_either() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "stream = \"shared\"").await;
    let (response, ()) = tokio::join!(async { proxy.h1().get("/feed").await }, async {
        let mut exchange = origin.request("/feed").await;
        exchange.answer("403 Forbidden", "Set-Cookie: session=ann\r\n", "no").await;
    });
    assert_eq!(response.status, 403);
    assert!(response.values("set-cookie").is_empty());
}

#[tokio::test]
async fn nothing_of_the_first_reader_reaches_the_origin() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "stream = \"shared\"").await;
    let headers = fields(&[
        ("user-agent", "ann's browser"),
        ("referer", "http://intranet/ann"),
        ("x-request-id", "7"),
        ("last-event-id", "5"),
    ]);
    let (_stream, exchange) = opens(&proxy.h1(), &origin, "/feed", headers).await;
    for name in ["user-agent", "referer", "x-request-id", "last-event-id", "x-forwarded-for"] {
        assert_eq!(exchange.head.text(name), None, "{name}");
    }
    assert_eq!(exchange.head.text("accept").as_deref(), Some("text/event-stream"));
}

#[tokio::test]
async fn what_is_no_stream_passes_whole_on_a_shared_route_too() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "stream = \"shared\"").await;
    let page = "x".repeat(300 << 10);
    for client in proxy.clients().await {
        let (response, ()) = tokio::join!(client.get("/app.js"), async {
            let mut exchange = origin.request("/app.js").await;
            exchange.answer("200 OK", "Content-Type: text/javascript\r\n", &page).await;
        });
        assert_eq!(response.text().await.len(), page.len(), "{}", client.protocol());
    }
}
