//! Private streams of plain HTTP/1 are asked for by the threads that write them. Whatever comes of
//! it, a client cannot tell that from any other way to be served.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::support::{Exchange, Folder, Origin, Proxy, Wire, at_once, within};

const ASK: &str = "GET /feed HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n";

async fn asked(proxy: &Proxy, origin: &Origin) -> (Wire, Exchange) {
    let wire = Wire::send(proxy.plain(), ASK).await;
    (wire, origin.request("/feed").await)
}

/// Asks, and gets what the origin says.
async fn begun(proxy: &Proxy, origin: &Origin) {
    let (mut wire, mut exchange) = asked(proxy, origin).await;
    exchange.open().await;
    exchange.send("data: a\n\n").await;
    wire.text_until("data: a\n\n").await;
}

#[tokio::test]
async fn an_answer_that_is_no_stream_leaves_the_connection_to_the_next_request() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for status in ["200 OK", "404 Not Found", "503 Service Unavailable"] {
        let (mut wire, mut exchange) = asked(&proxy, &origin).await;
        exchange.answer(status, "Content-Type: application/json\r\n", "{\"a\":1}").await;
        let text = wire.text_until("{\"a\":1}").await;
        assert!(text.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{text}");
        wire.write("GET /next HTTP/1.1\r\nHost: h\r\n\r\n").await;
        let mut next = origin.request("/next").await;
        next.answer("200 OK", "", "next").await;
        wire.text_until("next").await;
    }
}

#[tokio::test]
async fn a_stream_that_needs_a_second_look_is_one_all_the_same() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    for label in ["text/event-stream; charset=iso-8859-1", ""] {
        let (mut wire, mut exchange) = asked(&proxy, &origin).await;
        exchange.raw(format!("HTTP/1.1 200 OK\r\nContent-Type: {label}\r\n\r\n")).await;
        exchange.raw("data: \u{e9}\n\n").await;
        let text = wire.text_until("data: \u{e9}\n\n").await;
        assert!(text.contains("\r\nContent-Type: text/event-stream\r\n"), "{text}");
        // It goes on from where it was looked at.
        exchange.raw("data: b\n\n").await;
        wire.text_until("data: b\n\n").await;
    }
}

#[tokio::test]
async fn a_head_may_come_byte_by_byte_and_after_others() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    let (mut wire, mut exchange) = asked(&proxy, &origin).await;
    let said = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: a\n\n";
    for byte in said.bytes() {
        exchange.raw([byte]).await;
        tokio::task::yield_now().await;
    }
    wire.text_until("data: a\n\n").await;
    assert_eq!(origin.accepted(), 1);
}

#[tokio::test]
async fn an_origin_that_cannot_be_reached_gives_way_to_the_next() {
    let origin = Origin::start();
    let mut gone = Origin::start();
    gone.stop_listening().await;
    let upstreams = format!("upstream = [\"{}\", \"{}\"]", gone.url(), origin.url());
    let proxy = Proxy::with_upstream(Folder::new().into(), &upstreams).await;
    for _ in 0..4 {
        begun(&proxy, &origin).await;
    }
    assert_eq!(origin.accepted(), 4);
}

/// A port at which nobody is let in, as those who wait there already fill its queue.
fn crowded() -> (Socket, Vec<TcpStream>, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&any.into()).expect("a port");
    socket.listen(0).expect("a queue");
    let address = socket.local_addr().ok().and_then(|address| address.as_socket()).expect("one");
    let soon = Duration::from_millis(100);
    let queue = std::iter::from_fn(|| TcpStream::connect_timeout(&address, soon).ok()).collect();
    (socket, queue, address)
}

#[tokio::test]
async fn an_origin_that_lets_nobody_in_is_given_up_in_time() {
    let origin = Origin::start();
    let (_socket, _queue, address) = crowded();
    let keys = format!("upstream = \"http://{address}\"\ntimeouts = {{ connect = \"200ms\" }}");
    let proxy = Proxy::with_upstream(Folder::new().into(), &keys).await;
    let mut wire = Wire::send(proxy.plain(), ASK).await;
    assert_eq!(within("the client is cut off", wire.rest()).await, b"");
    proxy.logged("no connection in time (timeouts.connect)").await;
    let both = format!(", \"{}\"]\n", origin.url());
    let keys = keys.replacen("= ", "= [", 1).replacen('\n', &both, 1);
    let proxy = Proxy::with_upstream(Folder::new().into(), &keys).await;
    for _ in 0..2 {
        begun(&proxy, &origin).await;
    }
}

#[tokio::test]
async fn an_origin_that_breaks_off_or_says_nothing_is_asked_once() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "timeouts = { first_byte = \"200ms\" }").await;
    let (mut wire, exchange) = asked(&proxy, &origin).await;
    exchange.kill();
    assert_eq!(at_once("the client is cut off", wire.rest()).await, b"");
    let (mut wire, mut exchange) = asked(&proxy, &origin).await;
    assert_eq!(within("the client is cut off", wire.rest()).await, b"");
    exchange.gone().await;
    assert_eq!(origin.accepted(), 2);
    proxy.logged("no answer in time").await;
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_leaves_nothing() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    let (wire, mut exchange) = asked(&proxy, &origin).await;
    drop(wire);
    exchange.gone().await;
    // And so does one that never stops talking.
    let (mut wire, mut exchange) = asked(&proxy, &origin).await;
    let _ = wire.try_write(&[b'x'; 256 << 10]).await;
    exchange.gone().await;
}

#[tokio::test]
async fn who_waits_when_a_drain_begins_is_answered() {
    let origin = Origin::start();
    let proxy = Proxy::before(&origin, "").await;
    let (mut wire, mut exchange) = asked(&proxy, &origin).await;
    proxy.terminate();
    proxy.logged("drain").await;
    exchange.open().await;
    let text = wire.rest_as_text().await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert!(text.contains("retry: ") && text.ends_with("0\r\n\r\n"), "{text}");
}
