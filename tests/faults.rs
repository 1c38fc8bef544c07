//! Faults that servers are known for, beside those of the corpus: each through the program, over
//! HTTP/1 and HTTP/2, at once and byte by byte.

use std::collections::BTreeSet;
use std::io::Write;

use crate::support::{Charsets, Client, EventSource, Exchange, LISTENERS, Origin, Proxy, State};

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
    // Blocks and lines, by name.
    ("final-blank-line", sse("last-line-cut", b"data: a\n\ndata: b"), Some(&["message|a|"])),
    (
        "final-blank-line",
        sse("last-line-whole", b"data: a\n\nid: 2\ndata: b\n"),
        Some(&["message|a|", "message|b|2"]),
    ),
    (
        "line-per-event",
        sse("data-alone", b"data: a\ndata: b\n\n"),
        Some(&["message|a|", "message|b|"]),
    ),
    (
        "line-per-event",
        sse("ids-after", b"data: a\nid: 1\n\ndata: b\nid: 2\n\n"),
        Some(&["message|a|1", "message|b|2"]),
    ),
    (
        "crcrlf",
        sse("ordinary", b"data: a\r\n\r\ndata: b\r\n\r\n"),
        Some(&["message|a|", "message|b|"]),
    ),
    (
        "crcrlf",
        sse("doubled", b"id: 1\r\r\ndata: a\r\r\n\r\r\ndata: b\r\r\n\r\r\n"),
        Some(&["message|a|1", "message|b|1"]),
    ),
    (
        "json-continuation",
        sse("nested", b"data: {\"a\": [\n 1,\n 2\n]}\n\n"),
        Some(&["message|{\"a\": [\n 1,\n 2\n]}|"]),
    ),
    ("json-continuation", sse("closed", b"data: {}\nrest\n\n"), Some(&["message|{}|"])),
    (
        "text-continuation",
        sse("comment-between", b"data: a\n: note\nb\n\n"),
        Some(&["message|a\nb|"]),
    ),
    ("trim-type", sse("both-ends", b"event:  u\t\ndata: x \n\n"), Some(&["u|x |"])),
    ("empty-data", sse("signal", b"event: refresh\nid: 3\n\n"), Some(&["refresh||3"])),
    ("empty-data", sse("no-type", b"id: 3\n\ndata: x\n\n"), Some(&["message|x|3"])),
    (
        "cesu8",
        sse("lone", b"data: \xed\xa0\xbd!\n\n"),
        Some(&["message|\u{fffd}\u{fffd}\u{fffd}!|"]),
    ),
    // Statuses.
    (
        "status",
        fault("208", "208 Already Reported\r\nContent-Type: text/event-stream\r\n", b"data: x\n\n"),
        Some(&["message|x|"]),
    ),
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
    let mut config = LISTENERS.to_owned();
    let routes: BTreeSet<_> = FAULTS.iter().map(|(route, ..)| route).collect();
    for repair in routes {
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
