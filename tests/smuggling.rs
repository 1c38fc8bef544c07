//! Requests that try to be two: one per test, with what is tried, and why it would matter.

use http::Method;

use crate::support::{Ending, Head, Origin, Proxy, Wire, fields, request};

/// An origin that answers everything, and how often it was asked for what.
pub(crate) fn agreeable() -> Origin {
    Origin::scripted(|mut exchange| async move {
        loop {
            exchange.body().await;
            exchange.answer("200 OK", "", "fine").await;
            let Some(next) = exchange.next().await else { return };
            exchange = next;
        }
    })
}

/// A request behind the others, after whose answer the connection is closed.
const LAST: &str = "GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

/// Sends bytes on a connection of their own, and returns what came back and what the origin saw.
async fn tried(bytes: &str) -> (String, Vec<Head>) {
    let origin = agreeable();
    let proxy = Proxy::before(&origin, "").await;
    let mut wire = Wire::send(proxy.plain(), format!("{bytes}{LAST}")).await;
    let answer = wire.rest_as_text().await;
    (answer, origin.heads())
}

fn lines(heads: &[Head]) -> Vec<String> {
    heads.iter().map(Head::line).collect()
}

/// Asserts that everything the origin took for a request had been one to the proxy, which marks
/// each, and that the origin is left no choice about where its body ends.
fn assert_nothing_smuggled(attack: &str, heads: &[Head]) {
    for head in heads {
        assert!(head.text("via").is_some(), "{attack:?} went past us: {:?}", lines(heads));
        let framings = ["content-length", "transfer-encoding"].map(|name| head.values(name).len());
        assert!(framings[0] + framings[1] <= 1, "{attack:?}: {}", head.bytes.escape_ascii());
    }
}

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: evil.example\r\n\r\n";

// A length and chunks at once: where proxy and origin believe different ones, the rest of a body
// becomes a request that nobody checked.
#[tokio::test]
async fn two_framings_of_one_body_do_not_smuggle_a_request() {
    for (length, body) in
        [(6, format!("0\r\n\r\n{SMUGGLED}")), (51, format!("0\r\n\r\n{SMUGGLED}"))]
    {
        let attack = format!(
            "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\
             Transfer-Encoding: chunked\r\n\r\n{body}"
        );
        let (_, heads) = tried(&attack).await;
        assert_nothing_smuggled(&attack, &heads);
    }
}

// Two lengths: the same trick with other means.
#[tokio::test]
async fn two_lengths_of_one_body_do_not_smuggle_a_request() {
    for lengths in [
        "Content-Length: 0\r\nContent-Length: 46\r\n",
        "Content-Length: 46\r\nContent-Length: 0\r\n",
        "Content-Length: 0, 46\r\n",
        "Content-Length: +46\r\n",
        "Content-Length: 0x2e\r\n",
    ] {
        let attack = format!("POST /a HTTP/1.1\r\nHost: h\r\n{lengths}\r\n{SMUGGLED}");
        let (answer, heads) = tried(&attack).await;
        assert!(heads.is_empty(), "{lengths:?} reached the origin: {:?}", lines(&heads));
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{lengths:?}: {answer}");
    }
}

// Spellings of chunked that one parser takes and another does not.
#[tokio::test]
async fn an_odd_transfer_coding_does_not_smuggle_a_request() {
    for coding in [
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer_Encoding: chunked",
        "X: y\nTransfer-Encoding: chunked",
    ] {
        for length in [5, 51] {
            let attack = format!(
                "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n{coding}\r\n\r\n\
                 0\r\n\r\n{SMUGGLED}"
            );
            let (_, heads) = tried(&attack).await;
            assert_nothing_smuggled(&attack, &heads);
        }
    }
}

// A GET with a body: what is taken out of pingora's hands must not leave the body behind as the
// next request.
#[tokio::test]
async fn the_body_of_a_get_is_no_request() {
    let length = SMUGGLED.len();
    for framing in [
        format!("Content-Length: {length}\r\n\r\n{SMUGGLED}"),
        format!("Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{SMUGGLED}\r\n0\r\n\r\n"),
    ] {
        for path in ["/a", "/.sse/mux?feed=/a"] {
            let attack = format!("GET {path} HTTP/1.1\r\nHost: h\r\n{framing}");
            let (_, heads) = tried(&attack).await;
            assert_nothing_smuggled(&attack, &heads);
            assert!(heads.iter().all(|head| head.path() != "/smuggled"), "{:?}", lines(&heads));
        }
    }
}

// Without a host, or with two, proxy and origin may think of different sites.
#[tokio::test]
async fn a_request_has_one_host() {
    let mut accepted = Vec::new();
    for hosts in ["", "Host: a.example\r\nHost: b.example\r\n", "Host: a.example, b.example\r\n"] {
        for method in ["GET", "POST"] {
            let head = format!("{method} /a HTTP/1.1\r\n{hosts}Content-Length: 0\r\n\r\n");
            let (answer, heads) = tried(&head).await;
            if !answer.starts_with("HTTP/1.1 400") || !heads.is_empty() {
                accepted.push((method, hosts));
            }
        }
    }
    // RFC 9112, 3.2: such a request must be answered with 400.
    assert!(accepted.is_empty(), "{accepted:?}");
}

// Requests on a connection that has become HTTP/2 would come past every rule of the proxy.
#[tokio::test]
async fn a_connection_never_becomes_http_2_behind_the_proxy() {
    for protocol in ["h2c", "websocket, h2c", "HTTP/2.0", "TLS/1.3, HTTP/1.1"] {
        let ask = format!(
            "GET /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\n\
             Upgrade: {protocol}\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
        );
        let (answer, heads) = tried(&ask).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{protocol}: {answer}");
        for head in heads {
            assert_eq!(head.text("upgrade"), None, "{protocol}");
            assert_eq!(head.text("http2-settings"), None, "{protocol}");
        }
    }
}

// What is for this hop alone counts only if it is named so.
#[tokio::test]
async fn an_upgrade_that_connection_does_not_name_is_none() {
    let ask = "GET /a HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n";
    let (answer, heads) = tried(ask).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(heads.iter().all(|head| head.text("upgrade").is_none()));
}

// A client that did not ask for it would take what follows for the answer to its next request.
#[tokio::test]
async fn an_origin_cannot_switch_protocols_on_its_own() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for client in proxy.clients().await {
        for method in [Method::GET, Method::POST] {
            let (answer, ()) = tokio::join!(client.send(request(method, "/a")), async {
                let mut exchange = origin.request("/a").await;
                let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                            Upgrade: websocket\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
                exchange.raw(head).await;
            });
            assert_eq!(answer.status, 502, "{}", client.protocol());
        }
    }
}

// A proxy that builds tunnels for anybody leads into the network behind it.
#[tokio::test]
async fn no_tunnel_is_built() {
    for (target, refusal) in [("127.0.0.1:1", 400), ("/a", 405)] {
        let (answer, heads) = tried(&format!("CONNECT {target} HTTP/1.1\r\nHost: h\r\n\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {refusal} ")), "{target}: {answer}");
        assert!(heads.is_empty());
    }
}

// Whoever merges trailers into the head would believe them.
#[tokio::test]
async fn trailers_cannot_frame_a_message() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for client in proxy.clients().await {
        let mut ask = request(Method::POST, "/a");
        *ask.headers_mut() = fields(&[("te", "trailers")]);
        let (mut answer, ()) = tokio::join!(client.send(ask), async {
            let mut exchange = origin.request("/a").await;
            exchange.raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            let trailers = "Content-Length: 0\r\nTransfer-Encoding: gzip\r\nX-Sum: 1\r\n";
            exchange.raw(format!("1\r\nx\r\n0\r\n{trailers}\r\n")).await;
        });
        assert_eq!(answer.rest().await, (b"x".to_vec(), Ending::Orderly), "{}", client.protocol());
        let trailers = answer.trailers.take().unwrap_or_default();
        assert!(
            !trailers.contains_key("content-length") && !trailers.contains_key("transfer-encoding")
        );
    }
}

// The second of two requests that come together must not cost the first its answer.
#[tokio::test]
async fn a_request_that_comes_too_early_does_not_end_the_one_before_it() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for method in ["GET", "POST"] {
        let ask =
            |path| format!("{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
        let mut wire = Wire::send(proxy.plain(), ask("/first")).await;
        let mut exchange = origin.request("/first").await;
        wire.write(ask("/second")).await;
        exchange.answer("200 OK", "", "the first").await;
        let answer = wire.text_until("the first").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}
