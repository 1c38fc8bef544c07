//! Which origin gets a request, and what it is told of who asks.

use http::Method;

use crate::smuggling::agreeable;
use crate::support::{
    Client, Exchange, HOST_NAME, LISTENERS, Origin, Proxy, Wire, fields, request,
};

/// Asks for `target`, and answers at `path` of `origin`. Returns what the origin was asked.
async fn asked(
    client: &Client,
    method: Method,
    target: &str,
    origin: &Origin,
    path: &str,
) -> Exchange {
    let (response, exchange) = tokio::join!(client.send(request(method, target)), async {
        let mut exchange = origin.request(path).await;
        // The next request must not be sent on a connection that is about to go.
        exchange.answer("200 OK", "Connection: close\r\n", "").await;
        exchange
    });
    assert_eq!(response.status, 200);
    exchange
}

#[tokio::test]
async fn the_origin_is_told_who_asks_and_how() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for client in proxy.clients().await {
        let (scheme, version) =
            if client.protocol() == "HTTP/2" { ("https", "2") } else { ("http", "1.1") };
        for method in [Method::GET, Method::POST] {
            let (_, exchange) = tokio::join!(client.send(request(method, "/page")), async {
                let mut exchange = origin.request("/page").await;
                exchange.answer("200 OK", "", "").await;
                exchange
            });
            let text = |name| exchange.head.text(name).expect(name);
            assert_eq!(text("host"), HOST_NAME);
            assert_eq!(text("x-forwarded-for"), "127.0.0.1");
            assert_eq!(text("x-forwarded-proto"), scheme);
            assert_eq!(text("x-forwarded-host"), HOST_NAME);
            let forwarded = format!("proto={scheme};host=\"{HOST_NAME}\";for=127.0.0.1");
            assert_eq!(text("forwarded"), forwarded);
            assert_eq!(text("via"), format!("{version} sse-proxy"));
        }
    }
}

#[tokio::test]
async fn the_chain_of_proxies_grows_by_one() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    let before = fields(&[
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=192.0.2.7"),
        ("via", "1.1 cdn"),
    ]);
    for method in [Method::GET, Method::POST] {
        let mut ask = request(method, "/page");
        *ask.headers_mut() = before.clone();
        let client = proxy.h1();
        let (_, exchange) = tokio::join!(client.send(ask), async {
            let mut exchange = origin.request("/page").await;
            exchange.answer("200 OK", "", "").await;
            exchange
        });
        let text = |name| exchange.head.text(name).expect(name);
        assert_eq!(text("x-forwarded-for"), "192.0.2.7, 127.0.0.1");
        assert_eq!(text("x-forwarded-proto"), "https");
        assert!(
            text("forwarded").starts_with("for=192.0.2.7, proto=http;"),
            "{}",
            text("forwarded")
        );
        assert_eq!(text("via"), "1.1 cdn, 1.1 sse-proxy");
    }
}

#[tokio::test]
async fn what_is_for_one_hop_goes_no_further() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for method in ["GET", "POST"] {
        let ask = format!(
            "{method} /page HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n\
             Keep-Alive: timeout=5\r\nTE: deflate\r\nContent-Length: 0\r\nX-End: 1\r\n\r\n"
        );
        let mut wire = Wire::send(proxy.plain(), ask).await;
        let mut exchange = origin.request("/page").await;
        for name in ["x-hop", "keep-alive", "te"] {
            assert_eq!(exchange.head.text(name), None, "{name} of a {method}");
        }
        assert_eq!(exchange.head.text("x-end").as_deref(), Some("1"));
        let answer = "Connection: X-Back\r\nX-Back: 1\r\nKeep-Alive: timeout=9\r\nX-End: 2\r\n";
        exchange.answer("200 OK", answer, "").await;
        let head = wire.text_until("\r\n\r\n").await.to_ascii_lowercase();
        assert!(head.contains("x-end: 2") && !head.contains("x-back: 1"), "{method}: {head}");
        assert!(!head.contains("timeout=9"), "{method}: {head}");
    }
}

/// A configuration with a plain and a TLS listener and these routes: path, upstream, more keys.
fn routes(routes: &[(&str, String, &str)]) -> String {
    let mut config = String::from(LISTENERS);
    for (path, upstream, keys) in routes {
        config.push_str(&format!(
            "[[route]]\npath = \"{path}\"\nupstream = \"{upstream}\"\n{keys}\n"
        ));
    }
    config
}

#[tokio::test]
async fn the_longest_path_wins() {
    let (all, feeds, one) = (Origin::start(), Origin::start(), Origin::start());
    let config = routes(&[
        ("/*", all.url(), ""),
        ("/feeds/*", feeds.url(), ""),
        ("/feeds/one", one.url(), ""),
    ]);
    let proxy = Proxy::start(&config).await;
    for client in proxy.clients().await {
        for method in [Method::GET, Method::POST] {
            for (path, origin) in [
                ("/", &all),
                ("/feeds", &all),
                ("/feeds/", &feeds),
                ("/feeds/two", &feeds),
                ("/feeds/one", &one),
                ("/feeds/one/more", &feeds),
            ] {
                asked(&client, method.clone(), path, origin, path).await;
            }
        }
    }
}

#[tokio::test]
async fn a_host_has_routes_of_its_own() {
    let (any, news) = (Origin::start(), Origin::start());
    let keys = "host = \"news.example\"";
    let config = routes(&[("/*", any.url(), ""), ("/feed", news.url(), keys)]);
    let proxy = Proxy::start(&config).await;
    for client in proxy.clients().await {
        for (host, origin) in [("News.example:8443", &news), ("else.example", &any)] {
            let mut ask = request(Method::GET, "/feed");
            *ask.headers_mut() = fields(&[("host", host)]);
            let (_, exchange) = tokio::join!(client.send(ask), async {
                let mut exchange = origin.request("/feed").await;
                exchange.answer("200 OK", "", "").await;
                exchange
            });
            assert_eq!(exchange.head.text("host").as_deref(), Some(host));
        }
    }
}

#[tokio::test]
async fn the_upstreams_path_replaces_the_routes() {
    let origin = Origin::start();
    let upstream = origin.url();
    let config = routes(&[
        ("/live", format!("{upstream}/stream"), ""),
        ("/api/*", format!("{upstream}/v1"), ""),
    ]);
    let proxy = Proxy::start(&config).await;
    for client in proxy.clients().await {
        for method in [Method::GET, Method::POST] {
            for (target, path, expected) in [
                ("/live", "/stream", "/stream"),
                ("/live?a=b%20c", "/stream", "/stream?a=b%20c"),
                ("/api/x/y?z", "/v1/x/y", "/v1/x/y?z"),
            ] {
                let exchange = asked(&client, method.clone(), target, &origin, path).await;
                assert_eq!(exchange.head.target(), expected);
            }
        }
    }
}

#[tokio::test]
async fn a_target_passes_as_it_was_sent() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for client in proxy.clients().await {
        for method in [Method::GET, Method::POST] {
            for target in ["/a%2Fb/%C3%A9?q=%26+x&&y=", "/a//b/../c/./?", "/~!$&'()*+,;=:@?/?"] {
                let path = target.split('?').next().expect("a path");
                let exchange = asked(&client, method.clone(), target, &origin, path).await;
                assert_eq!(exchange.head.target(), target, "{method} {}", client.protocol());
            }
        }
    }
}

#[tokio::test]
async fn a_path_without_a_route_is_404() {
    let origin = Origin::start();
    let proxy = Proxy::start(&routes(&[("/only", origin.url(), "")])).await;
    for client in proxy.clients().await {
        for method in [Method::GET, Method::POST] {
            assert_eq!(client.send(request(method, "/other")).await.status, 404);
        }
    }
    assert_eq!(origin.accepted(), 0);
}

#[tokio::test]
async fn connections_are_used_again_on_both_sides() {
    let origin = agreeable();
    let proxy = Proxy::before(&origin, "").await;
    let mut wire = Wire::connect(proxy.plain()).await;
    let methods = ["GET", "POST", "GET", "PUT"].repeat(5);
    for method in &methods {
        let head = format!("{method} /page HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
        wire.write(head).await;
        wire.read_until("\r\n\r\nfine").await;
    }
    assert_eq!(origin.heads().len(), methods.len());
    // A request may come before the connection of the one before it is free again.
    assert!(origin.accepted() < methods.len() / 2, "{} connections", origin.accepted());
}

#[tokio::test]
async fn an_answer_of_unknown_length_does_not_cost_the_connection() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    let mut wire = Wire::connect(proxy.plain()).await;
    for method in ["POST", "GET"] {
        wire.write(format!("{method} /page HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"))
            .await;
        let mut exchange = origin.request("/page").await;
        exchange
            .raw("HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
            .await;
        exchange.raw("4\r\nbody\r\n0\r\n\r\n").await;
        drop(exchange);
        wire.read_until("body\r\n0\r\n\r\n").await;
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_431() {
    let origin = Origin::start();
    let config = format!("{}\n[limits]\nheader_bytes = \"4KiB\"", Proxy::config(&origin, ""));
    let proxy = Proxy::start(&config).await;
    let large = "x".repeat(5 << 10);
    for client in proxy.clients().await {
        for method in [Method::GET, Method::POST] {
            let mut ask = request(method.clone(), "/page");
            *ask.headers_mut() = fields(&[("x-large", &large)]);
            assert_eq!(client.send(ask).await.status, 431, "{method} {}", client.protocol());
            let ask = request(method, &format!("/page?{large}"));
            assert_eq!(client.send(ask).await.status, 431, "{}", client.protocol());
        }
    }
    assert_eq!(origin.accepted(), 0);
}
