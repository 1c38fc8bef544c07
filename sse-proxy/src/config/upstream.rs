//! [`Upstream`]: the origin of a route.

use std::fmt;
use std::net::IpAddr;

use http::Uri;
use serde::{Deserialize, Deserializer};

/// The origin of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Upstream {
    /// Whether TLS is spoken to it.
    pub tls: bool,
    /// Its name or address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// A path that replaces the route's.
    pub path: Option<String>,
}

impl Upstream {
    /// Plain HTTP at an address.
    #[must_use]
    pub fn plain(address: std::net::SocketAddr) -> Self {
        let (host, port) = (address.ip().to_string(), address.port());
        Self { tls: false, host, port, path: None }
    }

    /// `host:port`, as it is connected to.
    #[must_use]
    pub fn authority(&self) -> String {
        match self.host.parse() {
            Ok(IpAddr::V6(address)) => format!("[{address}]:{}", self.port),
            Ok(IpAddr::V4(_)) | Err(_) => format!("{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        let path = self.path.as_deref().unwrap_or_default();
        write!(f, "{scheme}://{}{path}", self.authority())
    }
}

impl std::str::FromStr for Upstream {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            Err(format!("{why}: expected http://HOST[:PORT][/PATH] or https://…, found {text:?}"))
        };
        let Ok(uri) = text.parse::<Uri>() else { return wrong("not a URL") };
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return wrong("neither http nor https"),
        };
        let Some(authority) = uri.authority() else { return wrong("no host") };
        if authority.as_str().contains('@') {
            return Err("an upstream URL cannot carry a user and password".to_owned());
        }
        if uri.query().is_some() {
            return wrong("a query has no place here");
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return wrong("no host");
        }
        let path = uri.path();
        Ok(Self {
            tls,
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            path: (path != "/").then(|| path.to_owned()),
        })
    }
}

impl<'de> Deserialize<'de> for Upstream {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
