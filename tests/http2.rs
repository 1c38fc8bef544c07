//! Streams that share an HTTP/2 connection: each goes at the pace of its own reader, and ends alone.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use h2::{Reason, RecvStream};
use http::{Method, Request};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::admin::{has_metric, proxy};
use crate::support::{
    Client, Ending, Exchange, HOST_NAME, Mux, Origin, Proxy, Tls, request, within,
};

/// The window that a stream has if nobody says anything else.
const WINDOW: u32 = 65_535;

/// More than the system keeps for an origin that is not read from.
const MUCH: usize = 24 << 20;

const EVENT: usize = 8 << 10;

/// A client that opens a window only when a test says so.
struct Strict {
    send: SendRequest<Bytes>,
}

/// A body on its way to such a client.
struct Body {
    stream: RecvStream,
    got: Vec<u8>,
}

impl Strict {
    /// A client each of whose streams has this `window`, and whose connection has room for all.
    async fn connect(proxy: &Proxy, window: u32) -> Self {
        let io = Tls::speaking("h2").connect(proxy.tls()).await;
        let mut builder = Builder::new();
        builder.initial_window_size(window).initial_connection_window_size(1 << 30);
        let (send, connection) = builder.handshake(io).await.expect("HTTP/2");
        tokio::spawn(async { drop(connection.await) });
        Self { send }
    }

    async fn open(&mut self, path: &str) -> Body {
        self.resume(path, "").await
    }

    async fn resume(&mut self, path: &str, last_event_id: &str) -> Body {
        let ask = Request::get(format!("https://{HOST_NAME}{path}"))
            .header("accept", "text/event-stream")
            .header("last-event-id", last_event_id)
            .body(())
            .expect("a request");
        let (answer, _) = self.send.send_request(ask, true).expect("a stream");
        let answer = within("the head", answer).await.expect("an answer");
        Body { stream: answer.into_body(), got: Vec::new() }
    }

    async fn open_from(&mut self, origin: &Origin, path: &str) -> (Body, Exchange) {
        tokio::join!(self.open(path), origin.opened(path))
    }
}

impl Body {
    /// Reads until nothing more can come, as the window is closed.
    async fn fill(&mut self, window: usize) {
        let whole = async {
            while self.got.len() < window {
                let piece = self.stream.data().await.expect("no end").expect("no reset");
                self.got.extend_from_slice(&piece);
            }
        };
        within("all that there is room for", whole).await;
    }

    /// Reads on to the end, opening the window again with each piece.
    async fn rest(&mut self) -> Result<(), Option<Reason>> {
        // What has come before makes room, too.
        let before = self.got.len();
        self.release(before);
        let whole = async {
            while let Some(piece) = self.stream.data().await {
                let piece = piece.map_err(|error| error.reason())?;
                self.got.extend_from_slice(&piece);
                self.release(piece.len());
            }
            Ok(())
        };
        within("the end of a body", whole).await
    }

    fn release(&mut self, bytes: usize) {
        // Fails only where the stream is over.
        let _ = self.stream.flow_control().release_capacity(bytes);
    }
}

/// Numbered events, all of the same size.
fn event(id: usize) -> String {
    format!("id: {id}\ndata: {}\n\n", "x".repeat(EVENT))
}

#[tokio::test]
async fn an_origin_waits_for_a_private_stream_whose_window_is_closed_and_nothing_is_lost() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "keep_alive = \"100ms\"").await;
    let mut client = Strict::connect(&proxy, WINDOW).await;
    let (mut body, mut exchange) = client.open_from(&origin, "/feed").await;
    let before = proxy.peak_memory();
    let took = Arc::new(Notify::new());
    let sending = tokio::spawn({
        let took = Arc::clone(&took);
        async move {
            for id in 0..MUCH / EVENT {
                exchange.send(event(id)).await;
            }
            took.notify_one();
            exchange.end().await;
        }
    });
    body.fill(WINDOW as usize).await;
    let is_stuck = timeout(Duration::from_secs(1), took.notified()).await;
    assert!(is_stuck.is_err(), "the origin could send {MUCH} bytes that nobody has read");
    let grown = proxy.peak_memory() - before;
    assert!(grown < 8 << 20, "grown by {} KiB", grown >> 10);

    assert_eq!(body.rest().await, Ok(()));
    let all: String = (0..MUCH / EVENT).map(event).collect();
    assert!(body.got == all.as_bytes(), "something is missing of {} bytes", all.len());
    sending.await.expect("sent");
}

#[tokio::test]
async fn a_private_stream_that_is_not_read_does_not_hold_up_another_of_its_connection() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    let mut client = Strict::connect(&proxy, WINDOW).await;
    let (mut slow, mut to_slow) = client.open_from(&origin, "/slow").await;
    let (mut fast, mut to_fast) = client.open_from(&origin, "/fast").await;
    let many = 64;
    for id in 0..many {
        to_slow.send(event(id)).await;
    }
    slow.fill(WINDOW as usize).await;
    for id in 0..many {
        to_fast.send(event(id)).await;
    }
    to_fast.end().await;
    assert_eq!(fast.rest().await, Ok(()));
    let all: String = (0..many).map(event).collect();
    assert!(fast.got == all.as_bytes());

    to_slow.end().await;
    assert_eq!(slow.rest().await, Ok(()));
    assert!(slow.got == all.as_bytes());
}

#[tokio::test]
async fn a_window_of_a_single_byte_loses_nothing() {
    let origin = Origin::start();
    for stream in ["private", "shared"] {
        let proxy = Proxy::before(&origin, &format!("stream = \"{stream}\"")).await;
        let mut client = Strict::connect(&proxy, 1).await;
        let (mut body, mut exchange) = client.open_from(&origin, "/feed").await;
        let events: String = (0..100).map(|id| format!("id: {id}\ndata: {id}\n\n")).collect();
        exchange.send(&events).await;
        let ended = tokio::join!(body.rest(), async {
            if stream == "private" {
                exchange.end().await;
            } else {
                // A shared feed ends with an answer that says so.
                drop(exchange);
                origin.request("/feed").await.answer("204 No Content", "", "").await;
            }
        });
        assert_eq!(ended.0, Ok(()), "{stream}");
        let got = String::from_utf8(body.got).expect("text");
        assert!(got.contains(&events), "{stream}: {got}");
    }
}

#[tokio::test]
async fn a_stream_that_is_reset_ends_at_its_origin_and_the_others_go_on() {
    let origin = Origin::start();
    let proxy = proxy(&origin, "").await;
    let admin = proxy.admin();
    let client = proxy.h2().await;
    let (reset, mut its) = client.open_from(&origin, "/reset").await;
    let (mut other, mut to_other) = client.open_from(&origin, "/other").await;
    has_metric(&admin, "sse_readers 2").await;
    drop(reset);
    its.gone().await;
    has_metric(&admin, "sse_closed_total{reason=\"left\"} 1").await;
    has_metric(&admin, "sse_readers 1").await;
    to_other.send("data: on\n\n").await;
    assert_eq!(other.data().await, "on");
}

#[tokio::test]
async fn a_stream_that_is_reset_while_its_window_is_closed_ends_at_its_origin() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    let mut client = Strict::connect(&proxy, WINDOW).await;
    let (mut body, mut exchange) = client.open_from(&origin, "/feed").await;
    for id in 0..64 {
        exchange.send(event(id)).await;
    }
    body.fill(WINDOW as usize).await;
    drop(body);
    exchange.gone().await;
}

#[tokio::test]
async fn all_streams_end_with_their_connection() {
    let origin = Origin::start();
    let proxy = proxy(&origin, "").await;
    let admin = proxy.admin();
    let client = proxy.h2().await;
    let (mux, _) = Mux::open(&client, &["/a", "/b"]).await;
    let mut exchanges = vec![origin.opened("/a").await, origin.opened("/b").await];
    let mut streams = Vec::new();
    for path in ["/c", "/d", "/e"] {
        let (stream, exchange) = client.open_from(&origin, path).await;
        streams.push(stream);
        exchanges.push(exchange);
    }
    has_metric(&admin, "sse_readers 4").await;
    // The connection goes with the last that knows of it.
    drop((mux, streams, client));
    for exchange in &mut exchanges {
        exchange.gone().await;
    }
    has_metric(&admin, "sse_readers 0").await;
    has_metric(&admin, "sse_closed_total{reason=\"left\"} 4").await;
}

// The connection is served by another thread from the first stream of events on.
#[tokio::test]
async fn what_was_asked_before_the_first_stream_of_events_goes_on_beside_it() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    let client = proxy.h2().await;
    let ask = |path: &'static str| {
        let client = client.clone();
        tokio::spawn(async move { client.send(request(Method::POST, path)).await.text().await })
    };
    let (mut before, _) = Mux::open(&client, &["/a"]).await;
    let mut a = origin.opened("/a").await;
    let early = ask("/early");
    let mut to_early = origin.request("/early").await;

    let (mut stream, mut exchange) = client.open_from(&origin, "/feed").await;
    let (mut after, _) = Mux::open(&client, &["/b"]).await;
    let mut b = origin.opened("/b").await;
    let late = ask("/late");
    let mut to_late = origin.request("/late").await;
    for round in 0..20 {
        let data = format!("data: {round}\n\n");
        tokio::join!(a.send(&data), b.send(&data), exchange.send(&data));
        assert_eq!(before.event().await.data, round.to_string());
        assert_eq!(after.event().await.data, round.to_string());
        assert_eq!(stream.data().await, round.to_string());
    }
    let much = "y".repeat(1 << 20);
    tokio::join!(to_early.answer("200 OK", "", &much), to_late.answer("200 OK", "", &much));
    assert!(within("the early answer", early).await.expect("an answer") == much);
    assert!(within("the late answer", late).await.expect("an answer") == much);
    exchange.end().await;
    assert_eq!(stream.rest().await.1, Ending::Orderly);
    a.send("data: still\n\n").await;
    assert_eq!(before.event().await.data, "still", "the last stream of the hub has ended");
}

#[tokio::test]
async fn all_that_came_before_an_origin_broke_off_arrives_and_then_the_stream_is_reset() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    let client = proxy.h2().await;
    let mut open = Vec::new();
    for n in 0..20 {
        open.push(client.open_from(&origin, &format!("/{n}")).await);
    }
    let mut streams = Vec::new();
    for (stream, mut exchange) in open {
        exchange.send((0..50).map(|id| format!("data: {id}\n\n")).collect::<String>()).await;
        drop(exchange);
        streams.push(stream);
    }
    for mut stream in streams {
        let (events, ending) = stream.rest().await;
        assert_eq!((events.len(), ending), (50, Ending::BrokenOff));
    }
    let (mut stream, mut exchange) = client.open_from(&origin, "/more").await;
    exchange.send("data: on\n\n").await;
    assert_eq!(stream.data().await, "on");
}

#[tokio::test]
async fn what_came_before_an_origin_broke_off_waits_for_a_window_that_is_closed() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    let mut client = Strict::connect(&proxy, WINDOW).await;
    let (mut body, mut exchange) = client.open_from(&origin, "/feed").await;
    let all: String = (0..20).map(event).collect();
    exchange.send(&all).await;
    drop(exchange);
    body.fill(WINDOW as usize).await;
    origin.until_open(0).await;
    assert_eq!(body.rest().await, Err(Some(Reason::CANCEL)));
    let got = String::from_utf8(body.got).expect("text");
    assert!(got.starts_with(&all), "{} of {} bytes", got.len(), all.len());
}

#[tokio::test]
async fn a_reader_of_a_shared_feed_whose_window_stays_closed_is_ended() {
    let origin = Origin::start();
    let proxy = proxy(&origin, "stream = \"shared\"\nkeep_alive = \"50ms\"").await;
    let admin = proxy.admin();
    let mut client = Strict::connect(&proxy, 20).await;
    let (mut slow, mut exchange) = client.open_from(&origin, "/feed").await;
    let mut fast = proxy.h2().await.open("/feed").await;
    has_metric(&admin, "sse_readers 2").await;
    exchange.send(format!("data: {}\n\n", "x".repeat(100))).await;
    fast.data().await;
    slow.fill(20).await;
    has_metric(&admin, "sse_closed_total{reason=\"lagged\"} 1").await;
    has_metric(&admin, "sse_readers 1").await;
    assert_eq!(slow.rest().await, Err(Some(Reason::CANCEL)));
}

#[tokio::test]
async fn a_reader_that_lags_while_it_catches_up_is_ended_as_soon_as_it_does() {
    let origin = Origin::start();
    let proxy = proxy(&origin, "stream = \"shared\"\nlag = { events = 10 }").await;
    let admin = proxy.admin();
    let (mut fast, mut exchange) = proxy.h2().await.open_from(&origin, "/feed").await;
    let events = |ids: std::ops::Range<usize>| {
        ids.map(|id| format!("id: {id}\ndata: {id}\n\n")).collect::<String>()
    };
    exchange.send(events(0..8)).await;
    fast.data_of(8).await;
    let mut slow = Strict::connect(&proxy, 20).await.resume("/feed", "0").await;
    slow.fill(20).await;
    for first in (8..48).step_by(4) {
        exchange.send(events(first..first + 4)).await;
        fast.data_of(4).await;
    }
    // Long before it would be given up for taking nothing.
    has_metric(&admin, "sse_closed_total{reason=\"lagged\"} 1").await;
    assert!(slow.rest().await.is_err());
}

#[tokio::test]
async fn a_drain_ends_the_streams_of_a_connection_in_good_order_and_waits_for_no_closed_window() {
    let origin = Origin::start();
    let mut proxy = Proxy::before(&origin, "").await;
    let mut client = Strict::connect(&proxy, WINDOW).await;
    let (mut blocked, mut to_blocked) = client.open_from(&origin, "/blocked").await;
    for id in 0..16 {
        to_blocked.send(event(id)).await;
    }
    blocked.fill(WINDOW as usize).await;
    let mut open = Vec::new();
    for n in 0..5 {
        open.push(client.open_from(&origin, &format!("/{n}")).await);
    }
    proxy.terminate();
    for (body, exchange) in &mut open {
        assert_eq!(body.rest().await, Ok(()));
        let text = String::from_utf8_lossy(&body.got);
        assert_eq!(text.matches("retry: ").count(), 1, "{text}");
        exchange.gone().await;
    }
    to_blocked.gone().await;
    assert!(blocked.rest().await.is_err(), "it has not got all that there was");
    assert_eq!(proxy.exit().await.code(), Some(0));
}

#[tokio::test]
async fn nothing_stays_of_many_connections_that_come_and_go_at_once() {
    let origin = Origin::scripted(async |mut exchange| {
        exchange.open().await;
        exchange.send("data: x\n\n").await;
        exchange.gone_in_the_end().await;
    });
    let routes = format!(
        "stream = \"private\"\n[[route]]\npath = \"/shared/*\"\nupstream = \"{}\"\nstream = \"shared\"\nlinger = \"0s\"",
        origin.url()
    );
    let proxy = proxy(&origin, &routes).await;
    let admin = proxy.admin();
    let mut clients = JoinSet::new();
    for n in 0..16 {
        let address = proxy.tls();
        clients.spawn(async move {
            for round in 0..4 {
                let client = Client::h2(address).await;
                let path = format!("/private/{n}");
                let mut first = client.open(&path).await;
                let mut shared = client.open("/shared/feed").await;
                let (mut mux, _) = Mux::open(&client, &[&path, "/shared/feed"]).await;
                let abandoned = tokio::spawn({
                    let client = client.clone();
                    async move { client.open("/private/abandoned").await }
                });
                if (n + round) % 2 == 0 {
                    first.data().await;
                    mux.event().await;
                }
                if (n + round) % 3 == 0 {
                    drop(first);
                    shared = client.open("/shared/feed").await;
                }
                abandoned.abort();
                drop(shared);
            }
        });
    }
    within("all have come and gone", clients.join_all()).await;
    has_metric(&admin, "sse_readers 0").await;
    has_metric(&admin, "sse_feeds 0").await;
    origin.until_open(0).await;
}
