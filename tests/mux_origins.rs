//! Multiplexed streams, and pages: those of another site open none, unless a route lets them.

use http::{HeaderMap, Method};
use serde_json::json;

use crate::support::{
    Client, HOST_NAME, Mux, Origin, Proxy, Response, Stream, fields,
    mux_change_target as changed_at, mux_post as post, pairs, request,
};

const APP: &str = "https://app.example";

/// One route that lets pages of another site in, with cookies, one without, and one not at all.
async fn proxy(origin: &Origin) -> Proxy {
    let upstream = origin.url();
    let keys = format!(
        r#"stream = "shared"
        [[route]]
        path = "/open/*"
        upstream = "{upstream}"
        stream = "shared"
        cors = {{ origins = ["{APP}"], credentials = true }}
        [[route]]
        path = "/public/*"
        upstream = "{upstream}"
        stream = "shared"
        cors = {{ origins = ["*"] }}"#
    );
    Proxy::before(origin, &keys).await
}

fn from_page(origin: &str) -> HeaderMap {
    fields(&[("origin", origin)])
}

async fn ask(client: &Client, headers: HeaderMap, feeds: &[&str]) -> Response {
    let feeds: Vec<_> = feeds.iter().map(|feed| json!([feed, null])).collect();
    post(client, "/.sse/mux", &json!({"feeds": feeds}), headers).await
}

#[tokio::test]
async fn pages_of_the_own_site_open_streams_and_are_not_named_to_the_origin() {
    let origin = Origin::start();
    let proxy = proxy(&origin).await;
    for client in proxy.clients().await {
        let feed = format!("/{}", client.protocol());
        let own = from_page(&format!("https://{HOST_NAME}"));
        let wanted = json!({"feeds": [[feed, null]]});
        let (mut mux, open) = Mux::post_with(&client, &wanted, own.clone()).await;
        let mut exchange = origin.opened(&feed).await;
        assert_eq!(exchange.head.text("origin"), None, "as for a GET of its own");
        assert_eq!(exchange.head.text("content-type"), None);
        assert_eq!(exchange.head.text("content-length"), None);
        // Whoever asks for the feed alone gets the same one.
        let mut alone = client.open(&feed).await;
        exchange.send("data: x\n\n").await;
        assert_eq!(mux.events(1).await, pairs(&[(&feed, "x")]));
        assert_eq!(alone.data().await, "x");
        let target = changed_at(&open);
        assert_eq!(post(&client, &target, &json!({}), own).await.status, 204);
        for other in ["https://evil.example", "null"] {
            let answer = post(&client, &target, &json!({}), from_page(other)).await;
            assert_eq!(answer.status, 403, "{other}");
        }
    }
}

#[tokio::test]
async fn pages_of_other_sites_get_the_feeds_of_routes_that_let_them_in() {
    let origin = Origin::start();
    let proxy = proxy(&origin).await;
    let client = proxy.h1();
    let feeds = ["/open/a", "/public/a", "/closed"];
    let cookie = fields(&[("origin", APP), ("cookie", "s=1")]);
    for (headers, credentials, closed) in [
        (from_page(APP), true, vec!["/closed"]),
        (from_page("https://else.example"), false, vec!["/open/a", "/closed"]),
        (cookie, true, vec!["/public/a", "/closed"]),
    ] {
        let page = headers["origin"].to_str().expect("text").to_owned();
        let answer = ask(&client, headers, &feeds).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.values("access-control-allow-origin"), [page.as_str()]);
        assert_eq!(answer.values("vary"), ["Origin"]);
        let expected = if credentials { vec!["true"] } else { vec![] };
        assert_eq!(answer.values("access-control-allow-credentials"), expected);
        let mut mux = Mux { stream: Stream::of(answer) };
        mux.control("mux/open").await;
        for feed in closed {
            let told = json!({"feed": feed, "state": "closed", "status": 403});
            assert_eq!(mux.control("mux/feed").await, told, "{page}");
        }
    }
}

#[tokio::test]
async fn pages_of_other_sites_open_nothing_where_no_route_lets_them_in() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "stream = \"shared\"").await;
    for client in proxy.clients().await {
        for page in [APP, "null", "https://proxy.example:8443", "nonsense"] {
            assert_eq!(ask(&client, from_page(page), &["/a"]).await.status, 403, "{page}");
            let get = client.try_events("/.sse/mux?feed=/a", from_page(page)).await;
            assert_eq!(get.expect("an answer").status, 403, "{page}");
        }
    }
    assert_eq!(origin.accepted(), 0);
}

#[tokio::test]
async fn a_browser_that_asks_first_is_told_what_a_page_may_do() {
    let origin = Origin::start();
    let proxy = proxy(&origin).await;
    for client in proxy.clients().await {
        for target in ["/.sse/mux", "/.sse/mux/00000000000000000000000000000000"] {
            let preflight = async |page: &str| {
                let mut request = request(Method::OPTIONS, target);
                *request.headers_mut() = fields(&[
                    ("origin", page),
                    ("access-control-request-method", "POST"),
                    ("access-control-request-headers", "content-type"),
                ]);
                client.send(request).await
            };
            let allowed = preflight(APP).await;
            assert_eq!(allowed.status, 204);
            assert_eq!(allowed.values("access-control-allow-origin"), [APP]);
            assert_eq!(allowed.values("access-control-allow-methods"), ["GET, POST"]);
            assert_eq!(
                allowed.values("access-control-allow-headers"),
                ["last-event-id, content-type"]
            );
            assert_eq!(allowed.values("access-control-allow-credentials"), ["true"]);
            let other = preflight("https://else.example").await;
            assert!(other.values("access-control-allow-credentials").is_empty());
        }
    }
}
