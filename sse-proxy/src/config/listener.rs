//! Where to listen, and with which certificate.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

/// One address to listen on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Listener {
    /// The address, such as `127.0.0.1:8443`. Port 0 lets the system choose.
    #[serde(deserialize_with = "address")]
    pub address: SocketAddr,
    /// TLS, if it is to be spoken.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// HTTP/2 settings.
    #[serde(default)]
    pub http2: Http2,
}

/// What a listener shows who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tls {
    /// A certificate made at start, for development: clients must be told to accept it.
    SelfSigned,
    /// Certificates from files. The first whose names match the client's wish (SNI) is shown,
    /// else the first.
    Files(Vec<KeyPair>),
}

/// A certificate chain and its private key, both PEM files.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct KeyPair {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// HTTP/2 settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Http2 {
    /// The most streams on one connection. Default: 256. Chromium opens no more, whatever it may,
    /// Firefox opens as many as it may; what is over the limit waits without a word. Both take 100
    /// where a server names no limit, and six connections where there is no HTTP/2.
    pub max_concurrent_streams: u32,
}

impl Default for Http2 {
    fn default() -> Self {
        Self { max_concurrent_streams: 256 }
    }
}

impl Listener {
    /// A listener for `address`.
    #[must_use]
    pub fn new(address: SocketAddr, tls: Option<Tls>) -> Self {
        Self { address, tls, http2: Http2::default() }
    }

    /// Takes relative paths as relative to `folder`.
    pub(super) fn resolve(&mut self, folder: &Path) {
        if let Some(Tls::Files(pairs)) = &mut self.tls {
            for pair in pairs {
                pair.certificate = folder.join(&pair.certificate);
                pair.key = folder.join(&pair.key);
            }
        }
    }
}

/// An address to listen on.
pub(super) fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        let problem = format!(
            "expected an IP address and a port, such as \"127.0.0.1:8443\" or \"[::1]:0\", found {text:?}"
        );
        serde::de::Error::custom(problem)
    })
}

impl<'de> Deserialize<'de> for Tls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "expected \"self-signed\", { certificate = \"…\", key = \"…\" } or \
                         { certificates = [{ certificate = \"…\", key = \"…\" }, …] }"
        )]
        enum Form {
            Name(SelfSigned),
            One(KeyPair),
            Many(Certificates),
        }
        #[derive(Deserialize)]
        enum SelfSigned {
            #[serde(rename = "self-signed")]
            SelfSigned,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Certificates {
            certificates: Vec<KeyPair>,
        }
        match Form::deserialize(deserializer)? {
            Form::Name(SelfSigned::SelfSigned) => Ok(Self::SelfSigned),
            Form::One(pair) => Ok(Self::Files(vec![pair])),
            Form::Many(many) if many.certificates.is_empty() => {
                Err(serde::de::Error::custom("certificates is empty: name at least one"))
            }
            Form::Many(many) => Ok(Self::Files(many.certificates)),
        }
    }
}
