//! Clients that read stamped events.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use sse_layer::Decoder;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::load::tls::{self, Trust};
use crate::stamp;

/// What one client saw.
#[derive(Default)]
pub struct Seen {
    /// How long each event took.
    pub delays: Vec<Duration>,
    /// Numbers that were not one more than the number before.
    pub out_of_order: u64,
}

/// Opens `streams` streams over HTTP/1.1, each on a connection of its own.
///
/// # Errors
///
/// If one cannot be opened.
pub async fn open_h1(to: SocketAddr, path: &str, streams: usize) -> io::Result<Vec<Incoming>> {
    let mut bodies = Vec::new();
    for _ in 0..streams {
        let connection = TcpStream::connect(to).await?;
        connection.set_nodelay(true)?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(connection)).await.map_err(other)?;
        tokio::spawn(connection);
        let request = request(path, Some(to))?;
        bodies.push(body(sender.send_request(request).await.map_err(other)?)?);
        // Dropping the sender would end the connection when the body is done, which is fine.
    }
    Ok(bodies)
}

/// Opens `streams` streams over HTTP/2 with TLS, all on one connection.
///
/// # Errors
///
/// If one cannot be opened.
pub async fn open_h2(to: SocketAddr, path: &str, streams: usize) -> io::Result<Vec<Incoming>> {
    let connection = TcpStream::connect(to).await?;
    connection.set_nodelay(true)?;
    let name = ServerName::try_from("localhost").map_err(other)?;
    let connector = TlsConnector::from(tls::client("h2", Trust::Anybody)?);
    let connection = connector.connect(name, connection).await?;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(connection))
            .await
            .map_err(other)?;
    tokio::spawn(connection);
    let mut bodies = Vec::new();
    for _ in 0..streams {
        let request = request(&format!("https://localhost{path}"), None)?;
        bodies.push(body(sender.send_request(request).await.map_err(other)?)?);
    }
    Ok(bodies)
}

/// Reads `events` stamped events.
///
/// # Errors
///
/// If the stream breaks or ends before.
pub async fn read(mut body: Incoming, events: u64) -> io::Result<Seen> {
    let mut seen = Seen::default();
    let mut decoder = Decoder::new();
    let mut last = 0;
    while seen.delays.len() < events as usize {
        let frame = body.frame().await.ok_or_else(|| other("the stream ended early"))?;
        let Ok(data) = frame.map_err(other)?.into_data() else { continue };
        decoder.push(data);
        while let Some(event) = decoder.next_event().map_err(other)? {
            let (seq, delay) = stamp::read(event.data).ok_or_else(|| other("not a stamp"))?;
            seen.out_of_order += u64::from(seq != last + 1);
            last = seq;
            seen.delays.push(delay);
        }
    }
    Ok(seen)
}

/// HTTP/2 names the host in the target, HTTP/1 in a field.
fn request(target: &str, host: Option<SocketAddr>) -> io::Result<Request<Empty<Bytes>>> {
    let request = Request::get(target).header("accept", "text/event-stream");
    let request = match host {
        Some(host) => request.header("host", host.to_string()),
        None => request,
    };
    request.body(Empty::new()).map_err(other)
}

fn body(response: Response<Incoming>) -> io::Result<Incoming> {
    if response.status() == 200 {
        Ok(response.into_body())
    } else {
        Err(other(response.status().to_string()))
    }
}

fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::other(error)
}
