//! [`Wire`]: a connection to an origin, plain or with TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

/// A connection to an origin.
pub(crate) enum Wire {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
    /// A connection that no runtime watches, and that nothing can be done with before one does.
    Apart(mio::net::TcpStream),
}

impl Wire {
    /// Has the runtime watch it, if none does. Must be called from within one.
    pub(super) fn watched(self) -> io::Result<Self> {
        match self {
            Self::Apart(tcp) => TcpStream::from_std(tcp.into()).map(Self::Tcp),
            watched => Ok(watched),
        }
    }
}

fn unwatched() -> io::Error {
    io::Error::other("nobody watches this connection")
}

/// Calls a method of whichever there is.
macro_rules! on_wire {
    ($self:ident.$method:ident($($argument:expr),*)) => {
        match &mut *$self {
            Self::Tcp(tcp) => Pin::new(tcp).$method($($argument),*),
            Self::Tls(tls) => Pin::new(tls).$method($($argument),*),
            Self::Unix(unix) => Pin::new(unix).$method($($argument),*),
            Self::Apart(_) => Poll::Ready(Err(unwatched())),
        }
    };
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_wire!(self.poll_read(cx, buf))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        on_wire!(self.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_wire!(self.poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(tcp) => tcp.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
            Self::Unix(unix) => unix.is_write_vectored(),
            Self::Apart(_) => false,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_wire!(self.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_wire!(self.poll_shutdown(cx))
    }
}
