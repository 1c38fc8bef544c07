//! Private streams of HTTP/1 on both sides: whatever frames the origin's body, the client gets the
//! same events, and an end of the same kind.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::slow::ids;
use crate::support::{Ending, Exchange, Origin, Proxy, Tls, Wire, at_once, eventually, within};

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";
const EVENTS: &str = "id: 1\ndata: a\n\ndata: b\n\n";

const ASK: &str = "GET /feed HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n";

/// The ways to frame the events, all meant to end where they end.
fn framed() -> [String; 3] {
    let (first, second) = EVENTS.split_at(9);
    [
        format!(
            "{HEAD}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{first}\r\n{:X} ;a=b\r\n{second}\r\n0\r\nX-Sum: 1\r\n\r\n",
            first.len(),
            second.len()
        ),
        format!("{HEAD}Content-Length: {}\r\n\r\n{EVENTS}", EVENTS.len()),
        format!("{HEAD}\r\n{EVENTS}"),
    ]
}

/// A client that reads no more than the head of its stream, and the origin's side of it.
async fn stalled(proxy: &Proxy, origin: &Origin) -> (Wire, Exchange) {
    let mut wire = Wire::connect_narrow(proxy.plain()).await;
    wire.write(ASK).await;
    let exchange = origin.opened("/feed").await;
    wire.read_until("\r\n\r\n").await;
    (wire, exchange)
}

/// A client that reads what one answer of the origin's gives it.
async fn seen(
    proxy: &Proxy,
    origin: &Origin,
    answer: impl AsyncFnOnce(Exchange),
) -> (Vec<String>, Ending) {
    let client = proxy.h1();
    let (mut stream, ()) = tokio::join!(client.open("/feed"), async {
        answer(origin.request("/feed").await).await;
    });
    let (events, ending) = stream.rest().await;
    (events.into_iter().map(|event| event.data).collect(), ending)
}

#[tokio::test]
async fn events_are_the_same_however_the_body_is_framed_and_cut() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for answer in framed() {
        for step in [1, 7, answer.len()] {
            let (data, ending) = seen(&proxy, &origin, async |mut exchange: Exchange| {
                for piece in answer.as_bytes().chunks(step) {
                    exchange.raw(piece).await;
                    tokio::task::yield_now().await;
                }
            })
            .await;
            assert_eq!((data, ending), (vec!["a".into(), "b".into()], Ending::Orderly), "{answer}");
        }
    }
}

#[tokio::test]
async fn what_is_no_body_breaks_the_stream_off_after_what_was_sound() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    let sound = format!("{:x}\r\n{EVENTS}\r\n", EVENTS.len());
    let chunked = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{sound}");
    for answer in [
        format!("{chunked}no number\r\ndata: c\n\n\r\n0\r\n\r\n"),
        format!("{chunked}\r\n0\r\n\r\n"),
        format!("{chunked}ffffffffffffffffff\r\ndata: c\n\n"),
        format!("{chunked}3\r\ndata: c\n\n\r\n0\r\n\r\n"),
        format!("{chunked}9;{}", "x".repeat(40 << 10)),
        format!("{chunked}0\r\nno trailer\r\n\r\n"),
        // Cut short, each in its way.
        format!("{chunked}40\r\ndata: c"),
        chunked.clone(),
        format!("{HEAD}Content-Length: 1000\r\n\r\n{EVENTS}data: c"),
    ] {
        let (data, ending) =
            seen(&proxy, &origin, async |mut exchange: Exchange| exchange.raw(&answer).await).await;
        let what = answer.get(..200).unwrap_or(&answer);
        assert_eq!((data, ending), (vec!["a".into(), "b".into()], Ending::BrokenOff), "{what}");
    }
}

#[tokio::test]
async fn an_answer_that_is_no_stream_passes_as_it_is() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for (head, body) in [
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\n", "gone"),
        ("HTTP/1.1 204 No Content\r\n\r\n", ""),
        ("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n", "{}"),
        ("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 401 No\r\nContent-Length: 1\r\n\r\n", "x"),
    ] {
        let mut wire = Wire::send(proxy.plain(), ASK).await;
        let mut exchange = origin.request("/feed").await;
        exchange.raw([head, body].concat()).await;
        drop(exchange);
        let status = head.rsplit("HTTP/1.").next().and_then(|line| line.split(' ').nth(1));
        let got = wire.text_until("\r\n\r\n").await;
        assert_eq!(got.split(' ').nth(1), status, "{got}");
        if !body.is_empty() {
            wire.text_until(body).await;
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_without_having_read_is_seen_to_leave() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "keep_alive = \"50ms\"").await;
    let (wire, mut exchange) = stalled(&proxy, &origin).await;
    let chunk = format!("4000\r\ndata: {}\n\n\r\n", "x".repeat(0x4000 - 8));
    let mut sending =
        tokio::spawn(async move { while exchange.try_raw(chunk.as_bytes()).await.is_ok() {} });
    // Every buffer on the way is full by then, and keep-alives are long overdue.
    let waits = timeout(Duration::from_secs(1), &mut sending).await;
    assert!(waits.is_err(), "the origin waits for its client");
    drop(wire);
    at_once("the origin's stream ends", sending).await.expect("no panic");
}

#[tokio::test]
async fn a_client_over_tls_gets_events_comments_and_an_end() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "keep_alive = \"50ms\"").await;
    for is_orderly in [true, false] {
        let mut tls = Tls::speaking("http/1.1").connect(proxy.tls()).await;
        tls.write_all(ASK.as_bytes()).await.expect("connected");
        let mut exchange = origin.opened("/feed").await;
        exchange.send("data: a\n\nda").await;
        let mut got = Vec::new();
        let is_there = |got: &[u8], text: &[u8]| got.windows(text.len()).any(|part| part == text);
        while !is_there(&got, b"data: a\n\n\r\n3\r\n:\n\n") {
            assert_ne!(within("a comment", tls.read_buf(&mut got)).await.expect("more"), 0);
        }
        if is_orderly {
            exchange.send("ta: b\n\n").await;
            exchange.end().await;
        } else {
            exchange.kill();
        }
        let ended = within("the end", tls.read_to_end(&mut got)).await;
        assert_eq!(is_there(&got, b"data: b\n\n"), is_orderly);
        // With TLS an end in order is said: what is cut off is an error.
        assert_eq!(ended.is_ok() && got.ends_with(b"0\r\n\r\n"), is_orderly);
    }
}

#[tokio::test]
async fn an_idle_stream_costs_little_memory() {
    const STREAMS: u64 = 300;
    const MOST: u64 = 16 << 10;
    let origin = Origin::scripted(async |mut exchange: Exchange| {
        exchange.open().await;
        exchange.send("data: a\n\n").await;
        exchange.gone_in_the_end().await;
    });
    let proxy = Proxy::before(&origin, "").await;
    let open = async |count| {
        let mut open = Vec::new();
        for _ in 0..count {
            let mut wire = Wire::send(proxy.plain(), ASK).await;
            wire.read_until("data: a\n\n").await;
            open.push(wire);
        }
        open
    };
    let first = open(50).await;
    let before = proxy.memory();
    let streams = open(STREAMS).await;
    let each = proxy.memory().saturating_sub(before) / STREAMS;
    assert!(each < MOST, "{each} bytes for each stream");
    drop((first, streams));
    eventually("all origin streams end", async || origin.open() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_with_too_much_to_do_hands_streams_over_and_nothing_is_lost() {
    const STREAMS: usize = 16;
    const EVENTS: usize = 20_000;
    let origin = Origin::scripted(async |mut exchange: Exchange| {
        exchange.open().await;
        for batch in 0..EVENTS / 100 {
            let ids = batch * 100..(batch + 1) * 100;
            let events = ids.map(|id| format!("id: {id}\ndata: {id:0>80}\n\n"));
            exchange.send(events.collect::<String>()).await;
        }
        exchange.end().await;
    });
    let proxy = Proxy::before(&origin, "").await;
    // One for each core; the first two have to have worked.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || -> Vec<_> {
        (0..cores.min(2)).map(|number| proxy.work_of(&format!("writer-{number}"))).collect()
    };
    // The second time, those that were busy have to be known to be so no longer.
    for _ in 0..2 {
        let before = work();
        let mut reading = Vec::new();
        for _ in 0..STREAMS {
            let mut wire = Wire::send(proxy.plain(), ASK).await;
            reading.push(tokio::spawn(async move {
                wire.read_until("\r\n\r\n").await;
                ids(&wire.rest().await)
            }));
        }
        for reading in reading {
            let got = reading.await.expect("no panic");
            assert_eq!(got.len(), EVENTS);
            assert!(got.iter().enumerate().all(|(at, id)| *id == at.to_string()), "in order");
        }
        let after = work();
        let have_worked = before.iter().zip(&after).all(|(before, after)| before < after);
        assert!(have_worked, "{before:?}, {after:?}");
    }
}
