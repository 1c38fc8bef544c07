//! Mux requests that nobody in good faith would make.

use http::{HeaderMap, Method};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use crate::support::{
    Client, Mux, Origin, Proxy, Wire, fields, mux_change_target as changed_at, mux_post as post,
    pairs, request,
};

async fn send(client: &Client, target: &str, body: impl Into<bytes::Bytes>) -> u16 {
    let mut request = request(Method::POST, target);
    *request.body_mut() = Full::new(body.into()).boxed();
    client.send(request).await.status.as_u16()
}

/// A parser that recurses is a stack that overflows; a name that is written as it came is an event
/// of the attacker's making.
#[tokio::test]
async fn json_that_is_made_to_hurt_hurts_nobody() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "stream = \"shared\"").await;
    for client in proxy.clients().await {
        let deep = format!("{{\"feeds\":{}", "[".repeat(60_000));
        for body in [
            deep.as_bytes(),
            b"\xff\xfe",
            b"{\"feeds\":[[\"\\ud800\",null]]}",
            b"{\"feeds\":[[\"/a\",1e999]]}",
            b"{\"feeds\":[[\"/a\"]],\"feeds\":[]}",
            b"{\"feeds\":[[\"/a\",null,null]]}",
            b"{\"feeds\":{\"0\":[\"/a\",null]}}",
            b"{\"feeds\":[[null,null]]}",
            b"{\"feeds\":[[\"/a\",null]]}{}",
        ] {
            let status = send(&client, "/.sse/mux", body.to_vec()).await;
            assert_eq!(status, 400, "{}", String::from_utf8_lossy(&body[..20.min(body.len())]));
        }
        let names = ["/a\n\nevent: forged\ndata: x", "/a\r", "/\u{0}", "/ä", "", "/a#mux/open"];
        let feeds: Vec<_> = names.iter().map(|name| json!([name, "\n\nid: 1"])).collect();
        let cursor = "8c1f02aa.1\n\nevent: forged\ndata: x";
        let (mut mux, _) = Mux::post(&client, &json!({"feeds": feeds, "cursor": cursor})).await;
        for name in names {
            let told = mux.control("mux/feed").await;
            assert_eq!((&told["feed"], &told["state"]), (&json!(name), &json!("closed")));
        }
        assert!(!mux.stream.text().contains("\nevent: forged"));
    }
}

/// An id that is passed on to an origin as a header field must not end that field.
#[tokio::test]
async fn a_last_id_makes_no_header_field() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "stream = \"private\"").await;
    let feeds = json!({"feeds": [["/a", "1\r\nX-Forged: 1"], ["/b", "\u{e4}\u{1f980}"]]});
    let (mut mux, _) = Mux::post(&proxy.h1(), &feeds).await;
    let mut a = origin.opened("/a").await;
    assert_eq!((a.head.value("x-forged"), a.head.value("last-event-id")), (None, None));
    let b = origin.opened("/b").await;
    assert_eq!(b.head.text("last-event-id").as_deref(), Some("\u{e4}\u{1f980}"), "as browsers do");
    a.send("data: x\n\n").await;
    assert_eq!(mux.events(1).await, pairs(&[("/a", "x")]));
}

/// Bodies that never end, or never come, must neither fill memory nor keep anything.
#[tokio::test]
async fn a_body_is_read_no_further_than_it_may_be_long() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "stream = \"shared\"").await;
    let head =
        "POST /.sse/mux HTTP/1.1\r\nHost: proxy.example\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut wire = Wire::send(proxy.plain(), head).await;
    let piece = format!("8000\r\n{}\r\n", " ".repeat(0x8000));
    for _ in 0..64 {
        // The answer may come before the last of it.
        let _ = wire.try_write(piece.as_bytes()).await;
    }
    let answer = wire.read_until("\r\n\r\n").await;
    assert!(answer.starts_with(b"HTTP/1.1 413 "), "{}", String::from_utf8_lossy(&answer));
    let broken = "POST /.sse/mux HTTP/1.1\r\nHost: proxy.example\r\nContent-Length: 9\r\n\r\n{}";
    drop(Wire::send(proxy.plain(), broken).await);
    assert_eq!(send(&proxy.h1(), "/.sse/mux", "x".repeat(1 << 19)).await, 413);
}

/// Whoever guesses names of streams must find none, and learn nothing from the answers.
#[tokio::test]
async fn the_name_of_a_stream_cannot_be_bent() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "stream = \"shared\"").await;
    for client in proxy.clients().await {
        let (_mux, open) = Mux::open(&client, &["/a"]).await;
        let target = changed_at(&open);
        let sid = open["sid"].as_str().expect("a sid").to_owned();
        assert_eq!(send(&client, &target, "{}").await, 204);
        let upper = sid.to_uppercase();
        let shorter = &sid[1..];
        for wrong in [
            format!("/.sse/mux/{shorter}"),
            format!("/.sse/mux/0{sid}"),
            format!("/.sse/mux/{sid}0"),
            format!("/.sse/mux/{sid}/"),
            format!("/.sse/mux/{sid}.json"),
            format!("/.sse/mux/%{:x}{shorter}", sid.as_bytes()[0]),
        ] {
            assert_eq!(send(&client, &wrong, "{}").await, 404, "{wrong}");
        }
        if upper != sid {
            assert_eq!(send(&client, &format!("/.sse/mux/{upper}"), "{}").await, 404);
        }
    }
    assert!(!proxy.log().contains("/.sse/mux/"), "names of streams are secrets");
}

/// Two users on one route: what is one's must never reach the other, however streams are changed.
#[tokio::test]
async fn credentials_are_never_mixed() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "stream = \"shared\"").await;
    for client in proxy.clients().await {
        let mut users = Vec::new();
        for cookie in ["session=ann", "session=bob"] {
            let headers = fields(&[("cookie", cookie)]);
            let wanted = json!({"feeds": [["/a", null]]});
            let (mux, open) = Mux::post_with(&client, &wanted, headers.clone()).await;
            let a = origin.opened("/a").await;
            assert_eq!(a.head.text("cookie").as_deref(), Some(cookie));
            let add: Value = json!({"add": [["/b", null]]});
            let answer = post(&client, &changed_at(&open), &add, headers).await;
            assert_eq!(answer.status, 204);
            let b = origin.opened("/b").await;
            assert_eq!(b.head.text("cookie").as_deref(), Some(cookie));
            users.push((cookie, mux, open, a, b));
        }
        for (cookie, _, _, a, b) in &mut users {
            a.send(format!("data: a of {cookie}\n\n")).await;
            b.send(format!("data: b of {cookie}\n\n")).await;
        }
        for (cookie, mux, ..) in &mut users {
            let mut got = mux.events(2).await;
            got.sort();
            let expected = [("/a", format!("a of {cookie}")), ("/b", format!("b of {cookie}"))];
            assert_eq!(got, expected.map(|(name, data)| (name.to_owned(), data)));
        }
        let theirs = changed_at(&users[1].2);
        let ann = fields(&[("cookie", "session=ann")]);
        assert_eq!(post(&client, &theirs, &json!({"remove": ["/a"]}), ann).await.status, 403);
        assert_eq!(post(&client, &theirs, &json!({}), HeaderMap::new()).await.status, 403);
    }
}
