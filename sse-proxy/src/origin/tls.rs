//! [`Verifying`]: TLS to an origin, and what it must prove.

use std::fmt::Display;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::anybody::Anybody;
use crate::config::UpstreamTls;
use crate::start::StartError;

/// The authorities that the system trusts. Reading them takes a while.
static SYSTEM_ROOTS: LazyLock<Result<Arc<RootCertStore>, String>> = LazyLock::new(|| {
    let found = rustls_native_certs::load_native_certs().map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found);
    if roots.is_empty() {
        return Err("the system has none (on Debian: ca-certificates)".to_owned());
    }
    Ok(Arc::new(roots))
});

/// TLS to an origin.
pub(super) struct Verifying {
    /// Offers HTTP/2 and HTTP/1.1.
    any: TlsConnector,
    /// Offers HTTP/1.1 alone, which is what can be upgraded.
    http1: TlsConnector,
    name: ServerName<'static>,
}

impl Verifying {
    /// For the origin at `host`.
    pub(super) fn new(host: &str, tls: &UpstreamTls) -> Result<Self, StartError> {
        let name = tls.server_name.as_deref().unwrap_or(host).to_owned();
        let name = ServerName::try_from(name.clone()).map_err(|error| {
            StartError::new(&format!("no certificate can be for {name:?}"), &error)
        })?;
        let connector = |protocols: &[&str]| -> Result<TlsConnector, StartError> {
            let mut config = config(tls)?;
            config.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
            Ok(TlsConnector::from(Arc::new(config)))
        };
        Ok(Self { any: connector(&["h2", "http/1.1"])?, http1: connector(&["http/1.1"])?, name })
    }

    /// Shakes hands over `io`.
    pub(super) async fn shake<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        io: T,
        http1_only: bool,
    ) -> std::io::Result<TlsStream<T>> {
        let connector = if http1_only { &self.http1 } else { &self.any };
        connector.connect(self.name.clone(), io).await
    }
}

fn config(tls: &UpstreamTls) -> Result<ClientConfig, StartError> {
    let provider = Arc::new(default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| StartError::new("TLS cannot be set up", &error))?;
    Ok(match &tls.ca {
        _ if tls.insecure => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            .with_no_client_auth(),
        Some(file) => builder.with_root_certificates(authorities(file)?).with_no_client_auth(),
        None => {
            let roots = SYSTEM_ROOTS.as_ref().map_err(|why| {
                StartError::new("no certificate authorities to check https upstreams with", why)
            })?;
            builder.with_root_certificates(Arc::clone(roots)).with_no_client_auth()
        }
    })
}

fn authorities(file: &Path) -> Result<RootCertStore, StartError> {
    let wrong = |why: &dyn Display| {
        StartError::new(&format!("upstream_tls.ca {} cannot be used", file.display()), why)
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| wrong(&error))? {
        let certificate = certificate.map_err(|error| wrong(&error))?;
        roots.add(certificate).map_err(|error| wrong(&error))?;
    }
    if roots.is_empty() {
        return Err(wrong(&"it has no certificate in PEM form"));
    }
    Ok(roots)
}
