//! Certificates, and how they are shown.

use std::fmt::Display;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{Ticketer, default_provider, sign};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use crate::config::{KeyPair, Tls};
use crate::start::StartError;

/// The names that a self-signed certificate is for.
const SELF_SIGNED_FOR: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// What a TLS listener needs: TLS 1.2 and 1.3, HTTP/2 where the client can.
/// And the certificates that it shows, which can be replaced.
pub(crate) fn server_config(
    tls: &Tls,
) -> Result<(Arc<ServerConfig>, Arc<Certificates>), StartError> {
    let provider = Arc::new(default_provider());
    let certificates = match tls {
        Tls::SelfSigned => vec![self_signed(&provider)?],
        Tls::Files(pairs) => load_all(pairs)?,
    };
    let certificates = Arc::new(Certificates(ArcSwap::from_pointee(certificates)));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StartError::new("TLS cannot be set up", &error))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::<Certificates>::clone(&certificates));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = Ticketer::new()
        .map_err(|error| StartError::new("TLS session tickets cannot be set up", &error))?;
    Ok((Arc::new(config), certificates))
}

/// Reads certificates and their keys.
pub(crate) fn load_all(pairs: &[KeyPair]) -> Result<Vec<Arc<CertifiedKey>>, StartError> {
    let provider = default_provider();
    pairs.iter().map(|pair| load(pair, &provider)).collect()
}

fn self_signed(provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, StartError> {
    let wrong =
        |error: &dyn Display| StartError::new("a self-signed certificate cannot be made", error);
    let made = rcgen::generate_simple_self_signed(SELF_SIGNED_FOR.map(str::to_owned))
        .map_err(|error| wrong(&error))?;
    let key =
        PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(|error| wrong(&error))?;
    CertifiedKey::from_der(vec![made.cert.der().clone()], key, provider)
        .map(Arc::new)
        .map_err(|error| wrong(&error))
}

fn load(pair: &KeyPair, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, StartError> {
    let (certificate, key) = (&pair.certificate, &pair.key);
    let chain = CertificateDer::pem_reader_iter(open(certificate, "certificate")?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| file_error("certificate", certificate, &error))?;
    if chain.is_empty() {
        return Err(file_error("certificate", certificate, &"it has no certificate in PEM form"));
    }
    let der = PrivateKeyDer::from_pem_reader(open(key, "key")?)
        .map_err(|error| file_error("key", key, &error))?;
    sign::any_supported_type(&der).map_err(|error| file_error("key", key, &error))?;
    CertifiedKey::from_der(chain, der, provider).map(Arc::new).map_err(|error| {
        let what = format!("{} does not go with {}", key.display(), certificate.display());
        StartError::new(&what, &error)
    })
}

fn open(path: &Path, what: &str) -> Result<BufReader<File>, StartError> {
    File::open(path).map(BufReader::new).map_err(|error| file_error(what, path, &error))
}

fn file_error(what: &str, path: &Path, error: &dyn Display) -> StartError {
    StartError::new(&format!("{what} {} cannot be used", path.display()), error)
}

/// The certificates of a listener: the first that is valid for the name that the client wants is
/// shown, else the first of all.
#[derive(Debug)]
pub(crate) struct Certificates(ArcSwap<Vec<Arc<CertifiedKey>>>);

impl Certificates {
    /// Shows others from now on.
    pub(crate) fn replace(&self, others: Vec<Arc<CertifiedKey>>) {
        self.0.store(Arc::new(others));
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let wanted = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let all = self.0.load();
        let matching = wanted.and_then(|name| all.iter().find(|key| is_valid_for(key, &name)));
        matching.or_else(|| all.first()).map(Arc::clone)
    }
}

fn is_valid_for(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let certificate = key.end_entity_cert().ok();
    certificate
        .and_then(|certificate| webpki::EndEntityCert::try_from(certificate).ok())
        .is_some_and(|certificate| certificate.verify_is_valid_for_subject_name(name).is_ok())
}
