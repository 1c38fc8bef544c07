//! One connection of HTTP/1.1, plain or with TLS, on a socket that does not block.

use std::io::{self, Read, Write};
use std::sync::Arc;

use memchr::memmem;
use mio::net::TcpStream;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::body::Body;
use super::clock;
use super::reader::Reader;
use super::tally::Tally;

/// A connection from its first packet to its end.
#[derive(Debug)]
pub struct Connection {
    /// The socket.
    pub socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
    request: Vec<u8>,
    state: State,
}

#[derive(Debug)]
enum State {
    Connecting,
    Handshaking,
    /// Asked; so much of the response's head has come.
    Asked(Vec<u8>),
    Open(Body),
}

/// What a worker's connections use in turn.
#[derive(Debug)]
pub struct Shared {
    /// What all have seen.
    pub tally: Tally,
    /// What was read last.
    wire: Vec<u8>,
    /// The same, deciphered.
    plain: Vec<u8>,
}

/// Room for what is read at once.
const READ: usize = 256 << 10;

/// How often a connection is read before it is the turn of others.
const TURN: usize = 4;

/// The longest head of a response.
const HEAD: usize = 64 << 10;

impl Default for Shared {
    /// Room for reading, and nothing seen.
    fn default() -> Self {
        Self { tally: Tally::default(), wire: vec![0; READ], plain: vec![0; READ] }
    }
}

/// Why a connection has ended.
#[derive(Debug)]
pub enum End {
    /// It did, as connections do.
    Closed,
    /// With a fault.
    Broken(io::Error),
    /// With an answer that an `EventSource` does not come back from.
    Refused(String),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl Connection {
    /// A connection on a socket that is about to connect.
    ///
    /// # Errors
    ///
    /// If TLS cannot begin.
    pub fn new(
        socket: TcpStream,
        tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
        request: Vec<u8>,
    ) -> io::Result<Self> {
        let tls = tls.map(|(config, name)| ClientConnection::new(config, name)).transpose();
        let tls = tls.map_err(io::Error::other)?.map(Box::new);
        Ok(Self { socket, tls, request, state: State::Connecting })
    }

    /// Whether the response is a stream.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Does what can be done now, and reads no more than `most` bytes of a stream at a time.
    /// Returns whether there may be more to read, of which nothing else will tell.
    ///
    /// # Errors
    ///
    /// If the connection is at its end.
    pub fn advance(
        &mut self,
        reader: &mut Reader,
        shared: &mut Shared,
        is_at_end: bool,
        most: usize,
    ) -> Result<bool, End> {
        if matches!(self.state, State::Connecting) {
            if let Some(error) = self.socket.take_error()? {
                return Err(error.into());
            }
            match self.socket.peer_addr() {
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(false),
                peer => peer?,
            };
            self.state = State::Handshaking;
            if self.tls.is_none() {
                self.ask(reader, &mut shared.tally)?;
            }
        }
        self.flush()?;
        let mut is_more = true;
        for _ in 0..TURN {
            let is_limited = most < READ && self.is_open();
            let room = if is_limited { most } else { READ };
            let read = match self.socket.read(&mut shared.wire[..room]) {
                Ok(0) => return Err(End::Closed),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    is_more = false;
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            shared.tally.reads += 1;
            shared.tally.bytes += read as u64;
            self.read(read, reader, shared)?;
            // All that was there has been read, and more makes itself known.
            if read < room && !is_at_end || is_limited {
                is_more = false;
                break;
            }
        }
        self.flush()?;
        Ok(is_more)
    }

    /// Takes what has come from the network.
    fn read(&mut self, read: usize, reader: &mut Reader, shared: &mut Shared) -> Result<(), End> {
        let Shared { tally, wire, plain } = shared;
        let Some(mut tls) = self.tls.take() else { return self.take(&wire[..read], reader, tally) };
        let mut rest = &wire[..read];
        while !rest.is_empty() {
            tls.read_tls(&mut rest)?;
            let state = tls.process_new_packets().map_err(io::Error::other)?;
            let mut due = state.plaintext_bytes_to_read();
            while due > 0 {
                let length = tls.reader().read(plain)?;
                self.take(&plain[..length], reader, tally)?;
                due -= length;
            }
        }
        let is_ready = matches!(self.state, State::Handshaking) && !tls.is_handshaking();
        self.tls = Some(tls);
        if is_ready {
            self.ask(reader, tally)?;
        }
        Ok(())
    }

    fn ask(&mut self, reader: &Reader, tally: &mut Tally) -> io::Result<()> {
        reader.connected(clock::now(), tally);
        self.state = State::Asked(Vec::new());
        if let Some(tls) = &mut self.tls {
            tls.writer().write_all(&std::mem::take(&mut self.request))?;
        }
        Ok(())
    }

    /// Writes what is to be written, as far as the socket takes it.
    fn flush(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                if is_blocked(tls.write_tls(&mut self.socket))?.is_none() {
                    break;
                }
            }
        } else if matches!(self.state, State::Asked(_)) && !self.request.is_empty() {
            if let Some(written) = is_blocked(self.socket.write(&self.request))? {
                self.request.drain(..written);
            }
            if self.request.is_empty() {
                self.request = Vec::new();
            }
        }
        Ok(())
    }

    /// Takes a piece of the response.
    fn take(&mut self, bytes: &[u8], reader: &mut Reader, tally: &mut Tally) -> Result<(), End> {
        let now = clock::now();
        match &mut self.state {
            State::Open(body) => {
                body.read(bytes, |data| reader.read(data, now, tally))?;
                if body.is_done() { Err(End::Closed) } else { Ok(()) }
            }
            State::Asked(head) => {
                if head.is_empty() {
                    reader.answered(now, tally);
                }
                head.extend_from_slice(bytes);
                let Some(end) = memmem::find(head, b"\r\n\r\n") else {
                    let is_long = head.len() > HEAD;
                    return if is_long {
                        Err(io::Error::other("a head too long").into())
                    } else {
                        Ok(())
                    };
                };
                let head = std::mem::take(head);
                let (head, rest) = head.split_at(end + 4);
                self.state = State::Open(body_of(head)?);
                reader.opened(tally);
                self.take(rest, reader, tally)
            }
            State::Connecting | State::Handshaking => {
                Err(io::Error::other("an answer unasked").into())
            }
        }
    }
}

/// `None` if the socket takes nothing now.
fn is_blocked<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        result => result.map(Some),
    }
}

/// What the head of a response says of its body, if that is a stream of events.
fn body_of(head: &[u8]) -> Result<Body, End> {
    let mut fields = [httparse::EMPTY_HEADER; 100];
    let mut response = httparse::Response::new(&mut fields);
    response.parse(head).map_err(io::Error::other)?;
    let field = |name: &str| {
        let field = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        field.map(|field| String::from_utf8_lossy(field.value).to_lowercase())
    };
    let status = response.code.unwrap_or(0);
    if status != 200 {
        return Err(End::Refused(format!("status {status}")));
    }
    let content_type = field("content-type").unwrap_or_default();
    if !content_type.starts_with("text/event-stream") {
        return Err(End::Refused(format!("content type {content_type:?}")));
    }
    if field("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
        return Ok(Body::CHUNKED);
    }
    let length = field("content-length").and_then(|length| length.parse().ok());
    Ok(length.map_or(Body::UntilClose, Body::Length))
}
