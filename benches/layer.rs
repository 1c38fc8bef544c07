//! What [`SseLayer`] costs per event, beside the same bodies without it.
//!
//!     cargo bench -p sse-layer --bench layer
//!
//! `body` polls 10,000 bodies themselves. `hyper` polls connections of hyper's HTTP/1 server over
//! loopback that send such bodies; so it tells, system calls included, what an event costs there,
//! of which the layer's cost is a share. Every event is looked at, or the run fails.

use std::cell::Cell;
use std::convert::Infallible;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use divan::Bencher;
use divan::counter::ItemsCount;
use http::{Request, Response};
use http_body::{Body, Frame};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use sse_layer::{KeepAlive, SseLayer};
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, Service, service_fn};

/// Bodies that are polled themselves.
const BODIES: usize = 10_000;

/// Connections. Each takes two file descriptors, of which many systems allow a thousand.
const CONNECTIONS: usize = 400;

/// One event of about a hundred bytes.
const EVENT: &str = "id: 4711\ndata: {\"user\":\"someone\",\"text\":\"what they said: a thing or two, \
    and then another\"}\n\n";

fn main() {
    divan::main();
}

/// Which round of events it is, for all bodies.
type Round = Rc<Cell<u64>>;

/// A body that has one event in each round, and then is silent.
struct Source {
    round: Round,
    sent: u64,
}

impl Body for Source {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.sent == self.round.get() {
            return Poll::Pending;
        }
        self.sent += 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(EVENT.as_bytes())))))
    }
}

/// What is measured.
#[derive(Clone, Copy)]
enum Case {
    Bare,
    Layer,
    /// So that the share of the clock shows.
    LayerWithoutComments,
}

const CASES: [Case; 3] = [Case::Bare, Case::Layer, Case::LayerWithoutComments];

impl Case {
    fn layer(self) -> Option<SseLayer> {
        match self {
            Self::Bare => None,
            Self::Layer => Some(SseLayer::new()),
            Self::LayerWithoutComments => Some(SseLayer::new().keep_alive(KeepAlive::off())),
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bare => "bare",
            Self::Layer => "with the layer",
            Self::LayerWithoutComments => "without comments",
        })
    }
}

/// A service whose every response is a [`Source`].
fn handler<B: 'static>(
    round: &Round,
) -> impl Service<Request<B>, Response = Response<Source>, Error = Infallible, Future: 'static>
+ Clone
+ 'static {
    let round = Rc::clone(round);
    service_fn(move |_| {
        let mut response = Response::new(Source { round: Rc::clone(&round), sent: 0 });
        let event_stream = http::HeaderValue::from_static("text/event-stream");
        response.headers_mut().insert(http::header::CONTENT_TYPE, event_stream);
        std::future::ready(Ok(response))
    })
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[divan::bench(args = CASES)]
fn body(bencher: Bencher<'_, '_>, case: Case) {
    let runtime = runtime();
    let _context = runtime.enter();
    let round = Round::default();
    match case.layer() {
        None => {
            let bodies = (0..BODIES).map(|_| Source { round: Rc::clone(&round), sent: 0 });
            poll_bodies(bencher, &round, bodies.map(Box::pin).collect());
        }
        Some(layer) => {
            let mut service = layer.layer(handler(&round));
            let mut cx = Context::from_waker(Waker::noop());
            let bodies = (0..BODIES).map(|_| {
                let mut response = std::pin::pin!(service.call(Request::new(())));
                let Poll::Ready(Ok(response)) = response.as_mut().poll(&mut cx) else {
                    panic!("the service answers at once")
                };
                let mut body = Box::pin(response.into_body());
                let opening = body.as_mut().poll_frame(&mut cx);
                assert!(opening.is_ready(), "first bytes at once");
                body
            });
            poll_bodies(bencher, &round, bodies.collect());
        }
    }
}

/// Polls each body as servers do: until it has nothing more.
fn poll_bodies<B: Body<Data = Bytes, Error = Infallible>>(
    bencher: Bencher<'_, '_>,
    round: &Round,
    mut bodies: Vec<Pin<Box<B>>>,
) {
    let mut cx = Context::from_waker(Waker::noop());
    bencher.counter(ItemsCount::new(bodies.len())).bench_local(|| {
        round.set(round.get() + 1);
        let mut bytes = 0;
        for body in &mut bodies {
            while let Poll::Ready(frame) = body.as_mut().poll_frame(&mut cx) {
                let Some(Ok(frame)) = frame else { panic!("the body goes on") };
                bytes += frame.data_ref().map_or(0, Bytes::len);
            }
        }
        assert_eq!(bytes, bodies.len() * EVENT.len());
    });
}

#[divan::bench(args = CASES, sample_size = 1)]
fn hyper(bencher: Bencher<'_, '_>, case: Case) {
    let runtime = runtime();
    let round = Round::default();
    let handler = handler(&round);
    let mut server = match case.layer() {
        None => Server::start(&runtime, || handler.clone()),
        Some(layer) => Server::start(&runtime, || layer.layer(handler.clone())),
    }
    .expect("connections on loopback");

    // The first event, after the head and what the layer adds.
    round.set(1);
    server.poll(&runtime);
    server.clients.iter_mut().for_each(|client| client.skip_to_event().expect("a first event"));

    let server = Cell::new(Some(server));
    let with_server = |act: &dyn Fn(&mut Server)| {
        let mut taken = server.take().expect("one at a time");
        act(&mut taken);
        server.set(Some(taken));
    };
    let read = Cell::new(1);
    let read_round = || {
        if read.replace(round.get()) < round.get() {
            with_server(&|server| {
                let clients = server.clients.iter_mut();
                clients.for_each(|client| client.read_event().expect("the event, and it alone"));
            });
        }
    };
    bencher.counter(ItemsCount::new(CONNECTIONS)).with_inputs(read_round).bench_local_values(
        |()| {
            round.set(round.get() + 1);
            with_server(&|server| server.poll(&runtime));
        },
    );
    read_round();
}

type Connection = Pin<Box<dyn Future<Output = hyper::Result<()>>>>;

/// The connections of a server and of its clients.
struct Server {
    connections: Vec<Connection>,
    clients: Vec<Client>,
}

impl Server {
    fn start<S, B>(runtime: &Runtime, service: impl Fn() -> S) -> io::Result<Self>
    where
        S: Service<Request<hyper::body::Incoming>, Response = Response<B>, Error = Infallible>
            + Clone
            + 'static,
        S::Future: 'static,
        B: Body<Data = Bytes, Error = Infallible> + 'static,
    {
        let _context = runtime.enter();
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let mut server = Self { connections: Vec::new(), clients: Vec::new() };
        for _ in 0..CONNECTIONS {
            let mut client = TcpStream::connect(listener.local_addr()?)?;
            client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
            server.clients.push(Client(client));
            let (accepted, _) = listener.accept()?;
            accepted.set_nonblocking(true)?;
            accepted.set_nodelay(true)?;
            let accepted = TokioIo::new(tokio::net::TcpStream::from_std(accepted)?);
            let service = TowerToHyperService::new(service());
            let connection = http1::Builder::new().serve_connection(accepted, service);
            server.connections.push(Box::pin(connection));
        }
        // Sockets are ready when the runtime has seen them to be.
        for _ in 0..2 {
            server.poll(runtime);
            runtime.block_on(tokio::task::yield_now());
        }
        Ok(server)
    }

    /// Polls each connection once: it takes what its body has, and writes it.
    fn poll(&mut self, runtime: &Runtime) {
        let _context = runtime.enter();
        let mut cx = Context::from_waker(Waker::noop());
        for connection in &mut self.connections {
            assert!(connection.as_mut().poll(&mut cx).is_pending(), "the stream goes on");
        }
    }
}

struct Client(TcpStream);

impl Client {
    fn skip_to_event(&mut self) -> io::Result<()> {
        let mut read = Vec::new();
        let mut byte = [0];
        while !read.ends_with(&chunk()) {
            self.0.read_exact(&mut byte)?;
            read.extend(byte);
        }
        Ok(())
    }

    fn read_event(&mut self) -> io::Result<()> {
        let chunk = chunk();
        let mut read = vec![0; chunk.len()];
        self.0.read_exact(&mut read)?;
        if read == chunk { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
    }
}

/// An event as HTTP/1.1 sends it.
fn chunk() -> Vec<u8> {
    format!("{:X}\r\n{EVENT}\r\n", EVENT.len()).into_bytes()
}
