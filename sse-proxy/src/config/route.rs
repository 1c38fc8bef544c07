//! A path of ours, and how requests to it are served.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use sse_layer::Repairs;

use super::{
    Cors, HealthCheck, Host, Lag, PathPattern, Protocol, ShareBy, Size, UpstreamTls, Upstreams,
};

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
    /// The origin, or several.
    pub upstream: Upstreams,
    /// Whom to believe that they are the origin, where it is `https:`.
    #[serde(default)]
    pub upstream_tls: UpstreamTls,
    /// How it is found out which of several origins are well. Default: only by connecting.
    #[serde(default)]
    pub health_check: Option<HealthCheck>,
    /// Who shares an origin stream.
    #[serde(default)]
    pub stream: Stream,
    /// What is mended. Default: `"safe"`.
    #[serde(default = "safe", deserialize_with = "repairs")]
    pub repair: Repairs,
    /// What is made a stream of events. Default: nothing.
    #[serde(default)]
    pub convert: Convert,
    /// When the head of the answer to a POST is sent.
    #[serde(default)]
    pub commit: Commit,
    /// Whether the route may be named in a mux request. Default: true.
    #[serde(default = "yes")]
    pub mux: bool,
    /// The silence after which a comment is sent. Default: 15 s. `"0s"`: never.
    #[serde(default = "fifteen_seconds", deserialize_with = "super::duration::deserialize")]
    pub keep_alive: Duration,
    /// Whose reconnection time clients get.
    #[serde(default)]
    pub retry: Retry,
    /// What is kept of a shared feed for readers who come back.
    #[serde(default)]
    pub history: History,
    /// How long origin stream and history are kept after the last reader left. Default: 30 s.
    #[serde(default = "thirty_seconds", deserialize_with = "super::duration::deserialize")]
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
    /// Which other sites' pages may use the route. Default: what its origin says, and none in a mux
    /// request.
    #[serde(default)]
    pub cors: Option<Cors>,
    /// The most requests under way to the origin at once, each of which is a connection of HTTP/1
    /// or a stream of HTTP/2. Default: 10000.
    #[serde(default = "ten_thousand")]
    pub max_connections: usize,
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
    pub fn new(path: PathPattern, upstream: impl Into<Upstreams>) -> Self {
        Self {
            path,
            host: None,
            upstream: upstream.into(),
            upstream_tls: UpstreamTls::default(),
            health_check: None,
            stream: Stream::default(),
            repair: safe(),
            convert: Convert::default(),
            commit: Commit::default(),
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
            cors: None,
            max_connections: ten_thousand(),
        }
    }

    /// What it is called in logs and metrics: its path, with its host if it has one.
    #[must_use]
    pub fn name(&self) -> String {
        let host = self.host.as_ref().map(ToString::to_string).unwrap_or_default();
        format!("{host}{}", self.path)
    }

    /// What the types cannot say: the key, and the problem.
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        let speaks_tls = self.upstream.iter().any(|one| one.protocol == Protocol::Https);
        if !speaks_tls && self.upstream_tls != UpstreamTls::default() {
            let problem = format!("means nothing to {}: write https://", self.upstream);
            return Err(("upstream_tls".to_owned(), problem));
        }
        let zeros = [
            ("history.age", self.history.age.is_zero()),
            ("max_feeds", self.max_feeds == 0),
            ("max_connections", self.max_connections == 0),
        ];
        if let Some((key, _)) = zeros.iter().find(|(_, is_zero)| *is_zero) {
            return Err(((*key).to_owned(), "must be more than zero".to_owned()));
        }
        let named =
            |table: &str, (key, problem): (&str, String)| (format!("{table}.{key}"), problem);
        self.upstream_tls.check().map_err(|wrong| named("upstream_tls", wrong))?;
        let cors = self.cors.as_ref().map_or(Ok(()), Cors::check);
        cors.map_err(|problem| ("cors".to_owned(), problem.to_owned()))?;
        let health = self.health_check.as_ref().map_or(Ok(()), HealthCheck::check);
        health.map_err(|wrong| named("health_check", wrong))
    }

    /// Whether both routes are for the very same requests.
    pub(super) fn matches_same(&self, other: &Self) -> bool {
        self.path == other.path && self.host == other.host
    }
}

impl fmt::Display for Route {
    /// In one line, what the route does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { upstream, stream, repair, .. } = self;
        write!(f, "{} -> {upstream} ({stream:?}, repairs: {repair})", self.name())
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

/// What is made a stream of events, record by record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Convert {
    /// Nothing.
    #[default]
    None,
    /// JSON texts, one on each line.
    Ndjson,
    /// JSON text sequences (RFC 7464).
    JsonSeq,
    /// Lines of plain text.
    Lines,
}

impl Convert {
    /// The format, if there is something to convert.
    #[must_use]
    pub const fn format(self) -> Option<sse_layer::convert::Convert> {
        match self {
            Self::None => None,
            Self::Ndjson => Some(sse_layer::convert::Convert::Ndjson),
            Self::JsonSeq => Some(sse_layer::convert::Convert::JsonSeq),
            Self::Lines => Some(sse_layer::convert::Convert::Lines),
        }
    }
}

/// When the head of the answer to a POST is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Commit {
    /// When the origin's has come: its status and fields are the client's.
    #[default]
    Late,
    /// At once: 200, a stream of events, with comments while the origin thinks. What goes wrong
    /// is an event of type `error`, and an answer that is no stream is one event. For routes
    /// all of whose answers are streams, behind somebody who does not wait long.
    Early,
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
        super::duration::parse(&text).map(Self::Ours).ok_or_else(|| {
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
    #[serde(deserialize_with = "super::duration::deserialize")]
    pub age: Duration,
}

impl Default for History {
    fn default() -> Self {
        Self { events: 1024, bytes: Size(4 << 20), age: Duration::from_secs(300) }
    }
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
    /// 200, a reconnection time and comments, while the proxy keeps trying: for requests that take
    /// events. Faults that may pass (5xx, 408, 429, no answer at all, a stream that breaks off or
    /// ends) are never seen by the client; every other status is passed on.
    Hold,
}

/// Where events come from that a returning reader missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Resume {
    /// The feed's history.
    #[default]
    History,
    /// The same, and what it no longer has, from the origin: it is asked to go on after the
    /// reader's last event, in a request of the reader's own, until that meets the history. For 16
    /// readers of the route at once, 10 seconds each, and as many bytes as the history may have;
    /// whoever cannot be caught up with so is told of the gap. A multiplexed stream sends what one
    /// of its feeds has missed before anything else.
    Origin,
}

/// How long the origin may take. `"0s"`: for ever.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Timeouts {
    /// To accept a connection, TLS included. Default: 5 s.
    #[serde(deserialize_with = "super::duration::deserialize")]
    pub connect: Duration,
    /// To begin its response. Default: 30 s.
    #[serde(deserialize_with = "super::duration::deserialize")]
    pub first_byte: Duration,
    /// Between two pieces of its response. Default: for ever.
    #[serde(deserialize_with = "super::duration::deserialize")]
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
