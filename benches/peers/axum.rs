//! A service as axum's users write it: one broadcast channel, and `Sse` on it for each reader.

use std::convert::Infallible;
use std::io;
use std::process::ExitCode;

use axum::response::sse::{Event, Sse};
use axum::routing::{MethodRouter, get};
use axum::{Router, serve};
use futures_util::stream::{self, Stream};
use sse_layer::Decoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::broadcast::{self, Receiver, Sender};

/// Events that a reader may be behind.
const BEHIND: usize = 1024;

/// Runs with two arguments: the source's port, and the one to listen on.
pub fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    let ports: Vec<u16> = arguments.filter_map(|port| port.parse().ok()).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(run(&ports))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("axum: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(ports: &[u16]) -> io::Result<()> {
    let [source, port] = ports else { return Err(io::Error::other("two ports")) };
    let (send, _) = broadcast::channel(BEHIND);
    tokio::spawn(feed(*source, send.clone()));
    let (silent, _) = broadcast::channel(1);
    let routes =
        Router::new().route("/feed/0", feed_of(send)).route("/feed/silent", feed_of(silent));
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], *port).into())?;
    serve(socket.listen(4096)?, routes).await
}

fn feed_of(send: Sender<Event>) -> MethodRouter {
    get(async move || Sse::new(events(send.subscribe())))
}

fn events(receive: Receiver<Event>) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(receive, async |mut receive| Some((Ok(receive.recv().await.ok()?), receive)))
}

/// Reads the source's feed, and sends what it has to all.
async fn feed(source: u16, send: Sender<Event>) -> io::Result<()> {
    let mut connection = TcpStream::connect(("127.0.0.1", source)).await?;
    connection.write_all(b"GET /feed/0 HTTP/1.1\r\nhost: source\r\n\r\n").await?;
    let mut decoder = Decoder::new();
    let mut room = [0; 4096];
    loop {
        let read = connection.read(&mut room).await?;
        // The head and the chunks' sizes are lines that no field begins, so that they are no data.
        decoder.push(room[..read].to_vec());
        while let Some(event) = decoder.next_event().map_err(io::Error::other)? {
            let _ = send.send(Event::default().id(event.last_event_id).data(event.data));
        }
    }
}
