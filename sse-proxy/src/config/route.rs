//! A path of ours, and how requests to it are served.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use http::Uri;
use http::header::HeaderName;
use serde::{Deserialize, Deserializer};
use sse_layer::Repairs;

use super::{Host, Size};

/// A path of ours, and how requests to it are served.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Route {
    /// Which requests, by path. The longest wins.
    pub path: PathPattern,
    /// Which requests, by host. Any if absent.
    #[serde(default)]
    pub host: Option<Host>,
    /// The origin.
    pub upstream: Upstream,
    /// Who shares an origin stream.
    #[serde(default)]
    pub stream: Stream,
    /// What is mended. Default: `"safe"`.
    #[serde(default = "safe", deserialize_with = "repairs")]
    pub repair: Repairs,
    /// Whether the route may be named in a mux request. Default: true.
    #[serde(default = "yes")]
    pub mux: bool,
    /// The silence after which a comment is sent. Default: 15 s. `"0s"`: never.
    #[serde(default = "fifteen_seconds", with = "humantime_serde")]
    pub keep_alive: Duration,
    /// Whose reconnection time clients get.
    #[serde(default)]
    pub retry: Retry,
    /// What is kept of a shared feed for readers who come back.
    #[serde(default)]
    pub history: History,
    /// How long origin stream and history are kept after the last reader left. Default: 30 s.
    #[serde(default = "thirty_seconds", with = "humantime_serde")]
    pub linger: Duration,
    /// How far a reader may fall behind.
    #[serde(default)]
    pub lag: Lag,
    /// What a client gets while its origin cannot be reached.
    #[serde(default)]
    pub on_origin_error: OnOriginError,
    /// Where events come from that a returning reader missed.
    #[serde(default)]
    pub resume: Resume,
    /// How long the origin may take.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// What makes two requests to a shared route different feeds, besides the path. Default: the
    /// query.
    #[serde(default = "by_query")]
    pub share_by: Vec<ShareBy>,
    /// The most feeds at once. Default: 10000.
    #[serde(default = "ten_thousand")]
    pub max_feeds: usize,
}

const fn yes() -> bool {
    true
}

const fn safe() -> Repairs {
    Repairs::SAFE
}

const fn fifteen_seconds() -> Duration {
    Duration::from_secs(15)
}

const fn thirty_seconds() -> Duration {
    Duration::from_secs(30)
}

fn by_query() -> Vec<ShareBy> {
    vec![ShareBy::Query]
}

const fn ten_thousand() -> usize {
    10_000
}

impl Route {
    /// A route with defaults.
    #[must_use]
    pub fn new(path: PathPattern, upstream: Upstream) -> Self {
        Self {
            path,
            host: None,
            upstream,
            stream: Stream::default(),
            repair: safe(),
            mux: yes(),
            keep_alive: fifteen_seconds(),
            retry: Retry::default(),
            history: History::default(),
            linger: thirty_seconds(),
            lag: Lag::default(),
            on_origin_error: OnOriginError::default(),
            resume: Resume::default(),
            timeouts: Timeouts::default(),
            share_by: by_query(),
            max_feeds: ten_thousand(),
        }
    }

    /// Whether both routes are for the very same requests.
    pub(super) fn matches_same(&self, other: &Self) -> bool {
        self.path == other.path && self.host == other.host
    }
}

impl fmt::Display for Route {
    /// In one line, what the route does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, upstream, stream, repair, .. } = self;
        let host = self.host.as_ref().map(|host| format!("{host}")).unwrap_or_default();
        write!(f, "{host}{path} -> {upstream} ({stream:?}, repairs: {repair})")
    }
}

/// `/x` is that path alone; `/x/*` is `/x/` and all below it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathPattern {
    /// That path alone.
    Exact(String),
    /// All paths that begin so; ends with a slash.
    Prefix(String),
}

impl PathPattern {
    /// `/*`.
    #[must_use]
    pub fn everything() -> Self {
        Self::Prefix("/".to_owned())
    }

    /// All paths that begin with `folder`, which ends with a slash.
    #[must_use]
    pub fn below(folder: &str) -> Self {
        Self::Prefix(folder.to_owned())
    }

    /// What of `path` lies beyond the pattern, if it matches: nothing for an exact one.
    #[must_use]
    pub fn rest<'p>(&self, path: &'p str) -> Option<&'p str> {
        match self {
            Self::Exact(exact) => (exact == path).then_some(""),
            Self::Prefix(prefix) => path.strip_prefix(prefix.as_str()),
        }
    }

    /// How much of a path the pattern names. An exact one names more than any prefix of it.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Exact(path) => path.len() + 1,
            Self::Prefix(path) => path.len(),
        }
    }

    /// Never: a pattern begins with a slash.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => f.write_str(path),
            Self::Prefix(path) => write!(f, "{path}*"),
        }
    }
}

impl std::str::FromStr for PathPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, is_prefix) = match text.strip_suffix('*') {
            Some(prefix) => (prefix, true),
            None => (text, false),
        };
        if !path.starts_with('/')
            || path.contains(['*', '?', '#', ' '])
            || (is_prefix && !path.ends_with('/'))
        {
            return Err(format!("expected \"/x\" (exact) or \"/x/*\" (prefix), found {text:?}"));
        }
        Ok(if is_prefix { Self::Prefix(path.to_owned()) } else { Self::Exact(path.to_owned()) })
    }
}

impl<'de> Deserialize<'de> for PathPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

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

/// Who shares an origin stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Stream {
    /// One origin stream per client.
    #[default]
    Private,
    /// One origin stream for all.
    Shared,
    /// Nothing is known of streams: a plain proxy.
    Off,
}

/// Whose reconnection time clients get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retry {
    /// The origin's own, if it sends one.
    #[default]
    Pass,
    /// This, at the start of each stream, jittered; the origin's is dropped.
    Ours(Duration),
}

impl<'de> Deserialize<'de> for Retry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "pass" {
            return Ok(Self::Pass);
        }
        humantime_serde::re::humantime::parse_duration(&text).map(Self::Ours).map_err(|_| {
            let problem = format!("expected \"pass\" or a duration such as \"3s\", found {text:?}");
            serde::de::Error::custom(problem)
        })
    }
}

/// What is kept of a shared feed for readers who come back. Whatever bound is met first.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct History {
    /// Events. Default: 1024.
    pub events: usize,
    /// Bytes. Default: 4 MiB.
    pub bytes: Size,
    /// Age. Default: five minutes.
    #[serde(with = "humantime_serde")]
    pub age: Duration,
}

impl Default for History {
    fn default() -> Self {
        Self { events: 1024, bytes: Size(4 << 20), age: Duration::from_secs(300) }
    }
}

/// How far a reader may fall behind. Whatever bound is met first.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Lag {
    /// Events. Default: 256.
    pub events: usize,
    /// Bytes. Default: 1 MiB.
    pub bytes: Size,
    /// What happens then.
    pub policy: LagPolicy,
}

impl Default for Lag {
    fn default() -> Self {
        Self { events: 256, bytes: Size(1 << 20), policy: LagPolicy::default() }
    }
}

/// What happens to a reader that has fallen too far behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LagPolicy {
    /// Its stream is ended; it comes back with its id.
    #[default]
    Resume,
}

/// What a client gets while its origin cannot be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum OnOriginError {
    /// The origin's status, or where it has given none and the client wants events, a cut
    /// connection, so that the client comes back.
    #[default]
    Pass,
}

/// Where events come from that a returning reader missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Resume {
    /// The feed's history.
    #[default]
    History,
}

/// How long the origin may take. `"0s"`: for ever.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Timeouts {
    /// To accept a connection, TLS included. Default: 5 s.
    #[serde(with = "humantime_serde")]
    pub connect: Duration,
    /// To begin its response. Default: 30 s.
    #[serde(with = "humantime_serde")]
    pub first_byte: Duration,
    /// Between two pieces of its response. Default: for ever.
    #[serde(with = "humantime_serde")]
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(30),
            idle: Duration::ZERO,
        }
    }
}

/// A part of a request that makes it a request for another feed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShareBy {
    /// The query.
    Query,
    /// A header field.
    Header(HeaderName),
    /// A cookie, by name.
    Cookie(String),
}

impl<'de> Deserialize<'de> for ShareBy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let part = match text.split_once(':') {
            None if text == "query" => Some(Self::Query),
            Some(("header", name)) => name.parse().ok().map(Self::Header),
            Some(("cookie", name)) if !name.is_empty() => Some(Self::Cookie(name.to_owned())),
            _ => None,
        };
        part.ok_or_else(|| {
            let problem =
                format!("expected \"query\", \"header:NAME\" or \"cookie:NAME\", found {text:?}");
            serde::de::Error::custom(problem)
        })
    }
}

/// A profile (`"off"`, `"safe"`, `"legacy"`) or a list of repairs by name.
fn repairs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Repairs, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "expected \"off\", \"safe\", \"legacy\" or a list of repairs by name"
    )]
    enum Form {
        One(String),
        List(Vec<String>),
    }
    let names = match Form::deserialize(deserializer)? {
        Form::One(name) => vec![name],
        Form::List(names) => names,
    };
    names.iter().try_fold(Repairs::NONE, |all, name| {
        let one: Repairs = name.parse().map_err(serde::de::Error::custom)?;
        Ok(all | one)
    })
}
