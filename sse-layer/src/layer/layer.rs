use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tower_layer::Layer;

use super::SseService;
use crate::jitter::jitter;
use crate::{Event, KeepAlive};

/// Layer that applies [`SseService`], which makes responses of type `text/event-stream` arrive
/// as they should.
///
/// See the [module docs](crate::layer) for an example.
#[derive(Clone, Debug)]
#[must_use]
pub struct SseLayer {
    keep_alive: KeepAlive,
    retry: Option<Duration>,
}

/// How much of the reconnection time is left to chance. Clients that were cut off together come
/// back spread over two thirds of it.
const RETRY_JITTER: f64 = 0.33;

impl SseLayer {
    /// [`KeepAlive::new`], and a reconnection time of 3 seconds.
    pub const fn new() -> Self {
        Self { keep_alive: KeepAlive::new(), retry: Some(Duration::from_secs(3)) }
    }

    /// Sets what is sent in silence. Unless that is nothing, streams need a tokio runtime with
    /// timers, and panic without one.
    pub fn keep_alive(mut self, keep_alive: KeepAlive) -> Self {
        self.keep_alive = keep_alive;
        self
    }

    /// Sets how long a client waits before it reconnects. Each response says up to 33 % more or
    /// less, in whole milliseconds, so that clients that were cut off together do not come back
    /// together.
    ///
    /// Chromium takes zero at its word and reconnects without any pause.
    pub const fn retry(mut self, retry: Duration) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Sends no reconnection time. Browsers then wait 3 (Chromium) or 5 seconds (Firefox).
    pub const fn no_retry(mut self) -> Self {
        self.retry = None;
        self
    }

    /// What is sent in the silence of a stream.
    pub(super) const fn comments(&self) -> &KeepAlive {
        &self.keep_alive
    }

    /// The first bytes of a stream. They are a block of their own, for the many clients that
    /// look for `data` at the start of a block only.
    pub(super) fn opening(&self) -> Bytes {
        let retry = self.retry.map(|retry| Event::new().retry(jitter(retry, RETRY_JITTER)));
        let mut bytes = BytesMut::with_capacity(32);
        bytes.put_slice(b":\n");
        retry.unwrap_or_default().encode(&mut bytes);
        bytes.freeze()
    }
}

impl Default for SseLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for SseLayer {
    type Service = SseService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SseService::new(inner, self.clone())
    }
}
