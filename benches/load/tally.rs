//! What clients have seen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::histogram::Times;
use super::slices::Slices;

/// What clients have seen since the last time they were asked.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Streams that are open now.
    pub open: u64,
    /// Streams opened.
    pub opened: u64,
    /// Streams that came back after they had ended.
    pub reopened: u64,
    /// Streams that ended.
    pub ended: u64,
    /// Streams refused for good: a status or content type that an `EventSource` gives up at.
    pub refused: u64,
    /// Faults by what was said of them.
    pub faults: BTreeMap<String, u64>,
    /// Events.
    pub events: u64,
    /// Those of them that slow readers took.
    pub slow_events: u64,
    /// Comments.
    pub comments: u64,
    /// Reads that brought something.
    pub reads: u64,
    /// Bytes read, as they came from the network.
    pub bytes: u64,
    /// Numbers that did not come.
    pub lost: i64,
    /// Numbers that came again.
    pub doubled: u64,
    /// Numbers that came after a later one.
    pub swapped: u64,
    /// Gaps that the server told of.
    pub gaps: u64,
    /// Numbers missing at slow readers, or after a told gap.
    pub missed: i64,
    /// From the first try to connect, to a connection that can be asked: TCP, and TLS.
    pub connect: Times,
    /// From the first try to connect to the first byte of the response.
    pub first_byte: Times,
    /// From the first try to connect to the first event.
    pub first_event: Times,
    /// From when an event was to be sent to when it had come.
    pub latency: Times,
    /// The same of each fiftieth of a second by itself.
    pub slices: Slices,
    /// When events of the one feed of all streams came to their first and last reader.
    pub spread: Spread,
    /// Processor time that was used, in nanoseconds.
    pub cpu: u64,
}

/// When each event came to the first and the last of the readers of its feed, by its number.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Spread(pub BTreeMap<u64, Arrivals>);

/// The arrivals of one event, in nanoseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Arrivals {
    /// When it was to be sent.
    pub sent: u64,
    /// When it came first.
    pub first: u64,
    /// When it came last.
    pub last: u64,
    /// How often it came.
    pub count: u64,
}

/// Events that are followed at once.
const FOLLOWED: usize = 4096;

impl Tally {
    /// Counts one more fault.
    pub fn fault(&mut self, what: impl ToString) {
        *self.faults.entry(what.to_string()).or_default() += 1;
    }

    /// Events that the source waits for.
    pub fn paced(&self) -> u64 {
        self.events - self.slow_events
    }

    /// What has been counted, which starts anew. Streams that are open stay so.
    pub fn take(&mut self) -> Self {
        let (latency, slices) = (self.latency.take(), self.slices.take());
        let current = std::mem::take(&mut self.slices);
        let fresh = Self { open: self.open, slices: current, ..Self::default() };
        Self { latency, slices, ..std::mem::replace(self, fresh) }
    }

    /// Adds what was counted afterwards.
    pub fn merge_later(&mut self, later: &Self) {
        self.open = 0;
        self.merge(later);
    }

    /// Adds what others have counted at the same time.
    pub fn merge(&mut self, other: &Self) {
        self.open += other.open;
        self.opened += other.opened;
        self.reopened += other.reopened;
        self.ended += other.ended;
        self.refused += other.refused;
        for (what, count) in &other.faults {
            *self.faults.entry(what.clone()).or_default() += count;
        }
        self.events += other.events;
        self.slow_events += other.slow_events;
        self.comments += other.comments;
        self.reads += other.reads;
        self.bytes += other.bytes;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.swapped += other.swapped;
        self.gaps += other.gaps;
        self.missed += other.missed;
        self.connect.merge(&other.connect);
        self.first_byte.merge(&other.first_byte);
        self.first_event.merge(&other.first_event);
        self.latency.merge(&other.latency);
        self.slices.merge(&other.slices);
        self.spread.merge(&other.spread);
        self.cpu += other.cpu;
    }
}

impl Spread {
    /// Takes the arrival of event `number` at one reader.
    pub fn arrived(&mut self, number: u64, sent: u64, now: u64) {
        if let Some(arrivals) = self.0.get_mut(&number) {
            arrivals.last = now;
            arrivals.count += 1;
        } else if self.0.len() < FOLLOWED {
            self.0.insert(number, Arrivals { sent, first: now, last: now, count: 1 });
        }
    }

    fn merge(&mut self, other: &Self) {
        for (number, theirs) in &other.0 {
            let ours = self.0.entry(*number).or_insert(Arrivals { count: 0, ..*theirs });
            ours.first = ours.first.min(theirs.first);
            ours.last = ours.last.max(theirs.last);
            ours.count += theirs.count;
        }
    }

    /// For events that came to `readers` readers: the time from the first to the last, and from
    /// when it was to be sent to the last.
    pub fn times(&self, readers: u64) -> (Times, Times) {
        let (mut spread, mut last) = (Times::default(), Times::default());
        for arrivals in self.0.values().filter(|it| it.count == readers) {
            spread.add(arrivals.last - arrivals.first);
            last.add(arrivals.last.saturating_sub(arrivals.sent));
        }
        (spread, last)
    }
}
