//! [`Dialer`]: makes connections to one upstream.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::GaiResolver;
use socket2::TcpKeepalive;
use tokio::net::UnixStream;
use tower_service::Service;

use super::OriginError;
use super::tls::Verifying;
use super::wire::Wire;
use crate::config::{Place, Protocol, Upstream, UpstreamTls};
use crate::start::StartError;

/// After how long a silent connection is asked whether it still lives, so that an origin that
/// vanished without a word is noticed in the end.
const PROBE_AFTER: Duration = Duration::from_secs(30);

/// Makes connections to one upstream.
pub(super) struct Dialer {
    target: Target,
    /// Where HTTP/1 is spoken without TLS, if no name has to be looked up to know.
    address: Option<SocketAddr>,
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
        let (target, tls, address) = match &upstream.place {
            Place::Unix(socket) => (Target::Unix(socket.clone().into()), None, None),
            Place::Tcp { host, port } => {
                let connector = connector(GaiResolver::new(), timeout);
                let authority = match host.contains(':') {
                    true => format!("[{host}]:{port}"),
                    false => format!("{host}:{port}"),
                };
                let address = authority.parse().ok();
                let uri = Uri::builder().scheme("http").authority(authority).path_and_query("/");
                let uri = uri.build().map_err(|error| {
                    StartError::new(&format!("{upstream} cannot be connected to"), &error)
                })?;
                let tls = (upstream.protocol == Protocol::Https)
                    .then(|| Verifying::new(host, tls))
                    .transpose()?;
                (Target::Tcp(Box::new(connector), uri), tls, address)
            }
        };
        let address = address.filter(|_| upstream.protocol == Protocol::Http);
        let speaks_http2 = upstream.protocol == Protocol::H2c;
        Ok(Self { target, address, tls, speaks_http2, timeout })
    }

    /// How TLS is spoken, if it is.
    pub(super) const fn tls(&self) -> Option<&Verifying> {
        self.tls.as_ref()
    }

    /// Where HTTP/1 is spoken without TLS, if no name has to be looked up to know.
    pub(super) const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Whether it is known beforehand that HTTP/2 is spoken.
    pub(super) const fn speaks_http2(&self) -> bool {
        self.speaks_http2
    }

    /// Connects. Returns the connection, and whether HTTP/2 is spoken over it.
    pub(super) async fn dial(&self, http1_only: bool) -> Result<(Wire, bool), OriginError> {
        let connect = async {
            match (self.open().await?, &self.tls) {
                (Wire::Tcp(tcp), Some(tls)) => {
                    let tls = tls.shake(tcp, http1_only).await?;
                    let speaks_http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
                    Ok((Wire::Tls(Box::new(tls)), speaks_http2))
                }
                (wire, _) => Ok((wire, self.speaks_http2)),
            }
        };
        let connected = match self.timeout {
            Some(limit) => tokio::time::timeout(limit, connect).await,
            None => Ok(connect.await),
        };
        let failed = |error: io::Error| OriginError::Connect(error.to_string());
        connected.unwrap_or_else(|_| Err(too_late())).map_err(failed)
    }

    /// Connects, and no more.
    pub(super) async fn open(&self) -> io::Result<Wire> {
        Ok(match &self.target {
            Target::Unix(socket) => Wire::Unix(UnixStream::connect(socket).await?),
            Target::Tcp(connector, uri) => {
                let connected = connector.clone().call(uri.clone()).await;
                let connected = connected.map_err(|error| io::Error::other(with_causes(&error)))?;
                Wire::Tcp(connected.into_inner())
            }
        })
    }
}

/// How it is asked whether a silent connection still lives.
pub(super) const fn probing() -> TcpKeepalive {
    TcpKeepalive::new().with_time(PROBE_AFTER)
}

/// No connection came about in time.
pub(super) fn too_late() -> io::Error {
    io::Error::other("no connection in time (timeouts.connect)")
}

fn connector<R>(resolver: R, timeout: Option<Duration>) -> HttpConnector<R> {
    let mut connector = HttpConnector::new_with_resolver(resolver);
    connector.set_nodelay(true);
    connector.set_keepalive(Some(PROBE_AFTER));
    // Divided among the addresses, so that one that does not answer leaves time for the others.
    connector.set_connect_timeout(timeout);
    connector
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use hyper_util::client::legacy::connect::dns::Name;
    use tokio::net::TcpListener;
    use tower::service_fn;

    use super::*;

    #[tokio::test]
    async fn a_name_is_looked_up_for_each_connection_and_tried_at_all_its_addresses() {
        let there = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = there.local_addr().unwrap().port();
        let lookups = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&lookups);
        let resolver = service_fn(move |_: Name| {
            counted.fetch_add(1, Ordering::Relaxed);
            // Nobody listens at the first two.
            let addresses = [[127, 0, 0, 3], [127, 0, 0, 2], [127, 0, 0, 1]];
            let addresses = addresses.map(|ip| SocketAddr::from((ip, port)));
            async move { Ok::<_, io::Error>(addresses.into_iter()) }
        });
        let connector = connector(resolver, Some(Duration::from_secs(5)));
        let uri: Uri = format!("http://origin.example:{port}/").parse().unwrap();
        for connection in 1..=2 {
            connector.clone().call(uri.clone()).await.unwrap();
            assert_eq!(lookups.load(Ordering::Relaxed), connection);
        }
    }
}
