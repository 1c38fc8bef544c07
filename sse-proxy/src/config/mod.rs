//! The configuration: what an operator writes, checked whole before anything starts.
//!
//! One type per TOML table. Every key has a default but `address`, `path` and `upstream`. Unknown
//! keys are refused. Nothing here names a runtime type.

mod cors;
mod duration;
mod error;
mod health_check;
mod host;
mod lag;
mod listener;
mod path;
mod route;
mod share_by;
mod size;
mod upstream;
mod upstream_tls;

use std::fmt::Debug;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

pub use self::cors::Cors;
pub(crate) use self::duration::nonzero;
pub use self::error::ConfigError;
pub use self::health_check::HealthCheck;
pub use self::host::Host;
pub(crate) use self::host::without_port;
pub use self::lag::{Lag, LagPolicy};
pub use self::listener::{Http2, KeyPair, Listener, Tls};
pub use self::path::PathPattern;
pub use self::route::{
    Commit, Convert, History, OnOriginError, Resume, Retry, Route, Stream, Timeouts,
};
pub use self::share_by::ShareBy;
pub use self::size::Size;
pub use self::upstream::{Place, Protocol, Upstream, Upstreams};
pub use self::upstream_tls::UpstreamTls;

/// The whole configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Config {
    /// Where to listen. At least one.
    pub listener: Vec<Listener>,
    /// What to do with which request. At least one; the longest path wins.
    pub route: Vec<Route>,
    /// The multiplexing endpoint.
    pub mux: Mux,
    /// Bounds on what clients and origins may use.
    pub limits: Limits,
    /// How streams are ended before the process goes.
    pub shutdown: Shutdown,
    /// Where operators look in. Default: off.
    pub admin: Option<Admin>,
    /// What is written to standard error.
    pub log: Log,
}

/// Where operators look in: metrics, health, feeds.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Admin {
    /// Where to listen. Everybody who can connect there may see everything, and start the drain.
    #[serde(deserialize_with = "listener::address")]
    pub address: SocketAddr,
}

/// The multiplexing endpoint.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Mux {
    /// Its path. Default: `/.sse/mux`.
    pub path: String,
    /// The most feeds on one stream. Default: 256.
    pub max_feeds: usize,
    /// Whether there is a page at `/.sse/` that shows whoever looks the feeds of the streams that
    /// were opened with his own credentials, to debug with. Where pages send none, these are all
    /// streams without: for development only. Default: false; with `run --upstream`, true on a
    /// loopback address.
    pub page: bool,
}

impl Default for Mux {
    fn default() -> Self {
        Self { path: "/.sse/mux".into(), max_feeds: 256, page: false }
    }
}

/// Bounds on what clients and origins may use.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Limits {
    /// The most client connections at once. Default: `"auto"`, half of the file descriptors that
    /// the process may open, as each may need one to its origin.
    pub connections: Connections,
    /// The most streams at once from one client address. Default: 100. Loopback addresses are
    /// exempt: behind a proxy on the same machine every client seems to come from there.
    pub streams_per_ip: usize,
    /// The greatest size of a request's head. Default: 64 KiB.
    pub header_bytes: Size,
    /// The greatest size of one event of an origin. Default: 16 MiB.
    pub event_bytes: Size,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: Connections::Auto,
            streams_per_ip: 100,
            header_bytes: Size(64 << 10),
            event_bytes: Size(16 << 20),
        }
    }
}

/// How many client connections may be open at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Connections {
    /// Half of the file descriptors that the process may open.
    #[default]
    Auto,
    /// This many.
    AtMost(usize),
}

impl<'de> Deserialize<'de> for Connections {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "\"auto\" or a number of connections")]
        enum Form {
            Number(usize),
            Name(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Number(number) if number > 0 => Ok(Self::AtMost(number)),
            Form::Name(name) if name == "auto" => Ok(Self::Auto),
            Form::Number(_) | Form::Name(_) => Err(serde::de::Error::custom(
                "expected \"auto\" or a number of connections above 0",
            )),
        }
    }
}

/// How streams are ended before the process goes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Shutdown {
    /// The window over which streams are ended. Default: 30 s.
    #[serde(deserialize_with = "duration::deserialize")]
    pub drain: Duration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { drain: Duration::from_secs(30) }
    }
}

/// What is written to standard error.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Log {
    /// Default: text.
    pub format: LogFormat,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl Config {
    /// Reads and checks a configuration file. Paths in it are relative to its folder.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the file, the key, what was found and what is allowed.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|error| ConfigError::unreadable(path, &error))?;
        let mut config = Self::parse(&text, path)?;
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        for listener in &mut config.listener {
            listener.resolve(folder);
        }
        for route in &mut config.route {
            route.upstream_tls.resolve(folder);
        }
        Ok(config)
    }

    /// Checks the text of a configuration; `path` is only named in errors.
    ///
    /// # Errors
    ///
    /// As for [`load`](Self::load).
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let source =
            toml::Deserializer::parse(text).map_err(|error| ConfigError::syntax(path, &error))?;
        let config: Self = serde_path_to_error::deserialize(source)
            .map_err(|error| ConfigError::value(path, text, &error))?;
        config.check().map_err(|(key, problem)| ConfigError::rule(path, &key, problem))?;
        Ok(config)
    }

    /// What the types cannot say.
    fn check(&self) -> Result<(), (String, String)> {
        let problem = |key: &str, problem: &str| Err((key.to_owned(), problem.to_owned()));
        if self.listener.is_empty() {
            return problem("listener", "none given: add a [[listener]] with an address");
        }
        if self.route.is_empty() {
            return problem("route", "none given: add a [[route]] with a path and an upstream");
        }
        let zeros = [
            ("mux.max_feeds", self.mux.max_feeds),
            ("limits.streams_per_ip", self.limits.streams_per_ip),
            ("limits.header_bytes", self.limits.header_bytes.0),
            ("limits.event_bytes", self.limits.event_bytes.0),
        ];
        if let Some((key, _)) = zeros.iter().find(|(_, value)| *value == 0) {
            return problem(key, "must be more than zero");
        }
        if !self.mux.path.starts_with('/') {
            return problem("mux.path", "must begin with a slash");
        }
        if self.mux.path.ends_with('/') || self.mux.path.contains(['?', '#', '*', ' ']) {
            return problem("mux.path", "must be a path such as \"/.sse/mux\"");
        }
        for (at, listener) in self.listener.iter().enumerate() {
            if listener.http2.max_concurrent_streams == 0 {
                let key = format!("listener[{at}].http2.max_concurrent_streams");
                return problem(&key, "must be more than zero");
            }
        }
        for (at, route) in self.route.iter().enumerate() {
            route.check().map_err(|(key, problem)| (format!("route[{at}].{key}"), problem))?;
            let twin = self.route.iter().take(at).position(|other| other.matches_same(route));
            if let Some(twin) = twin {
                return Err((
                    format!("route[{at}].path"),
                    format!("the same path and host as route[{twin}]: only one of them can win"),
                ));
            }
        }
        Ok(())
    }
}

/// Whether two parts of a configuration differ in anything that is written in them.
pub(crate) fn differs(one: &impl Debug, other: &impl Debug) -> bool {
    format!("{one:?}") != format!("{other:?}")
}

#[cfg(test)]
mod tests;
