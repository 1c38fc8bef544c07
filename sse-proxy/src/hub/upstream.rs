//! [`Upstream`]: an origin's connection, without a runtime around it.

use std::io::{self, Read};

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use rustls::ClientConnection;

use crate::origin::Wire;

/// An origin's connection.
pub(super) enum Upstream {
    Tcp(TcpStream),
    Tls(Box<Tls>),
    Unix(UnixStream),
}

pub(super) struct Tls {
    tcp: TcpStream,
    session: ClientConnection,
}

impl Upstream {
    /// Takes the connection from the runtime that it was made in.
    pub(super) fn new(wire: Wire) -> io::Result<Self> {
        Ok(match wire {
            Wire::Tcp(tcp) => Self::Tcp(TcpStream::from_std(tcp.into_std()?)),
            Wire::Apart(tcp) => Self::Tcp(tcp),
            Wire::Unix(unix) => Self::Unix(UnixStream::from_std(unix.into_std()?)),
            Wire::Tls(tls) => {
                let (tcp, session) = tls.into_inner();
                let tcp = TcpStream::from_std(tcp.into_std()?);
                Self::Tls(Box::new(Tls { tcp, session }))
            }
        })
    }

    fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(tcp) => tcp,
            Self::Tls(tls) => &mut tls.tcp,
            Self::Unix(unix) => unix,
        }
    }

    /// Has the writer told when something comes.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(self.source(), token, Interest::READABLE)
    }

    /// The same for a connection that it was already told of.
    pub(super) fn reregister(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.reregister(self.source(), token, Interest::READABLE)
    }

    /// Gives it up to another writer. One that is closed need not be given up.
    pub(super) fn deregister(&mut self, registry: &Registry) {
        let _ = registry.deregister(self.source());
    }

    /// Whether there is nothing more to read once less has been read than there was room for.
    pub(super) const fn tells_by_less(&self) -> bool {
        // TLS has room of its own.
        !matches!(self, Self::Tls(_))
    }

    /// Reads what there is room for; nothing where the origin has ended what it says.
    pub(super) fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.read(room),
            Self::Tls(tls) => tls.read(room),
            Self::Unix(unix) => unix.read(room),
        }
    }
}

impl Tls {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(room) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            self.session.read_tls(&mut self.tcp)?;
            self.session.process_new_packets().map_err(io::Error::other)?;
            if self.session.wants_write() {
                // An answer to what was read (a new key, say): small, on an empty connection.
                self.session.write_tls(&mut self.tcp)?;
            }
        }
    }
}
