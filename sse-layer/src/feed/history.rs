//! The newest part of a feed, kept for readers who come back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::entry::Entry;

/// How much of a feed is kept: whatever bound is met first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryLimits {
    /// The greatest number of events. Default: 1024.
    pub events: usize,
    /// The greatest sum of frame sizes, in bytes. Default: 4 MiB. The newest event is kept
    /// whatever its size.
    pub bytes: usize,
    /// The age beyond which events are dropped. Default: five minutes.
    pub age: Duration,
}

impl Default for HistoryLimits {
    fn default() -> Self {
        Self { events: 1024, bytes: 4 << 20, age: Duration::from_secs(300) }
    }
}

impl HistoryLimits {
    /// Sets the greatest number of events.
    #[must_use]
    pub fn events(mut self, events: usize) -> Self {
        self.events = events;
        self
    }

    /// Sets the greatest sum of frame sizes, in bytes.
    #[must_use]
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// Sets the age beyond which events are dropped.
    #[must_use]
    pub fn age(mut self, age: Duration) -> Self {
        self.age = age;
        self
    }
}

/// A ring of entries in log order.
#[derive(Debug)]
pub(super) struct History {
    entries: VecDeque<Arc<Entry>>,
    limits: HistoryLimits,
    /// Sum of the frame sizes in `entries`.
    bytes: usize,
    /// Everything of this feed up to this number is gone; everything after it is in `entries`.
    floor: u64,
    /// Size of all frames ever appended: the difference of two of these tells how many bytes lie
    /// between two entries without walking over them.
    total: u64,
}

impl History {
    pub(super) fn new(limits: HistoryLimits, floor: u64) -> Self {
        Self { entries: VecDeque::new(), limits, bytes: 0, floor, total: 0 }
    }

    /// Appends what `entry` builds from the sum of all sizes before it, and drops what is over
    /// the limits.
    pub(super) fn push(&mut self, entry: impl FnOnce(u64) -> Entry) -> Arc<Entry> {
        let entry = Arc::new(entry(self.total));
        self.total += entry.len() as u64;
        self.bytes += entry.len();
        self.entries.push_back(Arc::clone(&entry));
        while self.entries.len() > self.limits.events.max(1)
            || (self.bytes > self.limits.bytes && self.entries.len() > 1)
        {
            self.drop_oldest();
        }
        self.expire();
        entry
    }

    /// Drops what is too old. The age is looked at whenever the feed is written to or joined,
    /// which spares a timer per feed.
    pub(super) fn expire(&mut self) {
        let Some(eldest) = Instant::now().checked_sub(self.limits.age) else { return };
        while self.entries.front().is_some_and(|entry| entry.at < eldest) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= entry.len();
            self.floor = entry.seq;
        }
    }

    pub(super) fn floor(&self) -> u64 {
        self.floor
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entries after number `seq`, oldest first.
    pub(super) fn after(&self, seq: u64) -> impl ExactSizeIterator<Item = &Arc<Entry>> {
        let start = self.entries.partition_point(|entry| entry.seq <= seq);
        self.entries.range(start..)
    }

    /// How many events, and how many bytes of frames, come after number `seq`.
    pub(super) fn behind(&self, seq: u64) -> (usize, u64) {
        let mut after = self.after(seq);
        let events = after.len();
        (events, after.next().map_or(0, |first| self.total - first.before))
    }

    /// The number after which a reader goes on whose last event had `id`.
    ///
    /// An id may stand for several events (those without an id of their own inherit the one
    /// before): then it is the first of the newest run that counts, as it would for a server that
    /// numbers only its checkpoints. A reader may so get an event twice, but never miss one.
    pub(super) fn seq_of(&self, id: &[u8]) -> Option<u64> {
        let mut newest_first = self.entries.iter().rev();
        let mut seq = newest_first.find(|entry| entry.id == id)?.seq;
        for entry in newest_first.take_while(|entry| entry.id == id) {
            seq = entry.seq;
        }
        Some(seq)
    }
}
