use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tower_layer::Layer;

use super::SseService;
use super::ending::Ending;
use super::reading::Reading;
#[cfg(feature = "compress")]
use crate::compress::Compression;
use crate::convert::{Convert, Converter};
use crate::jitter::{RETRY_JITTER, jitter};
use crate::observe::{Observe, Observer};
use crate::{Drain, Event, Framer, KeepAlive, Repairs};

/// Layer that applies [`SseService`], which makes responses of type `text/event-stream` arrive
/// as they should.
///
/// See the [module docs](crate::layer) for an example.
#[derive(Clone, Debug)]
#[must_use]
pub struct SseLayer {
    keep_alive: KeepAlive,
    retry: Option<Duration>,
    drain: Option<Drain>,
    max_lifetime: Option<Duration>,
    farewell: Option<Event>,
    /// Shared by all clones.
    permits: Option<Arc<Semaphore>>,
    observers: Vec<Box<dyn Observer>>,
    repairs: Repairs,
    conversions: Vec<Convert>,
    #[cfg(feature = "compress")]
    compression: Option<Compression>,
}

/// What clients are told to wait, where they must be told something and no time is set.
const DEFAULT_RETRY: Duration = Duration::from_secs(3);

/// A longer lifetime is none, and so its end is always a point in time.
const MAX_LIFETIME: Duration = Duration::from_secs(365 * 86_400);

impl SseLayer {
    /// [`KeepAlive::new`], a reconnection time of 3 seconds, and all else off.
    pub const fn new() -> Self {
        Self {
            keep_alive: KeepAlive::new(),
            retry: Some(DEFAULT_RETRY),
            drain: None,
            max_lifetime: None,
            farewell: None,
            permits: None,
            observers: Vec::new(),
            repairs: Repairs::NONE,
            conversions: Vec::new(),
            #[cfg(feature = "compress")]
            compression: None,
        }
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

    /// Ends the streams when `drain` says so: each between two events, with a last `retry:` and
    /// the [farewell](Self::farewell). See there for an example.
    ///
    /// A body that is in the middle of an event when its turn comes has until the end of the
    /// window to complete it; after that it ends as it stands, with a `retry:` if the last line
    /// is complete, and clients drop the half event. A body with a content coding ends in its
    /// turn, with nothing added.
    pub fn drain(mut self, drain: Drain) -> Self {
        self.drain = Some(drain);
        self
    }

    /// Ends each stream when it is so old, or up to 20 % earlier, so that what was opened
    /// together ends apart; in the same way as a [drain](Self::drain) does. Clients come back
    /// after the reconnection time, and may reach another server, or be asked again who they are.
    ///
    /// Off by default. More than a year is taken as a year.
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_lifetime = Some(lifetime.min(MAX_LIFETIME));
        self
    }

    /// Sets a last event for streams that the layer ends: by a drain, or at the end of their
    /// lifetime.
    pub fn farewell(mut self, last: Event) -> Self {
        self.farewell = Some(last);
        self
    }

    /// Lets at most `streams` be open at a time, in all services made with this layer and its
    /// clones. More are answered with status 503 and `Retry-After`; their bodies are dropped.
    ///
    /// A stream counts until the server has dropped its body. Layers that limit how many requests
    /// are served, such as tower's `ConcurrencyLimitLayer`, count until there is a response, which
    /// for a stream is when it begins.
    ///
    /// Browsers' `EventSource` takes any status but 200 as the end, and does not come back by
    /// itself. Whether a response is a stream shows when the handler has answered, so the handler
    /// is called even if its stream is refused.
    pub fn max_streams(mut self, streams: usize) -> Self {
        self.permits = Some(Arc::new(Semaphore::new(streams.min(Semaphore::MAX_PERMITS))));
        self
    }

    /// Tells `observer` what happens to streams. Several can be added.
    pub fn observe<O>(mut self, observer: O) -> Self
    where
        O: Observe + Clone + Send + Sync + 'static,
    {
        self.observers.push(Box::new(observer));
        self
    }

    /// Makes `repairs` to bodies that were written as event streams by hand, or by another
    /// server. None by default; those that concern no bytes have no effect here.
    ///
    /// With repairs, bodies are read block by block: only whole ones are sent, and one that is
    /// longer than [`Framer::DEFAULT_LIMIT`] ends the stream, with a comment that says so.
    pub const fn repair(mut self, repairs: Repairs) -> Self {
        self.repairs = repairs;
        self
    }

    /// Makes responses of another `format` event streams, each complete record an event. Several
    /// can be added; none by default.
    ///
    /// A record that is longer than [`Converter::DEFAULT_LIMIT`] ends the stream, with a comment
    /// that says so. Responses with a content coding pass untouched.
    ///
    /// With [`Convert::Ndjson`], lines of JSON that come under the name of an event stream are
    /// converted too. So event streams are then read block by block, as for [`repair`](Self::repair).
    pub fn convert(mut self, format: Convert) -> Self {
        self.conversions.push(format);
        self
    }

    /// Compresses streams for clients that accept it, each event for itself; off by default, and
    /// why is said [there](crate::compress). Comments in silence are compressed too. A handler that
    /// names a `Content-Encoding`, if only `identity`, is left alone.
    #[cfg(feature = "compress")]
    pub const fn compress(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }

    /// What is sent in the silence of a stream.
    pub(super) const fn comments(&self) -> &KeepAlive {
        &self.keep_alive
    }

    /// The first bytes of a stream. They are a block of their own, for the many clients that
    /// look for `data` at the start of a block only.
    pub(super) fn opening(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(32);
        bytes.put_slice(b":\n");
        self.retry_event().unwrap_or_default().encode(&mut bytes);
        bytes.freeze()
    }

    /// The last bytes of a stream that the layer ends between two blocks.
    pub(super) fn last_frames(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        for event in self.retry_event().iter().chain(&self.farewell) {
            event.encode(&mut bytes);
        }
        bytes.freeze()
    }

    /// The last bytes of a stream that the layer ends within a block: a line takes effect by
    /// itself, and the block must not be completed.
    pub(super) fn retry_line(&self) -> Bytes {
        let mut bytes = self.retry_event().map(|event| event.to_bytes()).unwrap_or_default();
        bytes.truncate(bytes.len().saturating_sub(1));
        bytes
    }

    /// When a stream that begins now must end.
    pub(super) fn ending(&self) -> Ending {
        Ending::new(self.drain.as_ref().map(Drain::join), self.max_lifetime)
    }

    /// How the body of an event stream is read.
    pub(super) fn reading(&self) -> Reading {
        let framer = Framer::new().with_repairs(self.repairs);
        if self.conversions.contains(&Convert::Ndjson) {
            Reading::converted(Converter::within_event_stream(framer))
        } else if self.repairs.is_empty() {
            Reading::as_is()
        } else {
            Reading::mended(framer)
        }
    }

    /// What a response with these headers, which is no event stream, is to be converted from.
    pub(super) fn conversion(&self, headers: &HeaderMap) -> Option<Convert> {
        let mut formats = self.conversions.iter().copied();
        formats.find(|format| format.is_named_by(headers))
    }

    /// How streams are compressed, if they are.
    #[cfg(feature = "compress")]
    pub(super) const fn compression(&self) -> Option<Compression> {
        self.compression
    }

    /// A place among the streams, if they are counted.
    pub(super) fn admit(&self) -> Result<Option<OwnedSemaphorePermit>, TryAcquireError> {
        self.permits.clone().map(Semaphore::try_acquire_owned).transpose()
    }

    /// When one that was not admitted may try again: whole seconds, at least one.
    pub(super) fn retry_after_secs(&self) -> u64 {
        let retry = jitter(self.retry.unwrap_or(DEFAULT_RETRY), RETRY_JITTER);
        retry.as_secs().saturating_add(u64::from(retry.subsec_nanos() > 0)).max(1)
    }

    /// The observers of a stream that begins.
    pub(super) fn observers(&self) -> Vec<Box<dyn Observer>> {
        self.observers.clone()
    }

    fn retry_event(&self) -> Option<Event> {
        self.retry.map(|retry| Event::new().retry(jitter(retry, RETRY_JITTER)))
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
