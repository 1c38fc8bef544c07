//! The readers of one process, over HTTP/2: a task for each stream, all on one thread.

use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use h2::client::SendRequest;
use http::Request;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, interval_at, sleep};
use tokio_rustls::TlsConnector;

use super::args::Args;
use super::clock;
use super::connection::End;
use super::control::{Control, Order};
use super::pace::Pace;
use super::reader::Reader;
use super::tally::Tally;
use super::target::Target;
use super::tls::{self, Trust};

/// What a server may send on a connection before any of it was read.
const CONNECTION_WINDOW: u32 = 16 << 20;

/// The same for a stream.
const STREAM_WINDOW: u32 = 1 << 20;

/// The same where there are slow readers, which else would seem to take much.
const SLOW_WINDOW: u32 = 4096;

/// Reads until told to stop.
///
/// # Errors
///
/// If the process that reports is gone.
pub fn run(args: &Args, streams: std::ops::Range<usize>) -> io::Result<()> {
    let target = Target::new(args)?;
    let tls = target.is_tls.then(|| tls::client("h2", Trust::of(args))).transpose()?;
    let shared = Rc::new(Shared {
        args: args.clone(),
        target,
        tls,
        opening: Semaphore::new(args.opening),
        storms: watch::Sender::new(()),
        tally: RefCell::default(),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async move {
        let all: Vec<usize> = streams.collect();
        let began = Instant::now();
        let mut begins =
            (0..all.len()).map(|at| began + Duration::from_nanos(args.ramp(at, all.len())));
        for group in all.chunks(args.streams_per_connection.max(1)) {
            let line = Rc::new(Line::default());
            for (stream, begin) in group.iter().zip(&mut begins) {
                let reader = Reader::new(args.is_slow(*stream), shared.target.is_one());
                let (shared, line) = (Rc::clone(&shared), Rc::clone(&line));
                spawn_local(Stream { shared, line, stream: *stream, reader }.keep(begin));
            }
        }
        obey(&shared, all.len()).await
    })
}

struct Shared {
    args: Args,
    target: Target,
    tls: Option<Arc<ClientConfig>>,
    /// Permits to be between the start of a stream and the head of its response.
    opening: Semaphore,
    /// Changes when streams are to be cut off.
    storms: watch::Sender<()>,
    tally: RefCell<Tally>,
}

impl Shared {
    /// Takes a piece of a stream.
    fn take(&self, reader: &mut Reader, data: &[u8]) {
        let mut tally = self.tally.borrow_mut();
        tally.reads += 1;
        tally.bytes += data.len() as u64;
        reader.read(data, clock::now(), &mut tally);
    }
}

/// Does what the process that reports says.
async fn obey(shared: &Rc<Shared>, streams: usize) -> io::Result<()> {
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
                if shared.args.storm > 0.0 {
                    spawn_local(storm(Rc::clone(shared)));
                }
                if let Some(source) = shared.args.pace {
                    let readers = streams.saturating_sub(shared.args.slow) as u64;
                    let round = readers * shared.target.feeds_per_stream();
                    pace = Some(Pace::new(source, round, shared.tally.borrow().paced())?);
                }
            }
            Ok(Order::Tally) => {
                let mut tally = shared.tally.borrow_mut();
                if let Some(pace) = &mut pace {
                    pace.counted(tally.paced());
                }
                let used = clock::own_cpu();
                tally.cpu = used - std::mem::replace(&mut cpu, used);
                control.answer(&tally.take())?;
            }
        }
    }
}

async fn storm(shared: Rc<Shared>) {
    let every = Duration::from_secs_f64(shared.args.storm_every);
    let mut ticks = interval_at(Instant::now() + every, every);
    loop {
        ticks.tick().await;
        shared.storms.send_replace(());
    }
}

/// The connection of several streams, made anew by the first that finds it ended.
#[derive(Default)]
struct Line(Mutex<Option<SendRequest<Bytes>>>);

impl Line {
    /// The connection, ready for one more stream.
    async fn ready(&self, shared: &Shared, stream: usize) -> io::Result<SendRequest<Bytes>> {
        let mut line = self.0.lock().await;
        if let Some(send) = &*line
            && let Ok(send) = send.clone().ready().await
        {
            return Ok(send);
        }
        let send = connect(shared, stream).await?;
        *line = Some(send.clone());
        drop(line);
        send.ready().await.map_err(io::Error::other)
    }
}

async fn connect(shared: &Shared, stream: usize) -> io::Result<SendRequest<Bytes>> {
    let socket = shared.target.connect(stream, false)?;
    let socket = tokio::net::TcpStream::from_std(socket)?;
    socket.writable().await?;
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    let window = if shared.args.slow > 0 { SLOW_WINDOW } else { STREAM_WINDOW };
    let Some(config) = &shared.tls else { return handshake(socket, window).await };
    let name = ServerName::try_from(shared.target.host.clone()).map_err(io::Error::other)?;
    let socket = TlsConnector::from(Arc::clone(config)).connect(name, socket).await?;
    handshake(socket, window).await
}

async fn handshake<S>(socket: S, window: u32) -> io::Result<SendRequest<Bytes>>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let (send, connection) = h2::client::Builder::new()
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_window_size(window)
        .enable_push(false)
        .handshake::<_, Bytes>(socket)
        .await
        .map_err(io::Error::other)?;
    spawn_local(connection);
    Ok(send)
}

/// One stream, over all its connections.
struct Stream {
    shared: Rc<Shared>,
    line: Rc<Line>,
    stream: usize,
    reader: Reader,
}

impl Stream {
    /// Keeps it open until it is refused.
    async fn keep(mut self, begin: Instant) {
        tokio::time::sleep_until(begin).await;
        loop {
            let end = match self.open().await {
                Ok(body) => {
                    let end = self.read(body).await;
                    self.reader.ended(&mut self.shared.tally.borrow_mut());
                    end
                }
                Err(end) => end,
            };
            match end {
                End::Closed => {}
                End::Broken(error) => self.shared.tally.borrow_mut().fault(error),
                End::Refused(why) => {
                    let mut tally = self.shared.tally.borrow_mut();
                    tally.refused += 1;
                    return tally.fault(why);
                }
            }
            sleep(Duration::from_nanos(self.reader.retry())).await;
            if self.shared.args.no_resume {
                self.reader.forget();
            }
        }
    }

    async fn open(&mut self) -> Result<RecvStream, End> {
        let shared = Rc::clone(&self.shared);
        let _permit = shared.opening.acquire().await.map_err(io::Error::other)?;
        self.reader.start(clock::now());
        let mut send = self.line.ready(&shared, self.stream).await?;
        self.reader.connected(clock::now(), &mut shared.tally.borrow_mut());
        let (response, _) = send.send_request(self.request()?, true).map_err(broken)?;
        drop(send);
        let response = response.await.map_err(broken)?;
        let mut tally = shared.tally.borrow_mut();
        self.reader.answered(clock::now(), &mut tally);
        let content_type = response.headers().get("content-type").map(|it| it.as_bytes());
        let content_type = String::from_utf8_lossy(content_type.unwrap_or_default());
        if response.status() != 200 {
            return Err(End::Refused(format!("status {}", response.status().as_u16())));
        }
        if !content_type.starts_with("text/event-stream") {
            return Err(End::Refused(format!("content type {content_type:?}")));
        }
        self.reader.opened(&mut tally);
        Ok(response.into_body())
    }

    fn request(&self) -> io::Result<Request<()>> {
        let target = &self.shared.target;
        let scheme = if target.is_tls { "https" } else { "http" };
        let path = target.path(self.shared.args.feed(self.stream));
        let mut request = Request::get(format!("{scheme}://{}{path}", target.authority))
            .header("accept", "text/event-stream")
            .header("cache-control", "no-cache");
        for (name, value) in &target.fields {
            request = request.header(name, value);
        }
        if !self.reader.last_event_id().is_empty() {
            request = request.header("last-event-id", self.reader.last_event_id());
        }
        request.body(()).map_err(io::Error::other)
    }

    /// Reads to the end, or until a storm.
    async fn read(&mut self, mut body: RecvStream) -> End {
        let shared = Rc::clone(&self.shared);
        let slow_rate = shared.args.is_slow(self.stream).then(|| shared.args.slow_rate.max(1));
        let mut storms = shared.args.is_cut(self.stream).then(|| shared.storms.subscribe());
        let read = async {
            while let Some(data) = poll_fn(|cx| body.poll_data(cx)).await {
                let data = data?;
                shared.take(&mut self.reader, &data);
                if let Some(rate) = slow_rate {
                    sleep(Duration::from_secs_f64(data.len() as f64 / rate as f64)).await;
                }
                body.flow_control().release_capacity(data.len())?;
            }
            Ok(())
        };
        let storm = async {
            match &mut storms {
                Some(storms) => _ = storms.changed().await,
                None => pending().await,
            }
        };
        tokio::select! {
            read = read => read.map_or_else(broken, |()| End::Closed),
            () = storm => End::Closed,
        }
    }
}

fn broken(error: h2::Error) -> End {
    End::Broken(io::Error::other(error))
}
