//! [`Lag`]: how far a reader may fall behind, and what becomes of it then.

use std::fmt;

use bytes::Bytes;
use serde::{Serialize, Serializer};

use super::history::History;
use crate::{Event, EventType};

/// How far a reader may fall behind its feed, and what becomes of it then. Whatever bound is met
/// first.
///
/// History that a reader asked for when it subscribed does not count, as long as it is there: a
/// place that has fallen out of the history counts as too far behind, whatever the bounds. So a
/// feed's history should be no smaller than the lag of its readers.
///
/// ```
/// use sse_layer::feed::{FeedOptions, Lag, LagPolicy, Log};
///
/// let lag = Lag::default().events(100).policy(LagPolicy::Skip);
/// let positions = Log::new().feed(FeedOptions::default().lag(lag));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lag {
    /// The greatest number of events; at least one is always allowed. Default: 256.
    pub events: usize,
    /// The greatest sum of frame sizes, in bytes. Default: 1 MiB. A single larger event is fine.
    pub bytes: u64,
    /// What becomes of a reader that is further behind. Default: [`LagPolicy::Resume`].
    pub policy: LagPolicy,
}

/// What becomes of a reader that has fallen too far behind its feed.
///
/// Whatever it is, a slow reader costs no memory of its own, and no other reader waits for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LagPolicy {
    /// Its stream ends: when it is found to be too far behind while something is being written to it
    /// ([`Reader::lagged`](super::Reader::lagged)), or when its place has fallen out of the history.
    /// It comes back with the id of the last event it has, and so gets everything
    /// that history still holds. For feeds of which every event counts.
    #[default]
    Resume,
    /// Its oldest events are passed over, just as many as bring it back within the bounds, and it
    /// is told by an event of type `lagged` ([`Missed`]). For feeds of which the newest counts.
    Skip,
    /// Of all the events that it is behind by, it gets only the newest of each key, in the order
    /// of the feed. Events without a key all stay. See [`FeedOptions::key`] and
    /// [`Feed::publish_keyed`]. For feeds of states, such as prices and positions.
    ///
    /// Where even so an event has fallen out of the history that no newer one stands for, it is
    /// told as for [`Skip`](Self::Skip); then the count is of all events that have fallen out.
    ///
    /// [`FeedOptions::key`]: super::FeedOptions::key
    /// [`Feed::publish_keyed`]: super::Feed::publish_keyed
    Conflate,
}

impl Default for Lag {
    fn default() -> Self {
        Self { events: 256, bytes: 1 << 20, policy: LagPolicy::Resume }
    }
}

impl Lag {
    /// Sets the greatest number of events.
    #[must_use]
    pub const fn events(mut self, events: usize) -> Self {
        self.events = events;
        self
    }

    /// Sets the greatest sum of frame sizes, in bytes.
    #[must_use]
    pub const fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// Sets what becomes of a reader that is further behind.
    #[must_use]
    pub const fn policy(mut self, policy: LagPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Whether a reader that has had everything up to number `seq` is too far behind.
    pub(super) fn is_exceeded(&self, history: &History, seq: u64) -> bool {
        let (events, bytes) = history.behind(seq);
        events > self.events.max(1) || (bytes > self.bytes && events > 1)
    }
}

/// The reader fell too far behind, and its policy is [`LagPolicy::Resume`]. It has had everything
/// up to some event, and nothing after; it can come back with that event's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lagged {
    /// The feed it is behind in.
    pub feed: usize,
}

impl fmt::Display for Lagged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reader is too far behind its feed")
    }
}

impl std::error::Error for Lagged {}

/// Events that a reader was too slow for and does not get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Missed {
    /// How many.
    #[serde(rename = "missed")]
    pub count: u64,
    /// The id of the first of them, as it would have stood in the client's `lastEventId`; the
    /// cursor for an event without one.
    #[serde(serialize_with = "text")]
    pub first: Bytes,
}

impl Missed {
    /// The type of the event that tells a client.
    pub(crate) const TYPE: EventType = EventType::from_static("lagged");

    /// The event that tells a client: of type `lagged`, with JSON such as
    /// `{"missed":12,"first":"17"}` for data.
    ///
    /// It has no id. The client's last event ID stays that of the last event that it got, and if
    /// it comes back with it, it gets what it missed if that is still there.
    pub fn event(&self) -> Event {
        // A number and a text can always be written as JSON.
        Event::new().event(Self::TYPE).json(self).unwrap_or_default()
    }
}

/// Ids are UTF-8 but for those of senders that err.
fn text<S: Serializer>(id: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_is_told_in_json_and_without_an_id() {
        let missed = Missed { count: 12, first: Bytes::from_static(b"a\"\xff") };
        assert_eq!(
            missed.event().to_bytes(),
            "event: lagged\ndata: {\"missed\":12,\"first\":\"a\\\"\u{fffd}\"}\n\n"
        );
    }
}
