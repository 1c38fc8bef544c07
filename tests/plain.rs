//! Everything that is no stream is proxied as it is: methods, bodies, statuses, upgrades.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame};

use crate::smuggling::agreeable;
use crate::support::{
    Client, Ending, HOST_NAME, Origin, Proxy, RequestBody, Stream, Wire, at_once, fields, request,
};

/// A body of unknown length.
struct Pieces(Vec<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.pop().map(|piece| Ok(Frame::data(piece))))
    }
}

/// A request whose body comes in these pieces, and whose length is not told.
pub(crate) fn upload(method: Method, target: &str, pieces: Vec<Bytes>) -> Request<RequestBody> {
    let pieces: Vec<_> = pieces.into_iter().rev().collect();
    request(method, target).map(|_| Pieces(pieces).boxed())
}

/// A request whose body has a known length.
fn upload_whole(method: Method, target: &str, body: &str) -> Request<RequestBody> {
    let body = Bytes::copy_from_slice(body.as_bytes());
    request(method, target).map(|_| http_body_util::Full::new(body).boxed())
}

fn megabytes(count: usize) -> Vec<u8> {
    (0..count << 20).map(|n| u8::try_from(n % 251).expect("less than 251")).collect()
}

#[tokio::test]
async fn large_bodies_pass_both_ways() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    let body = megabytes(3);
    for client in proxy.clients().await {
        let pieces = body.chunks(100_000).map(Bytes::copy_from_slice).collect();
        let sent = client.send(upload(Method::POST, "/upload", pieces));
        let (mut response, ()) = tokio::join!(sent, async {
            let mut exchange = origin.request("/upload").await;
            assert!(exchange.body().await == body, "{}", client.protocol());
            exchange.raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            // The answer is written while it is being read.
            let back = body.clone();
            tokio::spawn(async move {
                for piece in back.chunks(70_000) {
                    exchange.send(piece).await;
                }
                exchange.end().await;
            });
        });
        let (found, ending) = response.rest().await;
        assert_eq!((found.len(), ending), (body.len(), Ending::Orderly), "{}", client.protocol());
        assert!(found == body, "{}", client.protocol());
    }
}

#[tokio::test]
async fn an_upload_leaves_nothing_behind_on_the_origins_connection() {
    const UPLOADS: usize = 20;
    for protocol in 0..2 {
        let origin = agreeable();
        let proxy = Proxy::before(&origin, "").await;
        let client = &proxy.clients().await[protocol];
        for _ in 0..UPLOADS {
            let pieces = vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")];
            let response = client.send(upload(Method::POST, "/upload", pieces)).await;
            assert_eq!(response.text().await, "fine");
        }
        for head in origin.heads() {
            assert_eq!(head.line(), "POST /upload HTTP/1.1", "{}", client.protocol());
        }
        assert!(origin.accepted() < UPLOADS, "no connection was used twice");
    }
}

#[tokio::test]
async fn every_method_passes_with_its_body() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for client in proxy.clients().await {
        for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "REPORT"] {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let sent = upload_whole(method.clone(), "/thing?a=b", "the body");
            let (response, ()) = tokio::join!(client.send(sent), async {
                let mut exchange = origin.request("/thing").await;
                assert_eq!(exchange.head.method(), method.as_str());
                assert_eq!(exchange.head.target(), "/thing?a=b");
                assert_eq!(exchange.body().await, b"the body");
                exchange
                    .answer("202 Accepted", "X-Answer: yes\r\nConnection: close\r\n", "done")
                    .await;
            });
            assert_eq!(response.status, 202);
            assert_eq!(response.values("x-answer"), ["yes"]);
            assert_eq!(response.text().await, "done");
        }
    }
}

#[tokio::test]
async fn head_has_the_fields_of_get_and_no_body() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for client in proxy.clients().await {
        let (response, ()) = tokio::join!(client.send(request(Method::HEAD, "/page")), async {
            let mut exchange = origin.request("/page").await;
            assert_eq!(exchange.head.method(), "HEAD");
            exchange.raw("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nX-A: b\r\n\r\n").await;
        });
        assert_eq!(response.values("content-length"), ["1234"]);
        assert_eq!(response.values("x-a"), ["b"]);
        assert_eq!(response.text().await, "");
    }
}

/// A GET answered so passes with its status, these fields, and its body.
async fn passes(
    client: &Client,
    origin: &Origin,
    status: &str,
    answer: &[(&str, &str)],
    body: &str,
) {
    let lines: String = answer.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let (response, ()) = tokio::join!(client.get("/page"), async {
        let mut exchange = origin.request("/page").await;
        exchange.answer(status, &lines, body).await;
    });
    assert!(status.starts_with(response.status.as_str()), "{status} became {}", response.status);
    for (name, _) in answer {
        let expected = answer.iter().filter(|(other, _)| other == name).map(|(_, value)| *value);
        assert_eq!(response.values(name), expected.collect::<Vec<_>>(), "{status}");
    }
    assert_eq!(response.text().await, body, "{status}");
}

#[tokio::test]
async fn every_answer_passes_as_it_is() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for client in proxy.clients().await {
        let html = ("content-type", "text/html");
        passes(
            &client,
            &origin,
            "200 OK",
            &[html, ("set-cookie", "a"), ("set-cookie", "b")],
            "<p>",
        )
        .await;
        passes(&client, &origin, "301 Moved", &[("location", "https://else.example/x")], "").await;
        passes(&client, &origin, "307 Elsewhere", &[("location", "/y?z")], "there").await;
        passes(&client, &origin, "206 Partial", &[("content-range", "bytes 0-2/9")], "abc").await;
        passes(&client, &origin, "401 Who", &[("www-authenticate", "Basic realm=\"x\"")], "no")
            .await;
        passes(&client, &origin, "503 Busy", &[("retry-after", "7")], "later").await;
        let coded = [("content-encoding", "gzip"), ("vary", "accept-encoding")];
        passes(&client, &origin, "200 OK", &coded, "not looked at").await;
    }
}

#[tokio::test]
async fn not_modified_passes_without_a_body() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for client in proxy.clients().await {
        let mut ask = request(Method::GET, "/page");
        *ask.headers_mut() = fields(&[("if-none-match", "\"v1\"")]);
        let (response, ()) = tokio::join!(client.send(ask), async {
            let mut exchange = origin.request("/page").await;
            assert_eq!(exchange.head.text("if-none-match").as_deref(), Some("\"v1\""));
            exchange.raw("HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\n\r\n").await;
        });
        assert_eq!(response.status, 304);
        assert_eq!(response.values("etag"), ["\"v1\""]);
        assert_eq!(response.text().await, "");
    }
}

#[tokio::test]
async fn a_web_socket_passes() {
    // However soon the origin agrees, and however late.
    const TRIES: usize = 40;
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    let handshake = format!(
        "GET /chat HTTP/1.1\r\nHost: {HOST_NAME}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    for _ in 0..TRIES {
        let mut wire = Wire::send(proxy.plain(), &handshake).await;
        let mut exchange = origin.request("/chat").await;
        let text = |name| exchange.head.text(name).unwrap_or_default();
        assert_eq!(text("upgrade"), "websocket");
        assert_eq!(text("connection").to_ascii_lowercase(), "upgrade");
        assert_eq!(text("sec-websocket-version"), "13");
        exchange
            .raw("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            .await;
        let head = wire.text_until("\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.to_ascii_lowercase().contains("upgrade: websocket"), "{head}");
        for message in ["\u{81}\u{5}hello", "data: these are no events\n\n"] {
            wire.write(message).await;
            assert_eq!(exchange.receive().await, message.as_bytes());
            exchange.raw(message).await;
            assert_eq!(wire.text_until(message).await, message);
        }
        drop(wire);
        at_once("the client has gone", exchange.gone()).await;
    }
}

#[tokio::test]
async fn a_posts_answer_streams_event_by_event_and_ends_with_its_client() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for client in proxy.clients().await {
        let sent = client.send(upload_whole(Method::POST, "/chat", "{\"prompt\":\"hi\"}"));
        let (response, mut exchange) = tokio::join!(sent, async {
            let mut exchange = origin.request("/chat").await;
            exchange.body().await;
            exchange.open().await;
            exchange
        });
        let mut stream = Stream::of(response);
        for word in ["Hello", "again"] {
            exchange.send(format!("data: {word}\n\n")).await;
            assert_eq!(stream.data().await, word);
        }
        drop(stream);
        at_once(client.protocol(), exchange.gone()).await;
    }
}

#[tokio::test]
async fn a_route_that_is_off_passes_a_stream_byte_by_byte() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "stream = \"off\"").await;
    for client in proxy.clients().await {
        let (mut stream, mut exchange) = client.open_from(&origin, "/feed").await;
        for piece in ["Data: ha", "lf\r\n", "\r\n"] {
            exchange.send(piece).await;
            assert_eq!(stream.text_until(piece).await, piece);
        }
        exchange.end().await;
        assert_eq!(stream.rest().await, (vec![], Ending::Orderly));
    }
}

#[tokio::test]
async fn an_upload_may_wait_for_leave_to_go_on() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    let head = "POST /big HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    let mut wire = Wire::send(proxy.plain(), head).await;
    let mut exchange = origin.request("/big").await;
    exchange.raw("HTTP/1.1 100 Continue\r\n\r\n").await;
    let head = wire.text_until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 100 "), "{head}");
    wire.write("body").await;
    assert_eq!(exchange.body().await, b"body");
    exchange.answer("201 Created", "", "").await;
    let head = wire.text_until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 201 "), "{head}");
}

#[tokio::test]
async fn trailers_pass_that_are_announced_or_asked_for() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for method in ["GET", "POST"] {
        for (asked, announced) in [("TE: trailers\r\n", ""), ("", "Trailer: X-Sum\r\n")] {
            let ask =
                format!("{method} /sum HTTP/1.1\r\nHost: h\r\n{asked}Content-Length: 0\r\n\r\n");
            let mut wire = Wire::send(proxy.plain(), ask).await;
            let mut exchange = origin.request("/sum").await;
            let te = (!asked.is_empty()).then_some("trailers");
            assert_eq!(exchange.head.text("te").as_deref(), te);
            let head = format!("HTTP/1.1 200 OK\r\n{announced}Transfer-Encoding: chunked\r\n\r\n");
            exchange.raw(head).await;
            exchange.raw("4\r\nbody\r\n0\r\nX-Sum: 42\r\nConnection: x\r\n\r\n").await;
            let head = wire.text_until("\r\n\r\n").await.to_ascii_lowercase();
            assert_eq!(head.contains("trailer: x-sum\r\n"), !announced.is_empty(), "{head}");
            assert_eq!(wire.rest_as_text().await, "4\r\nbody\r\n0\r\nx-sum: 42\r\n\r\n");
        }
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_seen_to_break_off() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for client in proxy.clients().await {
        for method in [Method::GET, Method::POST] {
            for framing in [
                "Content-Length: 100\r\n\r\nhalf",
                "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
            ] {
                let sent = client.send(request(method.clone(), "/page"));
                let (mut response, ()) = tokio::join!(sent, async {
                    let mut exchange = origin.request("/page").await;
                    exchange.raw(format!("HTTP/1.1 200 OK\r\n{framing}")).await;
                });
                let ending = response.rest().await.1;
                let what = format!("{method} {} {framing:?}", client.protocol());
                assert_eq!(ending, Ending::BrokenOff, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn an_origin_that_cannot_be_reached_is_502() {
    let mut origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    origin.stop_listening().await;
    for client in proxy.clients().await {
        for method in [Method::GET, Method::POST, Method::PUT] {
            assert_eq!(client.send(request(method, "/page")).await.status, 502);
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_upload() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    let head = "POST /big HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nhalf";
    let wire = Wire::send(proxy.plain(), head).await;
    let mut exchange = origin.request("/big").await;
    assert_eq!(exchange.receive().await, b"half");
    drop(wire);
    at_once("the upload is broken off", exchange.gone()).await;
}
