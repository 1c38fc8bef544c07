//! [`Lag`]: how far a reader may fall behind.

use serde::Deserialize;
use sse_layer::feed;

use super::Size;

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

impl From<Lag> for feed::Lag {
    fn from(lag: Lag) -> Self {
        let policy = match lag.policy {
            LagPolicy::Resume => feed::LagPolicy::Resume,
            LagPolicy::Skip => feed::LagPolicy::Skip,
        };
        Self::default().events(lag.events).bytes(lag.bytes.0 as u64).policy(policy)
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
    /// The oldest events are dropped, and it is told by an event of type `lagged`.
    Skip,
}
