//! [`Host`]: which requests a route is for, by the host they name.

use serde::{Deserialize, Deserializer};

/// A host name, compared without regard to case and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(String);

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Host {
    /// Whether the request's authority (`Host` field or `:authority`) names this host.
    #[must_use]
    pub fn matches(&self, authority: &str) -> bool {
        without_port(authority).eq_ignore_ascii_case(&self.0)
    }
}

/// A host without its port. `[::1]:80` has its colons inside brackets.
pub(crate) fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        if name.is_empty() || name.contains(['/', ' ', '*']) || without_port(&name) != name {
            let problem =
                format!("expected a host name without scheme, port or path, found {name:?}");
            return Err(serde::de::Error::custom(problem));
        }
        Ok(Self(name.to_ascii_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_port_do_not_matter() {
        let host = Host("news.example.com".into());
        assert!(host.matches("News.example.com:8443"));
        assert!(!host.matches("example.com"));
        assert!(Host("[::1]".into()).matches("[::1]:80"));
    }
}
