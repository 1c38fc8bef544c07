//! What the source and the reference have in common: connections that are written to.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, Socket, Type};

/// The head of every response.
pub const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
    cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n";

/// What a connection may owe its reader. One that owes more is closed.
pub const OWED: usize = 4 << 20;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// A connection, and what it could not write yet.
#[derive(Debug)]
pub struct Peer<S> {
    /// The socket, or TLS on it.
    pub socket: S,
    owed: Vec<u8>,
    request: Vec<u8>,
}

impl<S: Read + Write> Peer<S> {
    /// A connection that has said nothing.
    pub fn new(socket: S) -> Self {
        Self { socket, owed: Vec::new(), request: Vec::new() }
    }

    /// Reads up to the end of the request's head, or to this line instead, and returns it.
    ///
    /// # Errors
    ///
    /// If the connection has ended.
    pub fn request(&mut self, line: Option<&[u8]>) -> io::Result<Option<Vec<u8>>> {
        let mut room = [0; 2048];
        loop {
            match self.socket.read(&mut room) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.request.extend_from_slice(&room[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
            if self.request.len() > 64 << 10 {
                return Err(io::Error::other("a request too long"));
            }
        }
        let is_whole = self.request.ends_with(b"\r\n\r\n")
            || line.is_some_and(|line| self.request.starts_with(line));
        Ok(is_whole.then(|| std::mem::take(&mut self.request)))
    }

    /// Writes, and keeps what the socket does not take.
    ///
    /// # Errors
    ///
    /// If the connection has ended, or owes too much.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = if self.owed.is_empty() { some(self.socket.write(bytes))? } else { 0 };
        if written < bytes.len() {
            if self.owed.len() > OWED {
                return Err(io::Error::other("a reader far behind"));
            }
            self.owed.extend_from_slice(&bytes[written..]);
        }
        Ok(())
    }

    /// Writes what it owes, and says whether that was all.
    ///
    /// # Errors
    ///
    /// If the connection has ended.
    pub fn flush(&mut self) -> io::Result<bool> {
        self.socket.flush()?;
        while !self.owed.is_empty() {
            match some(self.socket.write(&self.owed))? {
                0 => return Ok(false),
                written => drop(self.owed.drain(..written)),
            }
        }
        self.owed = Vec::new();
        Ok(true)
    }
}

/// Listens, with room for many connections that are still to be accepted.
///
/// # Errors
///
/// If the address is taken.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Accepts a connection, if there is one.
///
/// # Errors
///
/// If there are no descriptors left.
pub fn accept(listener: &TcpListener) -> io::Result<Option<TcpStream>> {
    match listener.accept() {
        Ok((socket, _)) => {
            let _ = socket.set_nodelay(true);
            Ok(Some(socket))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => Ok(None),
        Err(error) => Err(error),
    }
}

/// So many bytes; none if the socket takes none now.
fn some(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        result => result,
    }
}
