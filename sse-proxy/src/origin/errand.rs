//! [`Errand`]: a request for a stream that needs no runtime to be made.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mio::net::TcpStream;
use socket2::SockRef;
use tokio::sync::OwnedSemaphorePermit;

use super::OriginError;
use super::bare::Bare;
use super::dial::{probing, too_late};
use super::heads::Heads;
use super::member::Member;
use super::response::Response;
use super::wire::Wire;
use crate::config::{Route, nonzero};
use crate::request::Request;

/// A request for a stream to an origin that speaks HTTP/1 at a known address, without TLS: whoever
/// can write and read on a socket can make it.
pub(crate) struct Errand {
    pub(super) address: SocketAddr,
    /// What is to be sent.
    pub(crate) request: Bytes,
    pub(super) heads: Heads,
    pub(super) member: Arc<Member>,
    pub(super) room: OwnedSemaphorePermit,
    /// How long it may take to connect, and then to answer.
    pub(crate) connect: Option<Duration>,
    pub(crate) first_byte: Option<Duration>,
}

/// An origin that could not be connected to.
pub(crate) struct Unreached {
    pub(super) member: Arc<Member>,
    pub(super) error: OriginError,
}

impl Errand {
    /// Begins to connect.
    pub(crate) fn dial(&self) -> io::Result<TcpStream> {
        let tcp = TcpStream::connect(self.address)?;
        SockRef::from(&tcp).set_tcp_keepalive(&probing())?;
        Ok(tcp)
    }

    /// Takes what the origin has said. Returns the head of its answer when that has come whole.
    pub(crate) fn came(&mut self, piece: &[u8]) -> Result<Option<http::Response<()>>, OriginError> {
        if piece.is_empty() {
            return Err(Heads::cut());
        }
        self.heads.room().extend_from_slice(piece);
        self.heads.next()
    }

    /// The answer with this head, which has come over `tcp`.
    pub(crate) fn answered(
        self,
        route: &Route,
        request: &Request,
        head: http::Response<()>,
        tcp: TcpStream,
    ) -> Result<Response, OriginError> {
        let answer = Bare::begun(head, self.heads, Wire::Apart(tcp))?;
        let answer = Response::bare(answer, nonzero(route.timeouts.idle));
        Ok(answer.holding(self.room).given(route, self.member, request))
    }

    /// No connection came about in time.
    pub(crate) fn too_late(self) -> Unreached {
        self.unreached(&too_late())
    }

    /// No connection came about.
    pub(crate) fn unreached(self, error: &io::Error) -> Unreached {
        Unreached { member: self.member, error: OriginError::Connect(error.to_string()) }
    }
}
