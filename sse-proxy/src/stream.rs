//! What all streams to clients have in common: how they end, and what is written when nothing else is.

use std::time::Duration;

/// A comment and a blank line: a frame without an event.
pub(crate) const KEEP_ALIVE: &[u8] = b":\n\n";

/// How far a reconnection time may be off the configured one, so that clients do not come back
/// together.
const RETRY_JITTER: f64 = 0.33;

/// The reconnection time of clients that are sent away for a restart.
pub(crate) const DRAIN_RETRY: Duration = Duration::from_secs(3);

/// Why a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The client went away.
    Left,
    /// The client read too slowly. It comes back with the id of the last event it has.
    Lagged,
    /// The process is going.
    Drained,
    /// The origin ended the stream.
    OriginEnded,
    /// The origin broke off.
    OriginFailed,
}

impl End {
    /// Its name in logs and metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Lagged => "lagged",
            Self::Drained => "drained",
            Self::OriginEnded => "origin_ended",
            Self::OriginFailed => "origin_failed",
        }
    }
}

/// `time` give or take a third, drawn anew at each call.
pub(crate) fn jitter(time: Duration) -> Duration {
    time.mul_f64(1.0 - RETRY_JITTER + 2.0 * RETRY_JITTER * fastrand::f64())
}
