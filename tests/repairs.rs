//! Repairs of heads, and what is told of repairs; `faults` has what they make of bodies.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::StatusCode;

use crate::support::{Ending, Origin, Proxy, fields};

#[tokio::test]
async fn an_error_that_is_softened_sends_browsers_away_as_long_as_the_server_says() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "repair = [\"soften-5xx\"]").await;
    let client = proxy.h1();
    for (fields, retry) in [("", "retry: 5000\n\n"), ("Retry-After: 90\r\n", "retry: 90000\n\n")] {
        let (mut stream, ()) = tokio::join!(client.open("/feed"), async {
            origin.request("/feed").await.answer("503 Busy", fields, "busy").await;
        });
        assert_eq!(stream.text_until("\n\n").await, retry);
    }
    let (page, ()) = tokio::join!(client.get("/feed"), async {
        origin.request("/feed").await.answer("503 Busy", "", "busy").await;
    });
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn gzip_that_nobody_declared_is_undone() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "repair = \"legacy\"").await;
    for client in proxy.clients().await {
        let (mut stream, mut exchange) = client.open_from(&origin, "/feed").await;
        let mut coder = GzEncoder::new(Vec::new(), Compression::fast());
        for data in ["one", "two"] {
            write!(coder, "data: {data}\n\n").expect("a vector");
            coder.flush().expect("a vector");
            exchange.send(std::mem::take(coder.get_mut())).await;
            assert_eq!(stream.data().await, data, "each event as it comes");
        }
    }
}

#[tokio::test]
async fn two_codings_of_one_stream_are_undone_on_every_kind_of_route() {
    let origin = Origin::start();
    for keys in ["", "stream = \"shared\""] {
        let proxy = Proxy::before(&origin, keys).await;
        for client in proxy.clients().await {
            let path = format!("/{}", client.protocol());
            let (mut stream, mut exchange) = client
                .open_from_with(
                    &origin,
                    &path,
                    "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n",
                )
                .await;
            let mut outer = GzEncoder::new(Vec::new(), Compression::fast());
            let mut inner = GzEncoder::new(Vec::new(), Compression::fast());
            for data in ["one", "two"] {
                write!(inner, "data: {data}\n\n").expect("a vector");
                inner.flush().expect("a vector");
                outer.write_all(&std::mem::take(inner.get_mut())).expect("a vector");
                outer.flush().expect("a vector");
                exchange.send(std::mem::take(outer.get_mut())).await;
                assert_eq!(stream.data().await, data, "each event as it comes");
            }
            assert!(stream.response.values("content-encoding").is_empty());
        }
    }
}

#[tokio::test]
async fn a_stream_in_an_unknown_coding_passes_as_it_is_and_that_is_told_once() {
    let origin = Origin::start();
    let admin = "[admin]\naddress = \"127.0.0.1:0\"";
    let proxy = Proxy::start(&(Proxy::config(&origin, "") + admin)).await;
    for client in proxy.clients().await {
        let (response, ()) = tokio::join!(client.try_events("/feed", fields(&[])), async {
            let coded = "Content-Type: text/event-stream\r\nContent-Encoding: compress\r\n";
            origin.request("/feed").await.answer("200 OK", coded, "\x1f\u{1}coded").await;
        });
        let response = response.expect("an answer");
        assert_eq!(response.values("content-encoding"), ["compress"]);
        assert_eq!(response.text().await, "\x1f\u{1}coded");
    }
    let told = "its content coding cannot be undone here";
    proxy.logged(told).await;
    assert_eq!(proxy.log().matches(told).count(), 1, "{}", proxy.log());
    let feeds = proxy.admin().get("/api/feeds").await.text().await;
    assert!(feeds.contains(told), "{feeds}");
}

#[tokio::test]
async fn a_coding_that_was_not_asked_for_is_hinted_at_where_its_repair_is_off() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "repair = \"off\"").await;
    let client = proxy.h1();
    let (response, ()) = tokio::join!(client.try_events("/feed", fields(&[])), async {
        let coded = "Content-Type: text/event-stream\r\nContent-Encoding: gzip\r\n";
        origin.request("/feed").await.answer("200 OK", coded, "coded").await;
    });
    assert_eq!(response.expect("an answer").text().await, "coded");
    proxy.logged("repair = [\"decode\"] would mend it").await;
}

// What has come whole before the damage is had; what comes after it is not made up.
#[tokio::test]
async fn a_coded_stream_that_is_cut_or_damaged_gives_what_was_sound() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for client in proxy.clients().await {
        for (damage, ending) in
            [(&b""[..], Ending::Orderly), (b"\xff\xff\xff\xff\xff\xff", Ending::BrokenOff)]
        {
            let (mut stream, mut exchange) =
                client.open_from_with(&origin, "/feed", "Content-Encoding: gzip\r\n").await;
            let mut coder = GzEncoder::new(Vec::new(), Compression::fast());
            coder.write_all(b"data: sound\n\ndata: half").expect("a vector");
            coder.flush().expect("a vector");
            exchange.send(coder.get_ref()).await;
            assert_eq!(stream.data().await, "sound");
            if !damage.is_empty() {
                exchange.send(damage).await;
            }
            exchange.end().await;
            assert_eq!(stream.rest().await, (vec![], ending), "{}", client.protocol());
        }
    }
    proxy.logged("the content coding is damaged").await;
}

#[tokio::test]
async fn added_ids_are_distinct_and_are_not_sent_to_the_origin() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "repair = [\"safe\", \"add-ids\"]").await;
    for client in proxy.clients().await {
        let (mut stream, mut exchange) = client.open_from(&origin, "/feed").await;
        exchange.send("data: a\n\ndata: b\n\n").await;
        let (first, second) = (stream.event().await, stream.event().await);
        assert!(!first.last_event_id.is_empty());
        assert_ne!(first.last_event_id, second.last_event_id);
        drop(stream);
        let back = fields(&[("last-event-id", second.last_event_id.as_str())]);
        let (mut stream, mut exchange) =
            tokio::join!(client.open_with("/feed", back), origin.opened("/feed"));
        assert_eq!(exchange.head.value("last-event-id"), None);
        stream.text_until(": gap\n\n").await;
        exchange.send("id: own\ndata: c\n\ndata: d\n\n").await;
        assert_eq!(stream.event().await.last_event_id, "own");
        assert_eq!(stream.event().await.last_event_id, "own", "schemes are not mixed");
    }
}

#[tokio::test]
async fn what_would_mend_a_stream_is_told_once_for_each_path() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    let client = proxy.h1();
    for _ in 0..3 {
        let (mut stream, mut exchange) = client.open_from(&origin, "/feed").await;
        exchange.send("ID: 1\ndata: caf\u{e9}\n\ndata: \u{e9}".replace('\u{e9}', "e")).await;
        exchange.send("\n\ndata: end\n\n").await;
        while stream.data().await != "end" {}
    }
    for (path, answer) in [
        ("/label", "200 OK\r\nContent-Type: text/plain\r\n"),
        ("/status", "201 Created\r\nContent-Type: text/event-stream\r\n"),
        ("/error", "500 Oh\r\n"),
    ] {
        for _ in 0..2 {
            let refused = client.try_events(path, Default::default());
            let (response, ()) = tokio::join!(refused, async {
                let mut exchange = origin.request(path).await;
                let head = format!("HTTP/1.1 {answer}Content-Length: 9\r\n\r\ndata: x\n\n");
                exchange.raw(head).await;
            });
            assert!(response.is_ok());
        }
    }
    for hint in [
        "repair = \"legacy\" would mend it route=\"/*\" path=\"/feed\"",
        "repair = \"legacy\" would mend it route=\"/*\" path=\"/label\"",
        "repair = [\"safe\", \"status\"] would mend it route=\"/*\" path=\"/status\"",
        "repair = [\"safe\", \"soften-5xx\"] would mend it route=\"/*\" path=\"/error\"",
    ] {
        proxy.logged(hint).await;
        assert_eq!(proxy.log().matches(hint).count(), 1, "{hint}\n{}", proxy.log());
    }
}

#[tokio::test]
async fn a_head_says_no_store_where_others_might_keep_the_stream() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "repair = \"legacy\"").await;
    for client in proxy.clients().await {
        for (given, expected) in [
            ("", "no-store"),
            ("Cache-Control: max-age=60\r\n", "no-store"),
            ("Cache-Control: public\r\nCache-Control: s-maxage=9\r\n", "no-store"),
            ("Cache-Control: No-Cache\r\n", "No-Cache"),
            ("Cache-Control: private, max-age=60\r\n", "private, max-age=60"),
        ] {
            let (stream, _exchange) = client.open_from_with(&origin, "/feed", given).await;
            let found = stream.response.values("cache-control").join(", ");
            assert_eq!(found, expected, "{given:?} {}", client.protocol());
        }
    }
}

#[tokio::test]
async fn a_reconnection_time_with_a_unit_is_understood() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "repair = [\"retry-unit\"]").await;
    let client = proxy.h1();
    let (mut stream, mut exchange) = client.open_from(&origin, "/feed").await;
    for (given, expected) in [
        ("2500ms", "2500"),
        ("5 s", "5000"),
        ("3sec", "3000"),
        ("2 Seconds", "2000"),
        ("1min", "60000"),
        ("soon", "soon"),
        ("1.5", "1.5"),
        ("7", "7"),
    ] {
        exchange.send(format!("retry: {given}\n\n")).await;
        assert_eq!(stream.text_until("\n\n").await, format!("retry: {expected}\n\n"));
    }
}
