//! The ends of real connections: clients that go without a word, and servers that stop.

use std::convert::Infallible;
use std::future::ready;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use http::Request;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use sse_layer::{Drain, Event, EventStream, KeepAlive, SseLayer};
use tokio::sync::watch;
use tokio::time::timeout;
use tower::{Layer, service_fn};

use crate::client::{Client, DEADLINE, PROTOCOLS};
use crate::secs;
use crate::tcp::{Server, boxed};

/// One event, and then silence for ever; counted as long as it lives.
struct Quiet {
    next: Option<Event>,
    open: watch::Sender<usize>,
}

impl Quiet {
    fn stream(open: &watch::Sender<usize>) -> EventStream<Self> {
        open.send_modify(|open| *open += 1);
        EventStream::new(Self { next: Some(Event::new().data("x")), open: open.clone() })
    }
}

impl Stream for Quiet {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Event>> {
        self.next.take().map_or(Poll::Pending, |event| Poll::Ready(Some(event)))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        self.open.send_modify(|open| *open -= 1);
    }
}

/// A layer without a timer that could notice something by chance.
fn quiet() -> SseLayer {
    SseLayer::new().keep_alive(KeepAlive::off())
}

fn hyper(layer: &SseLayer, open: &watch::Sender<usize>) -> Server {
    let open = open.clone();
    let handler = service_fn(move |_: Request<Incoming>| {
        ready(Ok::<_, Infallible>(Quiet::stream(&open).into_response()))
    });
    Server::start(boxed(layer.layer(handler)))
}

/// Asserts that the only stream is dropped within a second after its client has gone.
async fn assert_dropped(mut client: Client, open: &watch::Sender<usize>) {
    let response = client.stream().await;
    assert_eq!(*open.borrow(), 1);
    client.leave();
    let mut open = open.subscribe();
    let dropped = open.wait_for(|open| *open == 0);
    timeout(secs(1), dropped).await.expect("the connection's end is noticed").unwrap();
    drop(response);
}

#[tokio::test]
async fn hyper_drops_a_silent_stream_within_a_second_after_its_client_left() {
    for protocol in PROTOCOLS {
        let open = watch::Sender::new(0);
        let server = hyper(&quiet(), &open);
        assert_dropped(server.client(protocol).await, &open).await;
    }
}

#[tokio::test]
async fn hyper_shuts_down_at_once_with_a_drain_without_a_window() {
    for protocol in PROTOCOLS {
        let (open, drain) = (watch::Sender::new(0), Drain::new());
        let server = hyper(&quiet().drain(drain.clone()), &open);
        let mut client = server.client(protocol).await;
        let response = client.stream().await;

        drain.start(Duration::ZERO);
        timeout(secs(5), server.shut_down()).await.expect("no hang");
        assert_eq!((drain.active(), *open.borrow()), (0, 0), "{protocol:?}");
        assert_ends_well(response.into_body()).await;
    }
}

async fn assert_ends_well(body: Incoming) {
    let rest = timeout(DEADLINE, body.collect()).await.expect("an end").expect("a good one");
    let rest = rest.to_bytes();
    assert!(rest.starts_with(b"retry: ") && rest.ends_with(b"\n\n"), "{rest:?}");
}

#[cfg(feature = "axum")]
mod axum {
    use std::net::SocketAddr;

    use ::axum::{Router, routing::get};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    use super::*;

    async fn axum(
        layer: SseLayer,
        open: &watch::Sender<usize>,
        stop: oneshot::Receiver<()>,
    ) -> (SocketAddr, JoinHandle<std::io::Result<()>>) {
        let open = open.clone();
        let app = Router::new().route("/", get(async move || Quiet::stream(&open))).layer(layer);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stopped = async { drop(stop.await) };
        let server = ::axum::serve(listener, app).with_graceful_shutdown(stopped);
        (address, tokio::spawn(server.into_future()))
    }

    #[tokio::test]
    async fn axum_drops_a_silent_stream_within_a_second_after_its_client_left() {
        for protocol in PROTOCOLS {
            let open = watch::Sender::new(0);
            let (_never, stop) = oneshot::channel();
            let (address, _server) = axum(quiet(), &open, stop).await;
            let io = TcpStream::connect(address).await.unwrap();
            assert_dropped(Client::connect(protocol, io).await, &open).await;
        }
    }

    #[tokio::test]
    async fn axum_shuts_down_at_once_with_a_drain_without_a_window() {
        for protocol in PROTOCOLS {
            let (open, drain) = (watch::Sender::new(0), Drain::new());
            let (stop, stopped) = oneshot::channel();
            let (address, server) = axum(quiet().drain(drain.clone()), &open, stopped).await;
            let io = TcpStream::connect(address).await.unwrap();
            let mut client = Client::connect(protocol, io).await;
            let response = client.stream().await;

            drain.start(Duration::ZERO);
            stop.send(()).unwrap();
            timeout(secs(5), server).await.expect("no hang").unwrap().unwrap();
            assert_eq!((drain.active(), *open.borrow()), (0, 0), "{protocol:?}");
            assert_ends_well(response.into_body()).await;
        }
    }
}
