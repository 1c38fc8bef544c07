//! [`Probe`]: what is found where an upstream is said to be.

use std::fmt;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::dial::Dialer;
use crate::config::Upstream;

/// What is found where an upstream is said to be.
#[derive(Debug)]
pub struct Probe {
    upstream: String,
    found: Found,
}

#[derive(Debug)]
enum Found {
    Http {
        version: &'static str,
        certificate: Option<String>,
    },
    /// It is not there. That may change, and is no fault of the configuration.
    Nothing(String),
    /// It is there, but not to be trusted.
    Fault(String),
}

impl Probe {
    /// Connects, and shakes hands where TLS is spoken.
    pub(super) async fn of(upstream: &Upstream, dialer: &Dialer) -> Self {
        let found = match dialer.open().await {
            Err(error) => Found::Nothing(error.to_string()),
            Ok(io) => match dialer.tls() {
                None => Found::Http { version: version(dialer.speaks_http2()), certificate: None },
                Some(tls) => match tls.shake(io, false).await {
                    Err(error) => Found::Fault(error.to_string()),
                    Ok(io) => {
                        let (_, session) = io.get_ref();
                        let certificates = session.peer_certificates().unwrap_or_default();
                        Found::Http {
                            version: version(session.alpn_protocol() == Some(b"h2")),
                            certificate: certificates.first().map(|it| described(it)),
                        }
                    }
                },
            },
        };
        Self { upstream: upstream.to_string(), found }
    }

    /// Whether something is wrong that will not mend itself.
    #[must_use]
    pub const fn is_fault(&self) -> bool {
        matches!(self.found, Found::Fault(_))
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.upstream)?;
        match &self.found {
            Found::Http { version, certificate: None } => f.write_str(version),
            Found::Http { version, certificate: Some(certificate) } => {
                write!(f, "{version}, {certificate}")
            }
            Found::Nothing(why) => write!(f, "not there now: {why}"),
            Found::Fault(why) => write!(f, "refused: {why}"),
        }
    }
}

const fn version(is_http2: bool) -> &'static str {
    if is_http2 { "HTTP/2" } else { "HTTP/1.1" }
}

/// The names that a certificate is for, and its last day.
fn described(certificate: &[u8]) -> String {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
        return "certificate of an unknown form".to_owned();
    };
    let names = certificate.subject_alternative_name().ok().flatten();
    let names: Vec<_> = names
        .iter()
        .flat_map(|names| &names.value.general_names)
        .map(|name| match name {
            GeneralName::DNSName(name) => (*name).to_owned(),
            GeneralName::IPAddress(bytes) => address(bytes),
            other => other.to_string(),
        })
        .collect();
    let until = certificate.validity().not_after;
    format!("certificate for {}, valid until {until}", names.join(", "))
}

fn address(bytes: &[u8]) -> String {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return std::net::Ipv4Addr::from(bytes).to_string();
    }
    let bytes = <[u8; 16]>::try_from(bytes);
    bytes.map_or_else(|_| "?".to_owned(), |bytes| std::net::Ipv6Addr::from(bytes).to_string())
}
