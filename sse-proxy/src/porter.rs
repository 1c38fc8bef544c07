//! [`Porter`]: receives the connections of a listener.
//!
//! Those without TLS are accepted by the hub's threads, which answer at once whoever wants a feed
//! that is open (`hub::door`); the porter serves the others. Those with TLS are accepted here, as a
//! handshake is work for a thread that nobody waits for.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use pingora::server::ShutdownWatch;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio_rustls::TlsAcceptor;

use crate::asker::{Asker, Outcome};
use crate::connection::{Connection, Transport};
use crate::drain::Drain;
use crate::front::Front;
use crate::hub::{self, Begun, Reply};
use crate::limits::{self, Connections};
use crate::origin::Response;

/// How long a client may take over its TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long nothing is accepted when the process is out of file descriptors.
const BREATH: Duration = Duration::from_millis(50);

/// Receives the connections of a listener. Clones are the same.
#[derive(Clone)]
pub(crate) struct Porter {
    pub(crate) front: Arc<Front>,
    pub(crate) connections: Connections,
    pub(crate) drain: Drain,
    /// Tells HTTP/2 connections to take no further request.
    pub(crate) going: ShutdownWatch,
    /// Where connections are served.
    pub(crate) runtime: Handle,
}

impl Porter {
    /// Accepts connections with TLS until the drain begins.
    pub(crate) async fn accept(self, socket: std::net::TcpListener, acceptor: TlsAcceptor) {
        let socket = match TcpListener::from_std(socket) {
            Ok(socket) => socket,
            Err(error) => return tracing::error!(%error, "cannot accept connections"),
        };
        loop {
            let accepted = tokio::select! {
                accepted = async { self.connections.room().await; socket.accept().await } => accepted,
                () = self.drain.begun() => return,
            };
            match accepted {
                Ok((tcp, _)) => {
                    let (this, acceptor) = (self.clone(), acceptor.clone());
                    let counted = self.connections.enter();
                    self.runtime.spawn(async move {
                        if let Some(transport) = shake_hands(tcp, &acceptor).await {
                            this.converse(transport, counted).await;
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
    }

    /// Serves a connection with TLS.
    async fn converse(self, transport: Transport, counted: limits::Connection) {
        // What was written to an HTTP/2 stream is sent by its connection.
        let held = (counted, self.drain.join());
        let connection = Connection::new(transport);
        if connection.is_http2() {
            self.front.serve_http2(connection, self.going, held).await;
        } else {
            self.front.serve(connection, BytesMut::new()).await;
            drop(held);
        }
    }

    /// Serves a connection without TLS, which has to be watched first, as `serve` does it.
    fn spawn<F: Future<Output = ()> + Send>(
        &self,
        socket: std::net::TcpStream,
        counted: limits::Connection,
        serve: impl FnOnce(Self, Connection) -> F + Send + 'static,
    ) {
        let this = self.clone();
        self.runtime.spawn(async move {
            let draining = this.drain.join();
            match watched(socket).await {
                Ok(tcp) => serve(this, Connection::new(Transport::Plain(tcp))).await,
                Err(error) => tracing::warn!(%error, "a connection cannot be served"),
            }
            drop((counted, draining));
        });
    }
}

impl hub::Porter for Porter {
    fn enter(&self) -> Option<limits::Connection> {
        self.connections.try_enter()
    }

    fn answer(&self, came: &[u8], client: IpAddr) -> Option<Reply> {
        self.front.answer_at_once(came, client)
    }

    fn begin(
        &self,
        asker: Box<Asker>,
        response: Box<Response>,
    ) -> Result<Begun, (Box<Asker>, Outcome)> {
        self.front.begin_at_once(asker, response)
    }

    fn go_on(
        &self,
        socket: std::net::TcpStream,
        came: BytesMut,
        counted: limits::Connection,
        asker: Box<Asker>,
        outcome: Outcome,
    ) {
        self.spawn(socket, counted, |this, connection| async move {
            this.front.go_on(connection, came, *asker, outcome).await;
        });
    }

    fn serve(&self, socket: std::net::TcpStream, came: BytesMut, counted: limits::Connection) {
        self.spawn(socket, counted, |this, connection| async move {
            this.front.serve(connection, came).await;
        });
    }

    fn rest(&self, has_failed: bool, again: Box<dyn FnOnce() + Send>) {
        let connections = self.connections.clone();
        self.runtime.spawn(async move {
            if has_failed {
                tokio::time::sleep(BREATH).await;
            }
            connections.room().await;
            again();
        });
    }
}

/// Has the runtime watch a socket. What came before, on other sockets, has been heard of then: an
/// origin, say, may have closed the connection that it would be asked on.
async fn watched(socket: std::net::TcpStream) -> io::Result<TcpStream> {
    let tcp = TcpStream::from_std(socket)?;
    tcp.writable().await?;
    tokio::task::yield_now().await;
    Ok(tcp)
}

async fn shake_hands(tcp: TcpStream, acceptor: &TlsAcceptor) -> Option<Transport> {
    match tokio::time::timeout(HANDSHAKE, acceptor.accept(tcp)).await {
        Ok(Ok(tls)) => return Some(Transport::Tls(Box::new(tls))),
        Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
        Err(_) => tracing::debug!("TLS handshake took too long"),
    }
    None
}
