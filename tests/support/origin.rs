//! [`Origin`]: an HTTP/1.1 server whose every byte is the test's own.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::within;

/// Requests that may wait for the test to take them.
const WAITING: usize = 1024;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

type Script = Arc<dyn Fn(Exchange) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// A server on a port of its own. Its requests are answered by a script, or taken by the test one
/// by one.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
    /// Bound beside the one that listens: nobody else gets the port when that is closed.
    reserved: Option<TcpSocket>,
}

struct Shared {
    script: Option<Script>,
    waiting: Mutex<HashMap<String, Waiting>>,
    heads: Mutex<Vec<Head>>,
    /// Connections ever accepted, and open now.
    accepted: watch::Sender<usize>,
    open: watch::Sender<usize>,
}

#[derive(Clone)]
struct Waiting {
    put: mpsc::Sender<Exchange>,
    take: Arc<tokio::sync::Mutex<mpsc::Receiver<Exchange>>>,
}

impl Origin {
    /// A server whose requests the test takes with [`request`](Self::request).
    pub(crate) fn start() -> Self {
        Self::listen(bind(SocketAddr::from(([127, 0, 0, 1], 0))), None)
    }

    /// A server that runs `script` for every request.
    pub(crate) fn scripted<F>(script: impl Fn(Exchange) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let script: Script = Arc::new(move |exchange| Box::pin(script(exchange)));
        Self::listen(bind(SocketAddr::from(([127, 0, 0, 1], 0))), Some(script))
    }

    fn listen(socket: TcpSocket, script: Option<Script>) -> Self {
        let address = socket.local_addr().expect("an address");
        let reserved = Some(bind(address));
        let listener = socket.listen(BACKLOG).expect("nobody else listens there");
        let shared = Arc::new(Shared {
            script,
            waiting: Mutex::default(),
            heads: Mutex::default(),
            accepted: watch::Sender::new(0),
            open: watch::Sender::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, accepting, reserved }
    }

    /// As an upstream in a configuration.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next request for `path`, whatever its query.
    pub(crate) async fn request(&self, path: &str) -> Exchange {
        let waiting = self.shared.waiting(path);
        let next = async { waiting.take.lock().await.recv().await };
        within(&format!("a request for {path}"), next).await.expect("the origin is running")
    }

    /// The same, already answered with the head of a stream.
    pub(crate) async fn opened(&self, path: &str) -> Exchange {
        let mut exchange = self.request(path).await;
        exchange.open().await;
        exchange
    }

    /// The heads of all requests so far, in the order they came.
    pub(crate) fn heads(&self) -> Vec<Head> {
        self.shared.heads.lock().expect("not poisoned").clone()
    }

    /// How many connections there have been.
    pub(crate) fn accepted(&self) -> usize {
        *self.shared.accepted.borrow()
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        *self.shared.open.borrow()
    }

    /// Waits until so many connections are open.
    pub(crate) async fn until_open(&self, wanted: usize) {
        let mut open = self.shared.open.subscribe();
        let what = format!("{wanted} open connections at the origin");
        within(&what, open.wait_for(|open| *open == wanted)).await.expect("the origin is running");
    }

    /// Stops listening: who connects from now on is refused. Open connections stay.
    pub(crate) async fn stop_listening(&mut self) {
        self.accepting.abort();
        let _ = (&mut self.accepting).await;
    }

    /// Listens again at the same address, as a process that was started anew.
    pub(crate) fn restarted(mut self) -> Self {
        let socket = self.reserved.take().expect("kept since the start");
        Self::listen(socket, self.shared.script.clone())
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    fn waiting(&self, path: &str) -> Waiting {
        let mut waiting = self.waiting.lock().expect("not poisoned");
        let new = || {
            let (put, take) = mpsc::channel(WAITING);
            Waiting { put, take: Arc::new(tokio::sync::Mutex::new(take)) }
        };
        waiting.entry(path.to_owned()).or_insert_with(new).clone()
    }
}

fn bind(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("a TCP socket");
    socket.bind(address).expect("a free port");
    socket
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).expect("a TCP socket");
        shared.accepted.send_modify(|count| *count += 1);
        let open = Open::new(Arc::clone(&shared));
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            if let Ok(exchange) = Exchange::read(BufReader::new(stream), open).await {
                shared.hand_out(exchange).await;
            }
        });
    }
}

impl Shared {
    async fn hand_out(&self, exchange: Exchange) {
        match &self.script {
            Some(script) => script(exchange).await,
            None => {
                let waiting = self.waiting(exchange.head.path());
                waiting.put.send(exchange).await.expect("somebody takes requests");
            }
        }
    }
}

/// One open connection, counted while it lives.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: Arc<Shared>) -> Self {
        shared.open.send_modify(|count| *count += 1);
        Self(shared)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.send_modify(|count| *count -= 1);
    }
}

/// A request's head as it came.
#[derive(Clone)]
pub(crate) struct Head {
    pub(crate) bytes: Vec<u8>,
}

impl Head {
    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii)
    }

    /// The request line.
    pub(crate) fn line(&self) -> String {
        String::from_utf8_lossy(self.lines().next().unwrap_or_default()).into_owned()
    }

    pub(crate) fn method(&self) -> String {
        self.line().split(' ').next().unwrap_or_default().to_owned()
    }

    pub(crate) fn target(&self) -> &str {
        let line = self.lines().next().unwrap_or_default();
        str::from_utf8(line).ok().and_then(|line| line.split(' ').nth(1)).unwrap_or_default()
    }

    pub(crate) fn path(&self) -> &str {
        self.target().split('?').next().unwrap_or_default()
    }

    /// The values of all fields of this name, as bytes.
    pub(crate) fn values(&self, name: &str) -> Vec<Vec<u8>> {
        let value = |line: &[u8]| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (found, value) = line.split_at(colon);
            let value = value.get(1..).unwrap_or_default().trim_ascii().to_vec();
            found.eq_ignore_ascii_case(name.as_bytes()).then_some(value)
        };
        self.lines().skip(1).filter_map(value).collect()
    }

    /// The value of the only field of this name.
    pub(crate) fn value(&self, name: &str) -> Option<Vec<u8>> {
        let mut values = self.values(name);
        assert!(values.len() < 2, "{name} twice in {}", self.bytes.escape_ascii());
        values.pop()
    }

    /// The same, as text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.value(name).map(|value| String::from_utf8(value).expect("text"))
    }
}

/// A request, and the connection that waits for its answer.
pub(crate) struct Exchange {
    pub(crate) head: Head,
    io: BufReader<TcpStream>,
    open: Open,
}

impl Exchange {
    async fn read(mut io: BufReader<TcpStream>, open: Open) -> io::Result<Self> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            if io.read_until(b'\n', &mut bytes).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let head = Head { bytes };
        open.0.heads.lock().expect("not poisoned").push(head.clone());
        Ok(Self { head, io, open })
    }

    /// The next request on the same connection; `None` if it was closed instead.
    pub(crate) async fn next(self) -> Option<Self> {
        within("another request", Self::read(self.io, self.open)).await.ok()
    }

    /// The same, however long that takes: for scripts, which end with the test.
    pub(crate) async fn next_in_the_end(self) -> Option<Self> {
        Self::read(self.io, self.open).await.ok()
    }

    /// The request's body.
    pub(crate) async fn body(&mut self) -> Vec<u8> {
        within("a request's body", self.read_body()).await.expect("a whole body")
    }

    async fn read_body(&mut self) -> io::Result<Vec<u8>> {
        if let Some(length) = self.head.text("content-length") {
            let mut body = vec![0; length.parse().expect("a length")];
            self.io.read_exact(&mut body).await?;
            return Ok(body);
        }
        let mut body = Vec::new();
        while self.head.text("transfer-encoding").is_some() {
            let mut line = String::new();
            self.io.read_line(&mut line).await?;
            let size = u64::from_str_radix(line.trim(), 16).expect("a chunk's size");
            (&mut self.io).take(size).read_to_end(&mut body).await?;
            self.io.read_line(&mut line).await?;
            if size == 0 {
                break;
            }
        }
        Ok(body)
    }

    /// Writes bytes as they are. That nobody takes them is for the client's side to find out.
    pub(crate) async fn raw(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.try_raw(bytes.as_ref()).await;
    }

    /// Writes bytes as they are, or tells that nobody takes them any more.
    pub(crate) async fn try_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        within("the proxy takes bytes", self.io.get_mut().write_all(bytes)).await
    }

    /// Answers with the head of an event stream.
    pub(crate) async fn open(&mut self) {
        self.open_with("").await;
    }

    /// The same, with more fields, each with its line end.
    pub(crate) async fn open_with(&mut self, fields: &str) {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";
        self.raw(format!("{head}{fields}Transfer-Encoding: chunked\r\n\r\n")).await;
    }

    /// Sends a piece of the body, as one chunk.
    pub(crate) async fn send(&mut self, piece: impl AsRef<[u8]>) {
        let piece = piece.as_ref();
        let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
        chunk.extend_from_slice(piece);
        chunk.extend_from_slice(b"\r\n");
        self.raw(chunk).await;
    }

    /// Ends the body in good order.
    pub(crate) async fn end(&mut self) {
        self.raw("0\r\n\r\n").await;
    }

    /// Answers with a whole response; the connection can serve another request.
    pub(crate) async fn answer(&mut self, status: &str, fields: &str, body: impl AsRef<[u8]>) {
        let body = body.as_ref();
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\n\r\n");
        self.raw([head.as_bytes(), body].concat()).await;
    }

    /// Breaks the connection off, as a process that dies does.
    pub(crate) fn kill(self) {
        // An RST instead of a FIN.
        self.io.get_ref().set_zero_linger().expect("a TCP socket");
    }

    /// Resolves when the other side has closed the connection. What it still sends is dropped.
    pub(crate) async fn gone(&mut self) {
        let mut sink = [0; 1024];
        let closed = async { while let Ok(1..) = self.io.read(&mut sink).await {} };
        within("the connection to the origin closes", closed).await;
    }

    /// The same, however long that takes: for scripts, which end with the test.
    pub(crate) async fn gone_in_the_end(&mut self) {
        let mut sink = [0; 1024];
        while let Ok(1..) = self.io.read(&mut sink).await {}
    }

    /// The next bytes that the other side sends after its request; empty if it has closed.
    pub(crate) async fn receive(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; 1024];
        let read = within("bytes from the proxy", self.io.read(&mut bytes)).await;
        bytes.truncate(read.unwrap_or(0));
        bytes
    }
}
