//! [`Dialer`]: makes connections to one upstream.

use std::path::Path;
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tower_service::Service;

use super::OriginError;
use super::tls::Verifying;
use crate::config::{Place, Protocol, Upstream, UpstreamTls};
use crate::start::StartError;

/// After how long a silent connection is asked whether it still lives, so that an origin that
/// vanished without a word is noticed in the end.
const PROBE_AFTER: Duration = Duration::from_secs(30);

/// A connection.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Makes connections to one upstream.
pub(super) struct Dialer {
    target: Target,
    tls: Option<Verifying>,
    speaks_http2: bool,
    /// For connecting, TLS included.
    timeout: Option<Duration>,
}

enum Target {
    /// Looks the name up for each connection, and tries all its addresses.
    Tcp(Box<HttpConnector>, Uri),
    Unix(Box<Path>),
}

impl Dialer {
    pub(super) fn new(
        upstream: &Upstream,
        tls: &UpstreamTls,
        timeout: Option<Duration>,
    ) -> Result<Self, StartError> {
        let (target, tls) = match &upstream.place {
            Place::Unix(socket) => (Target::Unix(socket.clone().into()), None),
            Place::Tcp { host, port } => {
                let mut connector = HttpConnector::new();
                connector.set_nodelay(true);
                connector.set_keepalive(Some(PROBE_AFTER));
                // Divided among the addresses, so that one that does not answer leaves time for
                // the others.
                connector.set_connect_timeout(timeout);
                let authority = match host.contains(':') {
                    true => format!("[{host}]:{port}"),
                    false => format!("{host}:{port}"),
                };
                let uri = Uri::builder().scheme("http").authority(authority).path_and_query("/");
                let uri = uri.build().map_err(|error| {
                    StartError::new(&format!("{upstream} cannot be connected to"), &error)
                })?;
                let tls = (upstream.protocol == Protocol::Https)
                    .then(|| Verifying::new(host, tls))
                    .transpose()?;
                (Target::Tcp(Box::new(connector), uri), tls)
            }
        };
        Ok(Self { target, tls, speaks_http2: upstream.protocol == Protocol::H2c, timeout })
    }

    /// Whether TLS is spoken.
    pub(super) const fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether it is known beforehand that HTTP/2 is spoken.
    pub(super) const fn speaks_http2(&self) -> bool {
        self.speaks_http2
    }

    /// Connects. Returns the connection, and whether HTTP/2 is spoken over it.
    pub(super) async fn dial(&self, http1_only: bool) -> Result<(Box<dyn Io>, bool), OriginError> {
        let connect = self.connect(http1_only);
        match self.timeout {
            Some(limit) => match tokio::time::timeout(limit, connect).await {
                Ok(connected) => connected,
                Err(_) => Err(OriginError::Connect(format!("no connection within {limit:?}"))),
            },
            None => connect.await,
        }
    }

    async fn connect(&self, http1_only: bool) -> Result<(Box<dyn Io>, bool), OriginError> {
        let failed = |error: &dyn std::error::Error| OriginError::Connect(with_causes(error));
        let io: Box<dyn Io> = match &self.target {
            Target::Unix(socket) => {
                Box::new(UnixStream::connect(socket).await.map_err(|error| failed(&error))?)
            }
            Target::Tcp(connector, uri) => {
                let mut connector = connector.clone();
                let connected = connector.call(uri.clone()).await;
                Box::new(connected.map_err(|error| failed(&error))?.into_inner())
            }
        };
        let Some(tls) = &self.tls else { return Ok((io, self.speaks_http2)) };
        let io = tls.shake(io, http1_only).await.map_err(|error| failed(&error))?;
        let speaks_http2 = io.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((Box::new(io), speaks_http2))
    }
}

/// The error and what caused it: the cause is often all that says something.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
