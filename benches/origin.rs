//! The origin: stamped events at a fixed rate, on every connection.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use sse_layer::Event;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::stamp::stamp;

/// A running origin. It stops with the runtime that it was started in.
pub struct Origin {
    /// Where it listens.
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    go: watch::Sender<bool>,
}

impl Origin {
    /// Starts an origin that sends `events` events on each connection, one every `period`, once it
    /// has been told to.
    ///
    /// # Errors
    ///
    /// If it cannot listen.
    pub async fn start(events: u64, period: Duration) -> io::Result<Self> {
        let socket = TcpListener::bind("127.0.0.1:0").await?;
        let address = socket.local_addr()?;
        let (go, going) = watch::channel(false);
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((connection, _)) = socket.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let _ = connection.set_nodelay(true);
                let going = going.clone();
                let service = service_fn(move |_: Request<_>| {
                    let going = going.clone();
                    async move { Ok::<_, Infallible>(answer(going, events, period)) }
                });
                let served = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(connection), service);
                tokio::spawn(served);
            }
        });
        Ok(Self { address, connections, go })
    }

    /// Lets the events flow.
    pub fn go(&self) {
        self.go.send_replace(true);
    }

    /// How many connections it has accepted.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

type Body = StreamBody<stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

fn answer(mut going: watch::Receiver<bool>, events: u64, period: Duration) -> Response<Body> {
    let stamped = async_stream(async move |send| {
        let _ = going.wait_for(|going| *going).await;
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for seq in 1..=events {
            ticks.tick().await;
            let event = Event::new().id(seq.into()).data(stamp(seq));
            if send.send(event.to_bytes()).await.is_err() {
                return;
            }
        }
    });
    let mut response = Response::new(StreamBody::new(stamped));
    let headers = response.headers_mut();
    headers.insert("content-type", hyper::header::HeaderValue::from_static("text/event-stream"));
    response
}

/// What `produce` sends, as a body.
fn async_stream<F: Future<Output = ()> + Send + 'static>(
    produce: impl FnOnce(tokio::sync::mpsc::Sender<Bytes>) -> F,
) -> stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>> {
    let (send, receive) = tokio::sync::mpsc::channel(64);
    tokio::spawn(produce(send));
    Box::pin(stream::unfold(receive, async |mut receive| {
        let bytes = receive.recv().await?;
        Some((Ok(Frame::data(bytes)), receive))
    }))
}
