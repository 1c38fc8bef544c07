//! TLS without looking at certificates: that is not what is tested.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, SupportedProtocolVersion};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use self::anybody::Anybody;
use super::within;

#[path = "../../sse-proxy/src/origin/anybody.rs"]
mod anybody;

/// The versions of TLS that a client can insist on.
pub(crate) type Version = &'static SupportedProtocolVersion;

/// What a client offers.
pub(crate) struct Tls {
    pub(crate) versions: Vec<Version>,
    /// In order of preference.
    pub(crate) protocols: Vec<&'static str>,
    pub(crate) name: &'static str,
}

impl Tls {
    /// As a modern client, for one protocol.
    pub(crate) fn speaking(protocol: &'static str) -> Self {
        Self {
            versions: rustls::ALL_VERSIONS.to_vec(),
            protocols: vec![protocol],
            name: "localhost",
        }
    }

    /// Connects, and shakes hands.
    pub(crate) async fn connect(&self, address: SocketAddr) -> TlsStream<TcpStream> {
        let provider = Arc::new(ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&self.versions)
            .expect("versions that exist")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            .with_no_client_auth();
        config.alpn_protocols = self.protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
        let name = ServerName::try_from(self.name).expect("a valid name");
        let connect = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            TlsConnector::from(Arc::new(config)).connect(name, stream).await
        };
        within("a TLS handshake", connect).await.expect("a TLS connection")
    }
}
