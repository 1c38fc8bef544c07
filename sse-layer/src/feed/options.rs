//! [`FeedOptions`]: what a feed keeps, and how it treats its readers.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use memchr::memchr3;

use super::{HistoryLimits, Lag, Status};
use crate::Frame;

/// What a feed keeps, and how it treats its readers.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct FeedOptions {
    /// How much is kept for readers who come back.
    pub history: HistoryLimits,
    /// When a reader of [`Feed::stream`](super::Feed::stream) or
    /// [`MuxService`](crate::mux::MuxService) counts as too far behind, and what becomes of it then.
    /// With [`LagPolicy::Resume`](super::LagPolicy::Resume) the bounds alone end no stream there: it
    /// goes on for as long as the history has what comes next for it.
    pub lag: Lag,
    /// What readers are told of the feed until the first
    /// [`Feed::set_status`](super::Feed::set_status).
    pub status: Status,
    /// Empty if there is none.
    pub(super) last_event_id: Bytes,
    pub(super) key: Option<KeyOf>,
}

type KeyFn = dyn Fn(&Frame) -> Option<Bytes> + Send + Sync;

/// Tells what an event is about.
#[derive(Clone)]
pub(super) struct KeyOf(Arc<KeyFn>);

impl FeedOptions {
    /// Sets how much is kept for readers who come back.
    #[must_use]
    pub fn history(mut self, history: HistoryLimits) -> Self {
        self.history = history;
        self
    }

    /// Sets when a reader counts as too far behind, and [what becomes of it](Self::lag) then.
    #[must_use]
    pub fn lag(mut self, lag: Lag) -> Self {
        self.lag = lag;
        self
    }

    /// Sets what readers are told of the feed at first.
    #[must_use]
    pub fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// Sets the id of the last event that the feed's first reader has had, where its source is
    /// asked to go on from there: [`Feed::last_event_id`](super::Feed::last_event_id) until the
    /// source gives another. It need not be UTF-8, as clients send back what they were sent; what
    /// no event can have for an id (with NUL, CR or LF) is taken for none.
    #[must_use]
    pub fn last_event_id(mut self, id: impl Into<Bytes>) -> Self {
        self.last_event_id = id.into();
        if memchr3(b'\0', b'\r', b'\n', &self.last_event_id).is_some() {
            self.last_event_id.clear();
        }
        self
    }

    /// Sets what tells which thing an event is about, for [`LagPolicy::Conflate`]: of several
    /// events with one key, the newest stands for all. `None` is for an event that nothing else
    /// can stand for.
    ///
    /// It runs once for each event that is published without a key of its own.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use sse_layer::feed::{FeedOptions, Lag, LagPolicy, Log};
    ///
    /// // One state per type of event.
    /// let options = FeedOptions::default()
    ///     .lag(Lag::default().policy(LagPolicy::Conflate))
    ///     .key(|frame| Some(Bytes::copy_from_slice(frame.event_type())));
    /// let states = Log::new().feed(options);
    /// ```
    ///
    /// [`LagPolicy::Conflate`]: super::LagPolicy::Conflate
    #[must_use]
    pub fn key(mut self, key_of: impl Fn(&Frame) -> Option<Bytes> + Send + Sync + 'static) -> Self {
        self.key = Some(KeyOf(Arc::new(key_of)));
        self
    }
}

impl KeyOf {
    pub(super) fn key(&self, frame: &Frame) -> Option<Bytes> {
        (self.0)(frame)
    }
}

impl fmt::Debug for KeyOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyOf")
    }
}
