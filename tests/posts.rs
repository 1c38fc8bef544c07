//! Streams that are asked for by POST: language models, and MCP over HTTP.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;

use crate::support::{
    Client, Ending, Exchange, Origin, Proxy, RequestBody, Stream, Wire, at_once, fields, request,
};

fn post(target: &str, body: &str) -> Request<RequestBody> {
    let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
    request(Method::POST, target).map(|_| body.boxed())
}

/// A body that the test sends piece by piece.
struct Fed(mpsc::Receiver<Bytes>);

impl Body for Fed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(ready!(self.0.poll_recv(cx)).map(|piece| Ok(Frame::data(piece))))
    }
}

fn fed(target: &str) -> (mpsc::Sender<Bytes>, Request<RequestBody>) {
    let (feed, body) = mpsc::channel(1);
    (feed, request(Method::POST, target).map(|_| Fed(body).boxed()))
}

/// Posts, and returns the stream that answers it with the origin's side of it.
async fn opened(client: &Client, origin: &Origin, target: &str) -> (Stream, Exchange) {
    let (response, exchange) =
        tokio::join!(client.send(post(target, "{\"stream\":true}")), async {
            let mut exchange = origin.request(target).await;
            assert_eq!(exchange.body().await, b"{\"stream\":true}");
            exchange.open().await;
            exchange
        });
    assert_eq!(response.status, StatusCode::OK);
    (Stream::of(response), exchange)
}

#[tokio::test]
async fn a_chat_passes_token_by_token_to_its_done() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for client in proxy.clients().await {
        let (mut stream, mut exchange) = opened(&client, &origin, "/v1/chat/completions").await;
        for token in ["{\"delta\":\"Hel\"}", "{\"delta\":\"lo\"}", "[DONE]"] {
            let frame = format!("data: {token}\n\n");
            exchange.send(&frame).await;
            assert_eq!(stream.text_until("\n\n").await, frame, "{}", client.protocol());
        }
        exchange.end().await;
        assert_eq!(stream.rest().await.1, Ending::Orderly);
    }
}

#[tokio::test]
async fn comments_come_between_blocks_alone_and_no_reconnection_time_is_added() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "keep_alive = \"50ms\"\nretry = \"2s\"").await;
    for client in proxy.clients().await {
        let (mut stream, mut exchange) = opened(&client, &origin, "/v1/messages").await;
        exchange.send("event: content_block_delta\nda").await;
        for _ in 0..2 {
            assert_eq!(stream.text_until("\n\n").await, ":\n\n");
        }
        exchange.send("ta: {\"type\":\"content_block_delta\"}\n\n").await;
        let event = stream.event().await;
        assert_eq!(event.event_type, "content_block_delta");
        assert_eq!(event.data, "{\"type\":\"content_block_delta\"}");
        exchange.end().await;
        stream.rest().await;
        let text = stream.text().replace(":\n\n", "");
        let only = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\"}\n\n";
        assert_eq!(text, only, "{}", client.protocol());
    }
}

#[tokio::test]
async fn a_posts_stream_is_mended_and_counted_like_any_other() {
    let origin = Origin::start();
    let admin = "\n[admin]\naddress = \"127.0.0.1:0\"\n";
    let config = Proxy::config(&origin, "repair = \"legacy\"\nstream = \"shared\"") + admin;
    let proxy = Proxy::start(&config).await;
    for client in proxy.clients().await {
        let (mut stream, mut exchange) = opened(&client, &origin, "/chat").await;
        exchange.send("Event: token\r\nData: a\r\n\r\n").await;
        let event = stream.event().await;
        assert_eq!((event.event_type.as_str(), event.data.as_str()), ("token", "a"));
        exchange.end().await;
        assert_eq!(stream.rest().await.1, Ending::Orderly);
    }
    proxy.logged("reason=\"origin_ended\"").await;
    let metrics = proxy.admin().get("/metrics").await.text().await;
    for line in [
        "sse_events_total{route=\"/*\",direction=\"out\"} 2",
        "sse_repairs_total{route=\"/*\",repair=\"field-case\"} 2",
        "sse_time_to_first_event_seconds_count 2",
    ] {
        assert!(metrics.lines().any(|found| found == line), "no {line} in\n{metrics}");
    }
    let log = proxy.log();
    assert!(log.contains("stream opened route=\"/*\" method=POST path=\"/chat\""), "{log}");
}

#[tokio::test]
async fn a_client_that_leaves_cancels_the_request_at_once() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for client in proxy.clients().await {
        // Before the answer.
        let waiting = tokio::spawn({
            let client = client.clone();
            async move { client.try_send(post("/slow", "{}")).await.is_ok() }
        });
        let mut exchange = origin.request("/slow").await;
        exchange.body().await;
        waiting.abort();
        at_once(client.protocol(), exchange.gone()).await;
        // While the origin is silent, and while it is in the middle of an event.
        for begun in ["", "data: a\n\ndata: half"] {
            let (mut stream, mut exchange) = opened(&client, &origin, "/chat").await;
            if !begun.is_empty() {
                exchange.send(begun).await;
                assert_eq!(stream.data().await, "a");
            }
            drop(stream);
            at_once(client.protocol(), exchange.gone()).await;
        }
    }
}

#[tokio::test]
async fn an_answer_may_begin_before_the_request_is_complete() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "repair = \"legacy\"").await;
    for client in proxy.clients().await {
        let (feed, asked) = fed("/both");
        feed.send("first ".into()).await.expect("a body");
        let (response, mut exchange) = tokio::join!(client.send(asked), async {
            let mut exchange = origin.request("/both").await;
            let begin = exchange.receive().await;
            assert!(begin.windows(6).any(|part| part == b"first "), "{}", client.protocol());
            exchange.open().await;
            exchange
        });
        let mut stream = Stream::of(response);
        exchange.send("Data: heard you\n\n").await;
        assert_eq!(stream.data().await, "heard you");
        feed.send("second".into()).await.expect("a body");
        let more = exchange.receive().await;
        assert!(more.windows(6).any(|part| part == b"second"), "{}", client.protocol());
        exchange.send("data: and again\n\n").await;
        assert_eq!(stream.data().await, "and again");
        drop(feed);
        exchange.end().await;
        assert_eq!(stream.rest().await.1, Ending::Orderly);
    }
}

#[tokio::test]
async fn a_large_prompt_is_not_collected() {
    const PIECE: usize = 1 << 20;
    const PIECES: usize = 50;
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for client in proxy.clients().await {
        let before = proxy.peak_memory();
        let (feed, asked) = fed("/big");
        let upload = async {
            for _ in 0..PIECES {
                feed.send(vec![b'x'; PIECE].into()).await.expect("a body");
            }
            drop(feed);
        };
        let answer = async {
            let mut exchange = origin.request("/big").await;
            assert_eq!(exchange.body().await.len(), PIECES * PIECE);
            exchange.open().await;
            exchange.send("data: read it all\n\n").await;
            exchange
        };
        let (response, (), _exchange) = tokio::join!(client.send(asked), upload, answer);
        assert_eq!(Stream::of(response).data().await, "read it all");
        let grown = proxy.peak_memory() - before;
        assert!(grown < 24 << 20, "{grown} bytes, {}", client.protocol());
    }
}

#[tokio::test]
async fn a_prompt_may_wait_for_leave_to_go_on() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    let head =
        "POST /chat HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    let mut wire = Wire::send(proxy.plain(), head).await;
    let mut exchange = origin.request("/chat").await;
    exchange.raw("HTTP/1.1 100 Continue\r\n\r\n").await;
    let head = wire.text_until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 100 "), "{head}");
    wire.write("{}").await;
    assert_eq!(exchange.body().await, b"{}");
    exchange.open().await;
    exchange.send("data: a\n\n").await;
    wire.text_until("data: a\n\n").await;
    drop(wire);
    at_once("the client has gone", exchange.gone()).await;
}

#[tokio::test]
async fn what_is_no_stream_passes_as_it_is() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "repair = [\"legacy\", \"soften-5xx\", \"status\"]").await;
    let accept = fields(&[("accept", "application/json, text/event-stream")]);
    for client in proxy.clients().await {
        for (method, status) in [
            (Method::POST, "200 OK"),
            (Method::POST, "202 Accepted"),
            (Method::POST, "429 Too Many Requests"),
            (Method::POST, "503 Service Unavailable"),
            (Method::DELETE, "200 OK"),
        ] {
            let mut asked = post("/mcp", "{\"id\":1}");
            *asked.method_mut() = method.clone();
            asked.headers_mut().extend(accept.clone());
            let (response, ()) = tokio::join!(client.send(asked), async {
                let mut exchange = origin.request("/mcp").await;
                assert_eq!(exchange.head.method(), method.as_str());
                exchange.body().await;
                let head = "Content-Type: application/json\r\nMcp-Session-Id: s1\r\n";
                exchange.answer(status, head, "{\"id\":1}").await;
            });
            let expected: u16 = status[..3].parse().expect("a status");
            assert_eq!(response.status, expected, "{}", client.protocol());
            assert_eq!(response.values("mcp-session-id"), ["s1"]);
            assert_eq!(response.values("content-type"), ["application/json"]);
            assert_eq!(response.text().await, "{\"id\":1}");
        }
    }
}

#[tokio::test]
async fn a_session_of_mcp_is_nobody_elses_and_resumes_at_its_server() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "stream = \"shared\"").await;
    for client in proxy.clients().await {
        for session in ["s1", "s2"] {
            let ours = fields(&[("mcp-session-id", session), ("last-event-id", "7")]);
            let (mut stream, mut exchange) =
                tokio::join!(client.open_with("/mcp", ours), origin.opened("/mcp"));
            assert_eq!(exchange.head.text("mcp-session-id").as_deref(), Some(session));
            assert_eq!(exchange.head.text("last-event-id").as_deref(), Some("7"));
            exchange.send(format!("id: 8\ndata: of {session}\n\n")).await;
            let event = stream.event().await;
            assert_eq!((event.last_event_id, event.data), ("8".into(), format!("of {session}")));
        }
    }
}

#[tokio::test]
async fn a_prompt_is_never_sent_twice() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    let post = |path| format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{{}}");
    // Over one connection, so that the proxy is done with the first when it reads the second.
    let mut wire = Wire::send(proxy.plain(), post("/first")).await;
    let mut exchange = origin.request("/first").await;
    exchange.body().await;
    exchange.answer("200 OK", "", "done").await;
    wire.text_until("done").await;
    // The next request comes over the same connection to the origin, and is lost with it.
    wire.write(post("/second")).await;
    let mut exchange = exchange.next().await.expect("the connection is used again");
    exchange.body().await;
    exchange.kill();
    let head = wire.text_until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
    let asked = origin.heads().iter().filter(|head| head.path() == "/second").count();
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn a_drain_waits_for_an_answer_that_cannot_be_resumed() {
    let origin = Origin::start();
    let mut proxy = Proxy::before(&origin, "").await;
    let client = proxy.h1();
    let (mut post, mut exchange) = opened(&client, &origin, "/chat").await;
    let (mut get, _exchange) = client.open_from(&origin, "/feed").await;
    proxy.terminate();
    assert_eq!(get.rest().await.1, Ending::Orderly, "this client comes back");
    exchange.send("data: [DONE]\n\n").await;
    assert_eq!(post.data().await, "[DONE]");
    exchange.end().await;
    assert_eq!(post.rest().await.1, Ending::Orderly);
    assert!(proxy.exit().await.success());
}

const EARLY: &str = "commit = \"early\"\nkeep_alive = \"50ms\"";

#[tokio::test]
async fn an_early_answer_comes_before_the_origins_and_goes_over_into_it() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, EARLY).await;
    for client in proxy.clients().await {
        let mut stream = Stream::of(client.send(post("/chat", "{}")).await);
        assert_eq!(stream.response.values("content-type"), ["text/event-stream"]);
        for _ in 0..3 {
            assert_eq!(stream.text_until("\n\n").await, ":\n\n");
        }
        let mut exchange = origin.request("/chat").await;
        assert_eq!(exchange.body().await, b"{}");
        exchange.open().await;
        exchange.send("data: [DONE]\n\n").await;
        assert_eq!(stream.data().await, "[DONE]");
        exchange.end().await;
        assert_eq!(stream.rest().await.1, Ending::Orderly);

        let stream = client.send(post("/left", "{}")).await;
        let mut exchange = origin.request("/left").await;
        exchange.body().await;
        drop(stream);
        at_once(client.protocol(), exchange.gone()).await;
    }
}

#[tokio::test]
async fn after_an_early_answer_failures_are_told_in_band() {
    let mut origin = Origin::start();
    let proxy = Proxy::before(&origin, EARLY).await;
    let clients = proxy.clients().await;
    for client in &clients {
        for (status, body, event_type, data) in [
            ("429 Slow Down", "{\"error\":\"slow\"}", "error", "{\"error\":\"slow\"}"),
            (
                "503 Busy",
                "",
                "error",
                "{\"error\":{\"message\":\"Service Unavailable\",\"status\":503}}",
            ),
            ("200 OK", "{\"id\":1}", "message", "{\"id\":1}"),
        ] {
            let mut stream = Stream::of(client.send(post("/chat", "{}")).await);
            let mut exchange = origin.request("/chat").await;
            exchange.body().await;
            exchange.answer(status, "Content-Type: application/json\r\n", body).await;
            let event = stream.event().await;
            assert_eq!((event.event_type.as_str(), event.data.as_str()), (event_type, data));
            assert_eq!(stream.rest().await.1, Ending::Orderly, "{}", client.protocol());
        }
    }
    origin.stop_listening().await;
    for client in &clients {
        let mut stream = Stream::of(client.send(post("/chat", "{}")).await);
        let event = stream.event().await;
        assert_eq!(event.event_type, "error");
        assert_eq!(event.data, "{\"error\":{\"message\":\"Bad Gateway\",\"status\":502}}");
    }
}
