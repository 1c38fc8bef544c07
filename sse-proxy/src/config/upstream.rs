//! [`Upstreams`]: the origins of a route, and [`Upstream`]: one of them.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use http::Uri;
use serde::{Deserialize, Deserializer};

/// The origins of a route, at least one. Each request goes to one of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Upstreams(Vec<Upstream>);

/// One origin of a route.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Upstream {
    /// What is spoken to it.
    pub protocol: Protocol,
    /// Where it listens.
    pub place: Place,
    /// A path that replaces the route's.
    pub path: Option<String>,
    /// Its share of the requests, among those of the others. From 1 to 100. Default: 1.
    pub weight: u8,
}

/// What is spoken to an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// `http:`, plain HTTP/1.1.
    Http,
    /// `https:`, HTTP/2 or HTTP/1.1 over TLS, as the origin chooses.
    Https,
    /// `h2c:`, plain HTTP/2 from the first byte on.
    H2c,
}

/// Where an origin listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// A port.
    Tcp {
        /// Name or address, without brackets. A name is looked up for each connection.
        host: String,
        /// The port.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

impl Upstreams {
    /// The origins, in the order of the configuration.
    pub fn iter(&self) -> std::slice::Iter<'_, Upstream> {
        self.0.iter()
    }
}

impl<'u> IntoIterator for &'u Upstreams {
    type Item = &'u Upstream;
    type IntoIter = std::slice::Iter<'u, Upstream>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl From<Upstream> for Upstreams {
    fn from(upstream: Upstream) -> Self {
        Self(vec![upstream])
    }
}

impl fmt::Display for Upstreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, upstream) in self.0.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}{upstream}")?;
        }
        Ok(())
    }
}

impl Upstream {
    /// Plain HTTP at an address.
    #[must_use]
    pub fn plain(address: std::net::SocketAddr) -> Self {
        let place = Place::Tcp { host: address.ip().to_string(), port: address.port() };
        Self { protocol: Protocol::Http, place, path: None, weight: 1 }
    }

    /// `host:port`, or what stands for it where there is none.
    #[must_use]
    pub fn authority(&self) -> String {
        match &self.place {
            Place::Unix(_) => "localhost".to_owned(),
            Place::Tcp { host, port } => match host.parse() {
                Ok(IpAddr::V6(address)) => format!("[{address}]:{port}"),
                Ok(IpAddr::V4(_)) | Err(_) => format!("{host}:{port}"),
            },
        }
    }
}

impl fmt::Display for Upstream {
    /// As it is written in a configuration, with its port.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Unix(socket) => write!(f, "unix:{}", socket.display()),
            Place::Tcp { .. } => {
                let path = self.path.as_deref().unwrap_or_default();
                write!(f, "{}://{}{path}", self.protocol, self.authority())
            }
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::H2c => "h2c",
        })
    }
}

impl std::str::FromStr for Upstream {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(socket) = text.strip_prefix("unix:") {
            if !socket.starts_with('/') {
                return Err(format!("expected unix:/PATH/TO/SOCKET, found {text:?}"));
            }
            let place = Place::Unix(socket.into());
            return Ok(Self { protocol: Protocol::Http, place, path: None, weight: 1 });
        }
        let wrong = |why: &str| {
            Err(format!(
                "{why}: expected http://HOST[:PORT][/PATH], https://…, h2c://… or unix:/PATH, \
                 found {text:?}"
            ))
        };
        let Ok(uri) = text.parse::<Uri>() else { return wrong("not a URL") };
        let (protocol, usual_port) = match uri.scheme_str() {
            Some("http") => (Protocol::Http, 80),
            Some("https") => (Protocol::Https, 443),
            Some("h2c") => (Protocol::H2c, 80),
            _ => return wrong("none of the known schemes"),
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
        if text.contains('#') {
            return wrong("a fragment has no place here");
        }
        let port = match (authority.port_u16(), authority.as_str().ends_with(authority.host())) {
            (Some(port), _) => port,
            (None, true) => usual_port,
            (None, false) => return wrong("no such port"),
        };
        let path = uri.path();
        Ok(Self {
            protocol,
            place: Place::Tcp { host: host.to_owned(), port },
            path: (path != "/").then(|| path.to_owned()),
            weight: 1,
        })
    }
}

impl<'de> Deserialize<'de> for Upstreams {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "expected a URL, { url = \"…\", weight = 2 } or a list of these"
        )]
        enum Form {
            One(One),
            Many(Vec<One>),
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum One {
            Url(String),
            Weighted(Weighted),
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Weighted {
            url: String,
            #[serde(default = "one")]
            weight: u64,
        }
        const fn one() -> u64 {
            1
        }
        let form = match Form::deserialize(deserializer)? {
            Form::One(one) => vec![one],
            Form::Many(many) => many,
        };
        let wrong = |problem: String| Err(serde::de::Error::custom(problem));
        let mut upstreams: Vec<Upstream> = Vec::new();
        for one in form {
            let (url, weight) = match one {
                One::Url(url) => (url, 1),
                One::Weighted(Weighted { url, weight }) => (url, weight),
            };
            let mut upstream: Upstream = url.parse().map_err(serde::de::Error::custom)?;
            match u8::try_from(weight) {
                Ok(weight @ 1..=100) => upstream.weight = weight,
                _ => return wrong(format!("a weight is 1 to 100, found {weight} for {upstream}")),
            }
            if upstreams.iter().any(|other| other.to_string() == upstream.to_string()) {
                return wrong(format!("{upstream} twice: give it a weight instead"));
            }
            upstreams.push(upstream);
        }
        if upstreams.is_empty() {
            return wrong("no upstream: name at least one URL".to_owned());
        }
        Ok(Self(upstreams))
    }
}
