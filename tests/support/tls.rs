//! TLS without looking at certificates: that is not what is tested.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme, SupportedProtocolVersion,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::within;

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
            .with_custom_certificate_verifier(Arc::new(Whatever(provider)))
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

/// Takes every certificate.
#[derive(Debug)]
struct Whatever(Arc<CryptoProvider>);

impl ServerCertVerifier for Whatever {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
