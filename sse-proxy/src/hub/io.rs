//! [`Io`]: what a reader is written to: a socket, or a stream of one, without a runtime around it.

use std::io::{self, Read, Write};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use mio::net::TcpStream;
use mio::{Interest, Registry};
use rustls::ServerConnection;

use super::http2::Http2;
use super::line::Line;
use super::mailbox::Mailbox;
use super::token::client_token;
use crate::connection::Transport;

/// How much is encrypted before it is written: what a reader that does not read can cost.
const TLS_PIECE: usize = 64 << 10;

/// How often is read what a client says, in one go, before it is taken for an attack.
const MOST_READS: usize = 64;

/// What a reader is written to.
pub(crate) enum Io {
    Plain(TcpStream),
    Tls(Box<Tls>),
    /// A stream, whose connection is driven beside it.
    Http2(Box<Http2>),
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

    /// Its socket, if it has one of its own.
    fn tcp(&mut self) -> Option<&mut TcpStream> {
        match self {
            Self::Plain(tcp) => Some(tcp),
            Self::Tls(tls) => Some(&mut tls.tcp),
            Self::Http2(_) => None,
        }
    }

    /// The connection that it is a stream of, if others are too.
    pub(super) const fn line(&self) -> Option<&Line> {
        match self {
            Self::Plain(_) | Self::Tls(_) => None,
            Self::Http2(stream) => Some(stream.line()),
        }
    }

    /// Has the writer told when the reader of this slot goes away.
    pub(super) fn register(
        &mut self,
        registry: &Registry,
        mailbox: &Arc<Mailbox>,
        slot: usize,
    ) -> io::Result<()> {
        if let Self::Http2(stream) = self {
            return stream.register(mailbox, slot);
        }
        let token = client_token(slot);
        self.tcp().map_or(Ok(()), |tcp| registry.register(tcp, token, Interest::READABLE))
    }

    /// Has the writer told also when there is room again, or no longer. A stream tells that in any
    /// case.
    pub(super) fn await_room(
        &mut self,
        registry: &Registry,
        slot: usize,
        wanted: bool,
    ) -> io::Result<()> {
        let interest =
            if wanted { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        let token = client_token(slot);
        self.tcp().map_or(Ok(()), |tcp| registry.reregister(tcp, token, interest))
    }

    /// Gives it up to another writer. One that is closed need not be given up.
    pub(super) fn deregister(&mut self, registry: &Registry) {
        if let Some(tcp) = self.tcp() {
            let _ = registry.deregister(tcp);
        }
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
            Self::Http2(stream) => stream.write(bytes),
        }
    }

    /// Looks whether the reader is there. What has come from it is read and dropped: it is nothing
    /// to us.
    pub(super) fn look(&mut self) -> Presence {
        let mut ignored = [0; 1024];
        for _ in 0..MOST_READS {
            let read = match self {
                Self::Plain(tcp) => tcp.read(&mut ignored),
                Self::Tls(tls) => tls.read(&mut ignored),
                Self::Http2(stream) => {
                    let is_there = stream.listen().is_ok();
                    return if is_there { Presence::There } else { Presence::Gone };
                }
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

    /// Writes the `last` bytes, and says that nothing more will come, as far as there is room to
    /// say it.
    pub(super) fn finish(mut self, mut last: Bytes) {
        if let Self::Http2(stream) = self {
            return stream.finish(last);
        }
        if !self.write(&mut last).is_ok_and(|all| all) {
            return;
        }
        if let Self::Tls(tls) = &mut self {
            tls.session.send_close_notify();
            let _ = tls.flush();
        }
        if let Some(tcp) = self.tcp() {
            let _ = tcp.shutdown(std::net::Shutdown::Write);
        }
    }

    /// Ends it so that the reader sees that something is missing.
    pub(super) fn break_off(self) {
        if let Self::Http2(stream) = self {
            stream.break_off();
        }
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
