//! [`UpstreamTls`]: whom to believe that they are the origin.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Whom to believe that they are the origin, where TLS is spoken to it. By default: whoever shows
/// a certificate for the upstream's host from an authority that the system trusts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct UpstreamTls {
    /// The only authorities that are trusted: a PEM file.
    pub ca: Option<PathBuf>,
    /// Takes any certificate: the connection is secret, but nobody knows from whom.
    pub insecure: bool,
    /// The name to ask for and to find in the certificate, instead of the upstream's host.
    pub server_name: Option<String>,
}

impl UpstreamTls {
    /// Takes a relative path as relative to `folder`.
    pub(super) fn resolve(&mut self, folder: &Path) {
        if let Some(ca) = &mut self.ca {
            *ca = folder.join(&ca);
        }
    }

    /// What the types cannot say: the key, and the problem.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.insecure && self.ca.is_some() {
            let problem = "with insecure = true any certificate is taken: leave one of them out";
            return Err(("ca", problem.to_owned()));
        }
        match &self.server_name {
            Some(name) if rustls_pki_types::ServerName::try_from(name.as_str()).is_err() => {
                Err(("server_name", format!("expected a host name or an address, found {name:?}")))
            }
            _ => Ok(()),
        }
    }
}
