//! Clients that say much on an HTTP/2 connection, or take nothing from it: it is their own trouble.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use h2::client::Builder;
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;

use crate::support::{Client, Exchange, HOST_NAME, Origin, Proxy, Tls, within};

/// A frame of HTTP/2 (RFC 9113, 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a small frame").to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A GET's fields, none of them indexed or compressed (RFC 7541, 6.2.2).
fn fields(path: &str) -> Vec<u8> {
    let fields = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", HOST_NAME),
        (":path", path),
        ("accept", "text/event-stream"),
    ];
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).expect("a short text"));
            block.extend(text.bytes());
        }
    }
    block
}

fn ask(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &fields(path))
}

/// What an attacker sends over and over again, the `round`th time.
type Flood = fn(round: u32) -> Vec<u8>;

const FLOODS: [(&str, Flood); 9] = [
    ("pings", |_| frame(PING, 0, 0, &[0; 8])),
    ("settings", |_| frame(SETTINGS, 0, 0, &[])),
    ("room for a byte more on the connection", |_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
    ("room for a byte more on a stream", |_| frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])),
    ("priorities", |_| frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 0])),
    ("empty data", |_| frame(DATA, 0, 1, &[])),
    ("heads without end", |round| {
        let kind = if round == 0 { HEADERS } else { CONTINUATION };
        frame(kind, 0, 3, &[0, 1, b'a', 1, b'b'])
    }),
    ("requests that are reset", |round| {
        let stream = 2 * round + 3;
        [ask(stream, "/reset"), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
    }),
    ("requests beyond what is allowed", |round| ask(2 * round + 3, "/more")),
];

/// A connection that has a stream of events, and so is served by a thread that writes them.
async fn attacker(proxy: &Proxy, origin: &Origin) -> (TlsStream<TcpStream>, Exchange) {
    let mut io = Tls::speaking("h2").connect(proxy.tls()).await;
    let begin = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let begin = [begin, frame(SETTINGS, 0, 0, &[]), ask(1, "/attacker")].concat();
    io.write_all(&begin).await.expect("connected");
    (io, origin.opened("/attacker").await)
}

/// Sends frames for as long as they are taken: whoever had to wait for their end would wait too long.
async fn flood(io: TlsStream<TcpStream>, flood: Flood) {
    const FRAMES: u32 = 10_000_000;
    const PART: u32 = 1000;
    let (mut answers, mut send) = tokio::io::split(io);
    let sending = async {
        for first in (0..FRAMES).step_by(PART as usize) {
            let frames: Vec<u8> = (first..first + PART).flat_map(flood).collect();
            if send.write_all(&frames).await.is_err() {
                return;
            }
        }
    };
    let mut ignored = vec![0; 64 << 10];
    let reading = async { while let Ok(1..) = answers.read(&mut ignored).await {} };
    tokio::select! {
        () = sending => {}
        () = reading => {}
    }
}

#[tokio::test]
async fn a_flood_of_frames_on_one_connection_holds_up_no_reader_on_another() {
    const ROUNDS: usize = 10;
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    // Each thread has some of them.
    let mut open = Vec::new();
    for n in 0..4 {
        let path = format!("/h2/{n}");
        open.push(proxy.h2().await.open_from(&origin, &path).await);
        let path = format!("/h1/{n}");
        open.push(proxy.h1().open_from(&origin, &path).await);
    }
    for (what, frames) in FLOODS {
        let (io, _attacked) = attacker(&proxy, &origin).await;
        let attack = tokio::spawn(flood(io, frames));
        for round in 0..ROUNDS {
            let said = format!("{what}, {round}");
            for (_, exchange) in &mut open {
                exchange.send(format!("data: {said}\n\n")).await;
            }
            for (stream, _) in &mut open {
                assert_eq!(stream.data().await, said);
            }
        }
        attack.abort();
    }
}

// Whoever has a large window and does not read has it all kept for him, were there no other bound.
#[tokio::test]
async fn streams_of_a_connection_that_is_not_read_cost_little_memory() {
    const STREAMS: usize = 50;
    let origin = Origin::scripted(async |mut exchange| {
        exchange.open().await;
        let event = format!("4000\r\ndata: {}\n\n\r\n", "x".repeat(0x4000 - 8));
        while exchange.try_raw(event.as_bytes()).await.is_ok() {}
    });
    let proxy = Proxy::before(&origin, "").await;
    let io = Tls::speaking("h2").connect(proxy.tls()).await;
    let mut builder = Builder::new();
    builder.initial_window_size(1 << 30).initial_connection_window_size(1 << 30);
    let (mut send, mut connection) =
        builder.handshake::<_, bytes::Bytes>(io).await.expect("HTTP/2");
    let before = proxy.peak_memory();
    let mut answers = Vec::new();
    for n in 0..STREAMS {
        let ask = Request::get(format!("https://{HOST_NAME}/{n}")).body(()).expect("a request");
        answers.push(send.send_request(ask, true).expect("a stream").0);
    }
    // As soon as the first has an answer, nothing more is read.
    tokio::select! {
        answer = within("an answer", &mut answers[0]) => drop(answer.expect("an answer")),
        ended = &mut connection => panic!("{ended:?}"),
    }
    origin.until_open(STREAMS).await;
    // A reader of its own connection, which gets far more than that meanwhile.
    let mut other = proxy.h1().open("/other").await;
    for _ in 0..4000 {
        other.data().await;
    }
    let grown = proxy.peak_memory() - before;
    assert!(grown < 16 << 20, "grown by {} KiB", grown >> 10);
    drop(connection);
    origin.until_open(1).await;
}

/// Counts the records of TLS that a server sends over one connection.
async fn counted(server: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let records = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&records);
    tokio::spawn(async move {
        let (client, _) = listener.accept().await.expect("a client");
        let server = TcpStream::connect(server).await.expect("a server");
        client.set_nodelay(true).expect("a TCP socket");
        let (mut from_client, to_client) = client.into_split();
        let (from_server, mut to_server) = server.into_split();
        tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
        pass_records(from_server, to_client, &count).await
    });
    (address, records)
}

async fn pass_records(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    count: &AtomicUsize,
) -> std::io::Result<()> {
    loop {
        let mut head = [0; 5];
        from.read_exact(&mut head).await?;
        let mut record = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
        from.read_exact(&mut record).await?;
        count.fetch_add(1, Ordering::Relaxed);
        to.write_all(&[&head[..], &record[..]].concat()).await?;
    }
}

#[tokio::test]
async fn what_many_streams_of_a_connection_get_at_once_is_sent_together() {
    const STREAMS: usize = 50;
    const EVENTS: usize = 20;
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "stream = \"shared\"").await;
    let (address, records) = counted(proxy.tls()).await;
    let client = Client::h2(address).await;
    let (first, mut exchange) = client.open_from(&origin, "/feed").await;
    let mut streams = vec![first];
    while streams.len() < STREAMS {
        streams.push(client.open("/feed").await);
    }
    exchange.send("data: all are here\n\n").await;
    for stream in &mut streams {
        stream.data().await;
    }
    let before = records.load(Ordering::Relaxed);
    for round in 0..EVENTS {
        exchange.send(format!("data: {round}\n\n")).await;
        for stream in &mut streams {
            assert_eq!(stream.data().await, round.to_string());
        }
    }
    let sent = records.load(Ordering::Relaxed) - before;
    assert!(sent <= 4 * EVENTS, "{sent} records for {EVENTS} events of {STREAMS} streams");
}
