//! A clock on hyper alone: `cargo run -p sse-layer --example hyper [PORT]`.
//!
//! Watch it with `curl -N http://127.0.0.1:3000/`; with `--http2-prior-knowledge` over HTTP/2.
//! Ctrl-C lets its streams end, one after the other within two seconds, before it goes.

use std::convert::Infallible;
use std::future::ready;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::stream::{self, Stream};
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use sse_layer::{Drain, Event, EventStream, LastEventId, SseLayer};
use tokio::net::TcpListener;
use tokio::time::interval;
use tower::{ServiceBuilder, service_fn};

/// A tick each second, numbered on from the last one that the client has seen.
fn clock(last: Option<LastEventId>) -> EventStream<impl Stream<Item = Event>> {
    let seen: u64 = last.and_then(|id| id.as_str().parse().ok()).unwrap_or(0);
    let state = (seen, interval(Duration::from_secs(1)));
    EventStream::new(stream::unfold(state, async |(seen, mut interval)| {
        interval.tick().await;
        let tick = seen.saturating_add(1);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let event = Event::new().id(tick.into()).data(now.as_secs().to_string());
        Some((event, (tick, interval)))
    }))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).map_or(Ok(3000), |port| port.parse())?;
    let drain = Drain::new();
    let service = ServiceBuilder::new().layer(SseLayer::new().drain(drain.clone())).service(
        service_fn(|request: Request<Incoming>| {
            let events = clock(LastEventId::of(&request));
            ready(Ok::<_, Infallible>(events.into_response()))
        }),
    );

    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("http://{}/", listener.local_addr()?);
    let server = auto::Builder::new(TokioExecutor::new());
    let connections = GracefulShutdown::new();
    loop {
        let socket = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => socket,
                Err(error) => {
                    eprintln!("no connection: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await; // out of sockets, perhaps
                    continue;
                }
            },
            _ = tokio::signal::ctrl_c() => break,
        };
        socket.set_nodelay(true)?; // an event is small, and is to leave at once
        let service = TowerToHyperService::new(service.clone());
        let connection = server.serve_connection(TokioIo::new(socket), service).into_owned();
        tokio::spawn(connections.watch(connection));
    }

    drop(listener);
    drain.start(Duration::from_secs(2));
    // A client that does not read would hold the server for ever.
    let _ = tokio::time::timeout(Duration::from_secs(5), connections.shutdown()).await;
    Ok(())
}
