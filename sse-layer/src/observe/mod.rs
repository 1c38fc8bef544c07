//! [`Observe`]: being told what happens to streams, for logs and figures.
//!
//! ```
//! use std::time::Duration;
//! use sse_layer::SseLayer;
//! use sse_layer::observe::{Closed, Observe, Opened};
//!
//! #[derive(Clone, Default)]
//! struct Log {
//!     path: String,
//! }
//!
//! impl Observe for Log {
//!     fn open(&mut self, stream: &Opened<'_>) {
//!         self.path = stream.uri.path().to_owned();
//!     }
//!
//!     fn close(&mut self, stream: &Closed) {
//!         println!("{}: {} events, then {:?}", self.path, stream.events, stream.reason);
//!     }
//! }
//!
//! let layer = SseLayer::new().observe(Log::default());
//! ```
//!
#![cfg_attr(feature = "tracing", doc = "[`Tracing`] writes a log with the `tracing` crate.")]
#![cfg_attr(feature = "metrics", doc = "[`Metrics`] keeps figures with the `metrics` crate.")]

#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "tracing")]
mod tracing;

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, Uri, Version};

use crate::LastEventId;

#[cfg(feature = "metrics")]
pub use self::metrics::Metrics;
#[cfg(feature = "tracing")]
pub use self::tracing::Tracing;

/// Is told what happens to streams. Each method does nothing unless it is written.
///
/// The [layer](crate::SseLayer::observe) makes a clone for every stream, which is told of that
/// stream alone and so can remember what it wants to know of it. What all have in common goes
/// into an [`Arc`](std::sync::Arc).
///
/// The methods are called while a stream is served: they must not block.
pub trait Observe {
    /// A stream begins: the handler has answered, and nothing is sent yet.
    fn open(&mut self, stream: &Opened<'_>) {
        let _ = stream;
    }

    /// The first event has been handed to the server, so long after the request had come.
    fn first_event(&mut self, after: Duration) {
        let _ = after;
    }

    /// The handler's next bytes have been handed to the server: `bytes` of them, and with them
    /// the ends of `events` events. Comments and other blocks without data are no events.
    fn sent(&mut self, events: u64, bytes: u64) {
        let _ = (events, bytes);
    }

    /// The client has been told that events which it asked for no longer exist: they have left
    /// the history of the [feed](crate::feed) that it reads.
    ///
    /// Told, like [`lag`](Self::lag), of responses that are made of a
    /// [`FeedStream`](crate::feed::FeedStream) or are a [`MuxService`](crate::mux::MuxService)'s.
    fn gap(&mut self) {}

    /// The client was too slow for its [feed](crate::feed), and has been passed over for `missed`
    /// events. With [`LagPolicy::Resume`](crate::feed::LagPolicy::Resume) it has missed none: the
    /// stream ends, as [`Lagged`](CloseReason::Lagged), and the client comes back for them.
    fn lag(&mut self, missed: u64) {
        let _ = missed;
    }

    /// A comment has been sent, since the handler was silent.
    fn keep_alive(&mut self) {}

    /// The stream is over. The last call to this clone.
    fn close(&mut self, stream: &Closed) {
        let _ = stream;
    }

    /// A stream was refused, since there were [as many as may be](crate::SseLayer::max_streams).
    /// The only call to this clone.
    fn refused(&mut self, stream: &Opened<'_>) {
        let _ = stream;
    }
}

/// A stream that begins.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Opened<'a> {
    /// What was asked for.
    pub uri: &'a Uri,
    /// The version of HTTP it was asked with.
    pub version: Version,
    /// Where the client stopped reading, if it comes back.
    pub last_event_id: Option<&'a LastEventId>,
    /// The headers of the response, as they are sent.
    pub headers: &'a HeaderMap,
}

/// A stream that is over.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Closed {
    /// Why.
    pub reason: CloseReason,
    /// How long it was open.
    pub open_for: Duration,
    /// The time from the request to the first event, if there was one.
    pub first_event_after: Option<Duration>,
    /// How many events were sent. None is counted in a body that came with a content coding.
    pub events: u64,
    /// How many bytes were sent, the layer's own included; before compression by the layer.
    pub bytes: u64,
    /// How many comments were sent in silence.
    pub keep_alives: u64,
}

/// Why a stream is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The handler ended it. So does an [`EventStream`](crate::EventStream) whose stream fails.
    Ended,
    /// The server dropped it: the client left, or a layer outside gave up.
    ClientLeft,
    /// It was too slow for its feed, and comes back for the rest. See [`Observe::lag`].
    Lagged,
    /// A [`Drain`](crate::Drain) ended it.
    Drained,
    /// It had lasted for as long [as it may](crate::SseLayer::max_lifetime).
    LifetimeOver,
    /// The handler's body failed or panicked, or sent a block or record that is too long.
    Failed,
}

impl CloseReason {
    /// Its name in logs and figures: `ended`, `client_left`, `lagged`, `drained`, `lifetime_over`,
    /// `failed`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::ClientLeft => "client_left",
            Self::Lagged => "lagged",
            Self::Drained => "drained",
            Self::LifetimeOver => "lifetime_over",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An [`Observe`] that can be kept in the layer, whatever its type.
pub(crate) trait Observer: Observe + Send + Sync {
    fn for_stream(&self) -> Box<dyn Observer>;
}

impl<O: Observe + Clone + Send + Sync + 'static> Observer for O {
    fn for_stream(&self) -> Box<dyn Observer> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Observer> {
    fn clone(&self) -> Self {
        (**self).for_stream()
    }
}

impl fmt::Debug for dyn Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observe")
    }
}
