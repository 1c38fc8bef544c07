//! Faults that servers are known for, beside those of the corpus: each through the program, over
//! HTTP/1 and HTTP/2, at once and byte by byte.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::StatusCode;

use crate::support::{Charsets, Client, EventSource, Exchange, Origin, Proxy, State, fields};

/// What an origin answers.
struct Fault {
    name: &'static str,
    /// The status line's end, and header fields.
    head: &'static str,
    body: &'static [u8],
}

/// What a browser gets with a repair: its events as `type|data|id`, or no stream.
type Expected = Option<&'static [&'static str]>;

const SSE: &str = "200 OK\r\nContent-Type: text/event-stream\r\n";

const fn sse(name: &'static str, body: &'static [u8]) -> Fault {
    Fault { name, head: SSE, body }
}

const fn fault(name: &'static str, head: &'static str, body: &'static [u8]) -> Fault {
    Fault { name, head, body }
}

/// By route: what its repair makes of which fault.
const FAULTS: &[(&str, Fault, Expected)] = &[
    // Names of fields.
    ("legacy", sse("mixed-case", b"eVeNt: u\ndAtA: x\niD: 3\n\n"), Some(&["u|x|3"])),
    (
        "legacy",
        sse("case-of-one-block", b"DATA: a\n\ndata: b\nDATA: c\n\n"),
        Some(&["message|a|", "message|b|"]),
    ),
    ("legacy", sse("space-before-colon", b"data : x\nid\t: 4\n\n"), Some(&["message|x|4"])),
    ("legacy", sse("case-and-space", b" Event : u\n Data : x\n\n"), Some(&["u|x|"])),
    (
        "legacy",
        sse(
            "two-marks",
            b"\xef\xbb\xbf\xef\xbb\xbfdata: 1\n\n\xef\xbb\xbf\n\xef\xbb\xbfdata: 2\n\n",
        ),
        Some(&["message|1|", "message|2|"]),
    ),
    (
        "legacy",
        sse("blanks-and-crlf", b"data: a\r\n \r\ndata: b\r\n\t\r\n"),
        Some(&["message|a|", "message|b|"]),
    ),
    ("legacy", sse("extension", b"Dataset: x\ndata: y\n\n"), Some(&["message|y|"])),
    // Names only; values are the application's.
    ("legacy", sse("values", b"Data:  x \nEvent: Update\n\n"), Some(&["Update| x |"])),
    ("safe", sse("off", b"Data: a\n\ndata: b\n\n"), Some(&["message|b|"])),
    // The label.
    (
        "safe",
        fault("empty-label", "200 OK\r\nContent-Type:\r\n", b"data: x\n\n"),
        Some(&["message|x|"]),
    ),
    ("safe", fault("no-label-json", "200 OK\r\n", b"{\"error\":1}"), None),
    ("safe", fault("no-label-html", "200 OK\r\n", b"<!doctype html><p>sorry</p>"), None),
    ("safe", fault("plain", "200 OK\r\nContent-Type: text/plain\r\n", b"data: x\n\n"), None),
    (
        "legacy",
        fault(
            "octets",
            "200 OK\r\nContent-Type: application/octet-stream\r\n",
            b": hi\ndata: x\n\n",
        ),
        Some(&["message|x|"]),
    ),
    (
        "legacy",
        fault(
            "html",
            "200 OK\r\nContent-Type: text/html; charset=utf-8\r\n",
            b"retry: 10\nEvent: u\nData: x\n\n",
        ),
        Some(&["u|x|"]),
    ),
    (
        "legacy",
        fault("mark-first", "200 OK\r\nContent-Type: text/plain\r\n", b"\xef\xbb\xbfdata: x\n\n"),
        Some(&["message|x|"]),
    ),
    ("legacy", fault("page", "200 OK\r\nContent-Type: text/html\r\n", b"<p>data: x</p>\n\n"), None),
    (
        "legacy",
        fault("log", "200 OK\r\nContent-Type: text/plain\r\n", b"database: up\n\ndata: x\n\n"),
        None,
    ),
    (
        "legacy",
        fault("error-page", "404 Not Found\r\nContent-Type: text/plain\r\n", b"data: x\n\n"),
        None,
    ),
    // Charsets.
    (
        "safe",
        fault(
            "utf8",
            "200 OK\r\nContent-Type: text/event-stream; charset=utf8\r\n",
            b"data: \xc3\xa9\n\n",
        ),
        Some(&["message|\u{e9}|"]),
    ),
    (
        "safe",
        fault(
            "us-ascii",
            "200 OK\r\nContent-Type: text/event-stream; charset=\"us-ascii\"\r\n",
            b"data: x\n\n",
        ),
        Some(&["message|x|"]),
    ),
    (
        "safe",
        fault(
            "latin1",
            "200 OK\r\nContent-Type: text/event-stream; charset=latin1\r\n",
            b"data: \xe9\n\n",
        ),
        None,
    ),
    (
        "legacy",
        fault(
            "latin1",
            "200 OK\r\nContent-Type: text/event-stream; charset=latin1\r\n",
            b"data: \xe9\n\ndata: \xc3\xa9\n\n",
        ),
        Some(&["message|\u{e9}|", "message|\u{e9}|"]),
    ),
    (
        "legacy",
        fault(
            "1251",
            "200 OK\r\nContent-Type: text/event-stream; charset=windows-1251\r\n",
            b"data: \xef\xf0\n\n",
        ),
        Some(&["message|\u{43f}\u{440}|"]),
    ),
    (
        "legacy",
        fault(
            "sjis",
            "200 OK\r\nContent-Type: text/event-stream; charset=Shift_JIS\r\n",
            b"data: \x83\x5c\n\n",
        ),
        Some(&["message|\u{30bd}|"]),
    ),
    (
        "legacy",
        fault(
            "utf16",
            "200 OK\r\nContent-Type: text/event-stream; charset=utf-16\r\n",
            b"\xff\xfed\0a\0t\0a\0:\0 \0\xe9\0\n\0\n\0",
        ),
        Some(&["message|\u{e9}|"]),
    ),
    (
        "legacy",
        fault(
            "not-utf16",
            "200 OK\r\nContent-Type: text/event-stream; charset=utf-16\r\n",
            b"data: \xc3\xa9\n\n",
        ),
        Some(&["message|\u{e9}|"]),
    ),
    (
        "transcode",
        sse("unlabelled", b"data: \x80 5\n\ndata: \xc3\xa9\n\n"),
        Some(&["message|\u{20ac} 5|", "message|\u{e9}|"]),
    ),
    ("legacy", sse("unlabelled", b"data: \x80\n\n"), Some(&["message|\u{fffd}|"])),
    // Content codings that are not there.
    (
        "decode",
        fault(
            "not-deflate",
            "200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: deflate\r\n",
            b"data: x\n\n",
        ),
        Some(&["message|x|"]),
    ),
    (
        "decode",
        fault(
            "not-br",
            "200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: br\r\n",
            b"event: u\ndata: x\n\n",
        ),
        Some(&["u|x|"]),
    ),
    (
        "safe",
        fault(
            "identity",
            "200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: identity\r\n",
            b"data: x\n\n",
        ),
        Some(&["message|x|"]),
    ),
    // Statuses.
    (
        "status",
        fault("202", "202 Accepted\r\nContent-Type: text/event-stream\r\n", b"data: x\n\n"),
        Some(&["message|x|"]),
    ),
    (
        "status",
        fault("206", "206 Partial Content\r\nContent-Type: text/event-stream\r\n", b"data: x\n\n"),
        None,
    ),
    ("status", fault("201-json", "201 Created\r\nContent-Type: application/json\r\n", b"{}"), None),
    ("status", fault("500", "500 Oh\r\nContent-Type: text/event-stream\r\n", b"data: x\n\n"), None),
    (
        "legacy",
        fault("201", "201 Created\r\nContent-Type: text/event-stream\r\n", b"data: x\n\n"),
        None,
    ),
    (
        "soften-5xx",
        fault("503", "503 Busy\r\nContent-Type: text/event-stream\r\n", b"data: x\n\n"),
        Some(&[]),
    ),
    ("soften-5xx", fault("404", "404 Not Found\r\nContent-Type: text/html\r\n", b"gone"), None),
    ("legacy", fault("502", "502 Bad Gateway\r\nContent-Type: text/html\r\n", b"oh"), None),
];

fn answer(fault: &Fault, is_cut: bool) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {}Transfer-Encoding: chunked\r\n\r\n", fault.head).into_bytes();
    for piece in fault.body.chunks(if is_cut { 1 } else { fault.body.len().max(1) }) {
        write!(out, "{:x}\r\n", piece.len()).expect("a vector");
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

/// Serves `/ROUTE/NUMBER/CUT`.
async fn serve(mut exchange: Exchange) {
    let parts: Vec<_> = exchange.head.path().split('/').map(str::to_owned).collect();
    let number: usize = parts[2].parse().expect("a number");
    let bytes = answer(&FAULTS[number].1, parts[3] == "cut");
    exchange.raw(bytes).await;
}

async fn seen(client: &Client, target: &str) -> Option<Vec<String>> {
    let mut source = EventSource::new(client, target, Charsets::Refused).without_codings();
    if source.connect().await != State::Open {
        return None;
    }
    let events = source.rest().await.into_iter();
    Some(events.map(|e| format!("{}|{}|{}", e.event_type, e.data, e.last_event_id)).collect())
}

#[tokio::test]
async fn each_fault_is_mended_by_its_repair_and_by_no_other() {
    let origin = Origin::scripted(serve);
    let mut config = "[[listener]]\naddress = \"127.0.0.1:0\"\n\
         [[listener]]\naddress = \"127.0.0.1:0\"\ntls = \"self-signed\"\n"
        .to_owned();
    for repair in ["safe", "legacy", "transcode", "decode", "status", "soften-5xx"] {
        config.push_str(&format!(
            "[[route]]\npath = \"/{repair}/*\"\nupstream = \"{}\"\nrepair = [\"{repair}\"]\n",
            origin.url()
        ));
    }
    let proxy = Proxy::start(&config).await;
    let mut wrong = Vec::new();
    for client in &proxy.clients().await {
        for (number, (route, fault, expected)) in FAULTS.iter().enumerate() {
            for cut in ["whole", "cut"] {
                let found = seen(client, &format!("/{route}/{number}/{cut}")).await;
                let expected =
                    expected.map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
                if found != expected {
                    let (who, what) = (client.protocol(), fault.name);
                    wrong.push(format!("{what} {route} {cut} {who}: {found:?}, not {expected:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

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
