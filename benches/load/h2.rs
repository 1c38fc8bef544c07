//! The readers of one process, over HTTP/2: a task for each stream, all on one thread.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep_until};
use tokio_rustls::TlsConnector;

use super::args::Args;
use super::clock;
use super::control::{Control, Order};
use super::pace::Pace;
use super::reader::Reader;
use super::tally::Tally;
use super::target::Target;
use super::tls;

/// What a server may send on a connection before any of it was read.
const CONNECTION_WINDOW: u32 = 16 << 20;

/// The same for a stream.
const STREAM_WINDOW: u32 = 1 << 20;

/// Reads until told to stop.
///
/// # Errors
///
/// If the process that reports is gone.
pub fn run(args: &Args, streams: std::ops::Range<usize>) -> io::Result<()> {
    let target = Target::new(args)?;
    let tls = target.is_tls.then(|| tls::client("h2", args.insecure)).transpose()?;
    let shared = Rc::new(Shared {
        args: args.clone(),
        target,
        tls,
        opening: Semaphore::new(args.opening),
        tally: RefCell::default(),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async move {
        let all: Vec<usize> = streams.collect();
        for group in all.chunks(args.streams_per_connection.max(1)) {
            spawn_local(keep(Rc::clone(&shared), group.to_vec()));
        }
        obey(&shared, all.len()).await
    })
}

struct Shared {
    args: Args,
    target: Target,
    tls: Option<Arc<ClientConfig>>,
    /// Permits to be between the start of a connection and its streams.
    opening: Semaphore,
    tally: RefCell<Tally>,
}

/// Does what the process that reports says.
async fn obey(shared: &Shared, streams: usize) -> io::Result<()> {
    let mut control = Control::new()?;
    let orders = control.socket().try_clone()?;
    orders.set_nonblocking(true)?;
    let mut orders = tokio::net::UnixStream::from_std(orders)?;
    let mut pace: Option<Pace> = None;
    let mut cpu = 0;
    loop {
        let wait = Duration::from_millis(if pace.is_some() { 1 } else { 1000 });
        let order = tokio::time::timeout(wait, orders.read_u8()).await;
        if let Some(pace) = &mut pace {
            pace.tell(&mut shared.tally.borrow_mut())?;
        }
        match order.map(|order| order.map_or(Order::Stop, Order::from_byte)) {
            Err(_) => {}
            Ok(Order::Stop) => return Ok(()),
            Ok(Order::Go) => {
                if let Some(source) = shared.args.pace {
                    let round = streams as u64 * shared.target.feeds_per_stream();
                    pace = Some(Pace::new(source, round, shared.tally.borrow().events)?);
                }
            }
            Ok(Order::Tally) => {
                let mut tally = shared.tally.borrow_mut();
                if let Some(pace) = &mut pace {
                    pace.counted(tally.events);
                }
                let used = clock::own_cpu();
                tally.cpu = used - std::mem::replace(&mut cpu, used);
                control.answer(&tally.take())?;
            }
        }
    }
}

/// Keeps the streams of one connection open.
async fn keep(shared: Rc<Shared>, streams: Vec<usize>) {
    let readers: Vec<_> = streams
        .iter()
        .map(|_| Rc::new(RefCell::new(Reader::new(false, shared.target.is_one()))))
        .collect();
    loop {
        let retry = match connection(&shared, &streams, &readers).await {
            Ok(()) => 0,
            Err(error) => {
                shared.tally.borrow_mut().fault(error);
                1
            }
        };
        let retry = readers.iter().map(|it| it.borrow().retry()).max().unwrap_or(0).max(retry);
        sleep_until(Instant::now() + Duration::from_nanos(retry)).await;
    }
}

/// Opens a connection and its streams, and reads them to their ends.
async fn connection(
    shared: &Rc<Shared>,
    streams: &[usize],
    readers: &[Rc<RefCell<Reader>>],
) -> io::Result<()> {
    let permit = shared.opening.acquire().await.map_err(io::Error::other)?;
    readers.iter().for_each(|reader| reader.borrow_mut().start(clock::now()));
    let socket = shared.target.connect(streams.first().copied().unwrap_or(0), false)?;
    let socket = tokio::net::TcpStream::from_std(socket)?;
    socket.writable().await?;
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    let send = match &shared.tls {
        None => handshake(socket).await?,
        Some(config) => {
            let name =
                ServerName::try_from(shared.target.host.clone()).map_err(io::Error::other)?;
            handshake(TlsConnector::from(Arc::clone(config)).connect(name, socket).await?).await?
        }
    };
    let now = clock::now();
    let tasks: Vec<_> = streams
        .iter()
        .zip(readers)
        .map(|(stream, reader)| {
            reader.borrow().connected(now, &mut shared.tally.borrow_mut());
            spawn_local(read(Rc::clone(shared), send.clone(), *stream, Rc::clone(reader)))
        })
        .collect();
    drop((permit, send));
    for task in tasks {
        task.await.map_err(io::Error::other)?;
    }
    Ok(())
}

async fn handshake<S>(socket: S) -> io::Result<SendRequest<Bytes>>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let (send, connection) = h2::client::Builder::new()
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_window_size(STREAM_WINDOW)
        .enable_push(false)
        .handshake::<_, Bytes>(socket)
        .await
        .map_err(io::Error::other)?;
    spawn_local(connection);
    Ok(send)
}

/// Reads one stream to its end.
async fn read(
    shared: Rc<Shared>,
    send: SendRequest<Bytes>,
    stream: usize,
    reader: Rc<RefCell<Reader>>,
) {
    let was_open = std::cell::Cell::new(false);
    let result = read_open(&shared, send, stream, &reader, &was_open).await;
    let mut tally = shared.tally.borrow_mut();
    if was_open.get() {
        reader.borrow().ended(&mut tally);
    }
    if let Err(error) = result {
        tally.fault(error);
    }
}

async fn read_open(
    shared: &Shared,
    send: SendRequest<Bytes>,
    stream: usize,
    reader: &RefCell<Reader>,
    is_open: &std::cell::Cell<bool>,
) -> Result<(), h2::Error> {
    let target = &shared.target;
    let scheme = if target.is_tls { "https" } else { "http" };
    let path = target.path(shared.args.feed(stream));
    let mut request = Request::get(format!("{scheme}://{}{path}", target.authority))
        .header("accept", "text/event-stream")
        .header("cache-control", "no-cache");
    for (name, value) in &target.fields {
        request = request.header(name, value);
    }
    if !reader.borrow().last_event_id().is_empty() {
        request = request.header("last-event-id", reader.borrow().last_event_id());
    }
    let Ok(request) = request.body(()) else {
        shared.tally.borrow_mut().fault("a header field that is none");
        return Ok(());
    };
    let (response, _) = send.ready().await?.send_request(request, true)?;
    let response = response.await?;
    {
        let mut tally = shared.tally.borrow_mut();
        reader.borrow().answered(clock::now(), &mut tally);
        let content_type = response.headers().get("content-type").map(|it| it.as_bytes());
        let is_stream = content_type.is_some_and(|it| it.starts_with(b"text/event-stream"));
        if response.status() != 200 || !is_stream {
            tally.refused += 1;
            tally.fault(format!("status {}, content type {content_type:?}", response.status()));
            return Ok(());
        }
        reader.borrow_mut().opened(&mut tally);
        is_open.set(true);
    }
    let mut body = response.into_body();
    while let Some(data) = poll_fn(|cx| body.poll_data(cx)).await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        let mut tally = shared.tally.borrow_mut();
        tally.reads += 1;
        tally.bytes += data.len() as u64;
        reader.borrow_mut().read(&data, clock::now(), &mut tally);
    }
    Ok(())
}
