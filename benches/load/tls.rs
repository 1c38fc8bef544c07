//! TLS of both sides: a client that believes whom it is told to, a server that shows a certificate
//! of its own.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use self::anybody::Anybody;
use super::args::Args;

#[path = "../../sse-proxy/src/origin/anybody.rs"]
mod anybody;

/// Whom a client believes.
#[derive(Clone, Copy, Debug)]
pub enum Trust<'a> {
    /// Whom the machine trusts.
    Machine,
    /// Whose certificates are in this file.
    File(&'a Path),
    /// Everybody.
    Anybody,
}

impl<'a> Trust<'a> {
    /// What the command line says.
    pub fn of(args: &'a Args) -> Self {
        match &args.ca {
            _ if args.insecure => Self::Anybody,
            Some(file) => Self::File(file),
            None => Self::Machine,
        }
    }
}

/// A client that resumes no session, so that each handshake is whole.
///
/// # Errors
///
/// If nobody is trusted, or the file cannot be read.
pub fn client(protocol: &str, trust: Trust<'_>) -> io::Result<Arc<ClientConfig>> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let mut config = match trust {
        Trust::Anybody => {
            let verifier = Arc::new(Anybody(provider));
            builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
        }
        Trust::Machine | Trust::File(_) => {
            builder.with_root_certificates(roots(trust)?).with_no_client_auth()
        }
    };
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

fn roots(trust: Trust<'_>) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    if let Trust::File(file) = trust {
        let wrong = |error: &dyn std::fmt::Display| {
            io::Error::other(format!("--ca {}: {error}", file.display()))
        };
        for certificate in CertificateDer::pem_file_iter(file).map_err(|error| wrong(&error))? {
            let certificate = certificate.map_err(|error| wrong(&error))?;
            roots.add(certificate).map_err(|error| wrong(&error))?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if roots.is_empty() {
        return Err(io::Error::other("there is no certificate to trust: --ca or --insecure"));
    }
    Ok(roots)
}

/// A server with a certificate that it makes for itself.
///
/// # Errors
///
/// If none can be made.
pub fn server() -> io::Result<Arc<ServerConfig>> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]);
    let made = made.map_err(io::Error::other)?;
    let key =
        PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(io::Error::other)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
