//! The newest part of a feed, kept for readers who come back.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::Lag;
use super::entry::{Entry, Sums};
use crate::{Field, Frame};

/// How much of a feed is kept: whatever bound is met first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryLimits {
    /// The greatest number of events. Default: 1024.
    pub events: usize,
    /// The greatest sum of frame sizes, in bytes. Default: 4 MiB. The newest event is kept
    /// whatever its size.
    pub bytes: usize,
    /// The age beyond which nobody is given an event any more. Default: five minutes. What is
    /// too old is dropped when the next event is published or the next reader comes; until then a
    /// feed that rests keeps its memory.
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

/// How many of the newest entries are looked at one by one.
const NEAR: usize = 8;

/// A ring of entries in log order.
#[derive(Debug)]
pub(super) struct History {
    entries: VecDeque<Arc<Entry>>,
    limits: HistoryLimits,
    /// Sum of the frame sizes in `entries`.
    bytes: usize,
    /// Everything of this feed up to this number is gone; everything after it is in `entries`.
    floor: u64,
    /// Whether the event with that number brought an id.
    floor_has_id: bool,
    /// All that was ever appended.
    total: Sums,
    /// The number of the newest entry of each key.
    newest_of: HashMap<Bytes, u64>,
    /// The number of the last entry that was dropped while nothing newer stood for it.
    lost: u64,
    /// The name of the next entry, for readers who have all there is.
    next_name: Option<Arc<OnceLock<Bytes>>>,
    /// The number that it began after, and the id of the event before: the source was asked to go
    /// on from there. Empty if there is none.
    begin: (u64, Bytes),
}

/// A place in a feed: after the event with number `seq`, with which the feed has had `events`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) seq: u64,
    pub(super) events: u64,
}

impl History {
    pub(super) fn new(limits: HistoryLimits, floor: u64, last_id: Bytes) -> Self {
        Self {
            entries: VecDeque::new(),
            limits,
            bytes: 0,
            floor,
            floor_has_id: false,
            total: Sums::default(),
            newest_of: HashMap::new(),
            lost: floor,
            next_name: None,
            begin: (floor, last_id),
        }
    }

    /// Appends what `entry` builds from the sum of all sizes before it, and drops what is over
    /// the limits.
    pub(super) fn push(&mut self, entry: impl FnOnce(Sums) -> Entry) {
        let entry = entry(self.total);
        self.total.events += 1;
        self.total.bytes += entry.len() as u64;
        self.bytes += entry.len();
        if let Some(next_name) = self.next_name.take() {
            next_name.get_or_init(|| entry.name());
        }
        if let Some(key) = &entry.key {
            self.newest_of.insert(key.clone(), entry.seq);
        }
        self.entries.push_back(Arc::new(entry));
        while self.entries.len() > self.limits.events.max(1)
            || (self.bytes > self.limits.bytes && self.entries.len() > 1)
        {
            self.drop_oldest();
        }
        self.expire();
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
        let Some(entry) = self.entries.pop_front() else { return };
        self.bytes -= entry.len();
        self.floor = entry.seq;
        self.floor_has_id = entry.frame().id().is_some();
        if !self.is_superseded(&entry) {
            self.lost = entry.seq;
            if let Some(key) = &entry.key {
                self.newest_of.remove(key);
            }
        }
    }

    /// Whether a newer event stands for this one.
    pub(super) fn is_superseded(&self, entry: &Entry) -> bool {
        let newest = entry.key.as_ref().and_then(|key| self.newest_of.get(key));
        newest.is_some_and(|newest| *newest > entry.seq)
    }

    pub(super) fn floor(&self) -> u64 {
        self.floor
    }

    /// The number of the newest event, gone or not.
    pub(super) fn newest(&self) -> u64 {
        self.entries.back().map_or(self.floor, |entry| entry.seq)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    #[cfg(test)]
    pub(super) fn keys(&self) -> usize {
        self.newest_of.len()
    }

    /// The entries after number `seq`, oldest first.
    pub(super) fn after(&self, seq: u64) -> impl ExactSizeIterator<Item = &Arc<Entry>> {
        // Most readers are near the end, where it takes less to look than in the middle.
        let newest_first = self.entries.iter().rev().take(NEAR);
        let after = newest_first.take_while(|entry| entry.seq > seq).count();
        let start = if after < NEAR {
            self.entries.len() - after
        } else {
            self.entries.partition_point(|entry| entry.seq <= seq)
        };
        self.entries.range(start..)
    }

    /// Whether everything after number `seq` is still there, or has something newer that stands
    /// for it.
    pub(super) fn stands_for_all_after(&self, seq: u64) -> bool {
        self.lost <= seq
    }

    /// How many events, and how many bytes of frames, come after number `seq`.
    pub(super) fn behind(&self, seq: u64) -> (usize, u64) {
        let mut after = self.after(seq);
        let events = after.len();
        (events, after.next().map_or(0, |first| self.total.bytes - first.before.bytes))
    }

    /// The place after number `seq`, which is not before the oldest entry.
    pub(super) fn mark(&self, seq: u64) -> Mark {
        Mark { seq, events: self.total.events - self.after(seq).len() as u64 }
    }

    /// The place before the oldest entry.
    pub(super) fn oldest(&self) -> Mark {
        self.mark(self.floor)
    }

    /// The first place that is not too far behind.
    pub(super) fn within(&self, lag: &Lag) -> Mark {
        let too_many = self.entries.len().saturating_sub(lag.events.max(1));
        let total = self.total.bytes;
        let too_large = self.entries.partition_point(|e| total - e.before.bytes > lag.bytes);
        let skipped = too_many.max(too_large.min(self.entries.len().saturating_sub(1)));
        let last = skipped.checked_sub(1).and_then(|last| self.entries.get(last));
        last.map_or_else(|| self.oldest(), |last| self.mark(last.seq))
    }

    /// What the event after number `seq` is known by, as soon as there is one.
    pub(super) fn name_after(&mut self, seq: u64) -> Arc<OnceLock<Bytes>> {
        let name = self.after(seq).next().map(|entry| entry.name());
        match name {
            Some(name) => Arc::new(name.into()),
            None => Arc::clone(self.next_name.get_or_insert_default()),
        }
    }

    /// Whether nothing was ever appended.
    pub(super) fn is_new(&self) -> bool {
        self.total.events == 0
    }

    /// Where an event with an id of its own stands, which the source has sent again: its place
    /// among [`entries`](Self::entries).
    ///
    /// An id may have been given more than once: then what the event says tells which it is. If
    /// none says the same, the first of them is believed to be it; but not if it is the oldest with
    /// an id at all, as the event may then be one that is gone.
    pub(super) fn find(&self, frame: &Frame) -> Option<usize> {
        let id = frame.id().filter(|id| !id.is_empty())?;
        let of_id = |entry: &&Arc<Entry>| entry.frame().id() == Some(id);
        let same = self
            .entries
            .iter()
            .position(|entry| of_id(&entry) && says_the_same(entry.frame(), frame));
        same.or_else(|| {
            let first = self.entries.iter().position(|entry| of_id(&entry))?;
            let oldest = self.entries.iter().position(|entry| entry.frame().id().is_some())?;
            (first != oldest).then_some(first)
        })
    }

    /// Whether an event that the source has sent is one that it has sent before: the only one with
    /// this id, and what it says is the same.
    pub(super) fn has(&self, frame: &Frame) -> bool {
        let Some(id) = frame.id().filter(|id| !id.is_empty()) else { return false };
        let of_id = self.entries.iter().filter(|entry| entry.id == id);
        let mut of_id = of_id.filter(|entry| entry.frame().has_data());
        match (of_id.next(), of_id.next()) {
            (Some(entry), None) => says_the_same(entry.frame(), frame),
            _ => false,
        }
    }

    /// All entries, oldest first.
    pub(super) fn entries(&self) -> impl ExactSizeIterator<Item = &Arc<Entry>> {
        self.entries.iter()
    }

    /// The number after which a reader goes on whose last event had `id`, and whether everything
    /// after that event is still there.
    ///
    /// An id may stand for several events (those without an id of their own inherit the one
    /// before): then it is the first of the newest run that counts, as it would for a server that
    /// numbers only its checkpoints. A reader may so get an event twice, but never miss one.
    pub(super) fn seq_of(&self, id: &[u8]) -> Option<(u64, bool)> {
        let mut newest_first = self.entries.iter().rev();
        let Some(mut first) = newest_first.find(|entry| entry.id == id) else {
            let (begin, last_id) = &self.begin;
            let is_begin = last_id == id && !id.is_empty() && self.floor == *begin;
            return is_begin.then_some((*begin, true));
        };
        for entry in newest_first.take_while(|entry| entry.id == id) {
            first = entry;
        }
        if first.frame().id().is_some() || id.is_empty() {
            return Some((first.seq, true));
        }
        // The event that brought the id is gone, and it may not be the only one.
        Some((self.floor, self.floor_has_id))
    }
}

/// Whether two frames make the same event, whatever else is in them.
fn says_the_same(one: &Frame, other: &Frame) -> bool {
    let data = |frame: &Frame| -> Vec<Bytes> {
        let data = frame.fields().filter_map(|field| match field {
            Field::Data(value) => Some(Bytes::copy_from_slice(value)),
            _ => None,
        });
        data.collect()
    };
    one.event_type() == other.event_type() && data(one) == data(other)
}
