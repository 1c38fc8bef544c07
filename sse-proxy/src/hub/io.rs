//! [`Io`]: a reader's socket, without a runtime around it.

use std::io::{self, Read, Write};

use bytes::Buf;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::ServerConnection;

use crate::connection::Transport;

/// How much is encrypted before it is written: what a reader that does not read can cost.
const TLS_PIECE: usize = 64 << 10;

/// How often is read what a client says, in one go, before it is taken for an attack.
const MOST_READS: usize = 64;

/// A reader's socket.
#[derive(Debug)]
pub(crate) enum Io {
    Plain(TcpStream),
    Tls(Box<Tls>),
}

#[derive(Debug)]
pub(crate) struct Tls {
    tcp: TcpStream,
    session: ServerConnection,
}

/// Whether a reader is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    There,
    Gone,
}

impl Io {
    /// Takes the socket from the runtime that it was accepted by.
    pub(crate) fn new(transport: Transport) -> io::Result<Self> {
        match transport {
            Transport::Plain(tcp) => Ok(Self::Plain(TcpStream::from_std(tcp.into_std()?))),
            Transport::Tls(tls) => {
                let (tcp, session) = tls.into_inner();
                let tcp = TcpStream::from_std(tcp.into_std()?);
                Ok(Self::Tls(Box::new(Tls { tcp, session })))
            }
        }
    }

    fn tcp(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => &mut tls.tcp,
        }
    }

    /// Has the writer told when the reader goes away.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(self.tcp(), token, Interest::READABLE)
    }

    /// Has the writer told also when there is room again, or no longer.
    pub(super) fn await_room(
        &mut self,
        registry: &Registry,
        token: Token,
        wanted: bool,
    ) -> io::Result<()> {
        let interest =
            if wanted { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        registry.reregister(self.tcp(), token, interest)
    }

    /// Gives it up to another writer. One that is closed need not be given up.
    pub(super) fn deregister(&mut self, registry: &Registry) {
        let _ = registry.deregister(self.tcp());
    }

    /// Writes from the beginning of `bytes` what there is room for, and takes it away. Returns
    /// whether all has been written.
    pub(super) fn write(&mut self, bytes: &mut impl Buf) -> io::Result<bool> {
        match self {
            Self::Plain(tcp) => {
                while bytes.has_remaining() {
                    match tcp.write(bytes.chunk()) {
                        Ok(written) => bytes.advance(written),
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                            return Ok(false);
                        }
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(true)
            }
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    /// Reads and drops what has come: it is nothing to us.
    pub(super) fn look(&mut self) -> Presence {
        let mut ignored = [0; 1024];
        for _ in 0..MOST_READS {
            let read = match self {
                Self::Plain(tcp) => tcp.read(&mut ignored),
                Self::Tls(tls) => tls.read(&mut ignored),
            };
            match read {
                Ok(0) => return Presence::Gone,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Presence::There,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Presence::Gone,
            }
        }
        // Whoever says that much to a stream is none of the usual clients.
        Presence::Gone
    }

    /// Says that nothing more will come, as far as there is room to say it.
    pub(super) fn finish(&mut self) {
        if let Self::Tls(tls) = self {
            tls.session.send_close_notify();
            let _ = tls.flush();
        }
        let _ = self.tcp().shutdown(std::net::Shutdown::Write);
    }
}

impl Tls {
    fn write(&mut self, bytes: &mut impl Buf) -> io::Result<bool> {
        loop {
            if !self.flush()? {
                return Ok(false);
            }
            if !bytes.has_remaining() {
                return Ok(true);
            }
            let piece = bytes.chunk();
            let piece = piece.get(..TLS_PIECE).unwrap_or(piece);
            let taken = self.session.writer().write(piece)?;
            bytes.advance(taken);
        }
    }

    /// Writes what has been encrypted. Returns whether that was all of it.
    fn flush(&mut self) -> io::Result<bool> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.tcp) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn read(&mut self, ignored: &mut [u8]) -> io::Result<usize> {
        if self.session.read_tls(&mut self.tcp)? == 0 {
            return Ok(0);
        }
        let state = self.session.process_new_packets().map_err(io::Error::other)?;
        if state.peer_has_closed() {
            return Ok(0);
        }
        let mut left = state.plaintext_bytes_to_read();
        while left > 0 {
            left = left.saturating_sub(self.session.reader().read(ignored)?.max(1));
        }
        // An answer to what was read (a new key, say) goes with the next write.
        Ok(1)
    }
}
