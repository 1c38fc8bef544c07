//! [`Reader`]: one downstream response's place in its feeds.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use super::cursor::Cursor;
use super::entry::Entry;
use super::log::lock;
use super::signal::Signal;
use super::status::Status;
use super::{Feed, Shared};

/// The most events that are handed out at once: enough for one write to be worth it, few enough
/// to stay fair to other readers.
const BATCH: usize = 64;

/// How far a reader may fall behind its feed before it is given up. Whatever bound is met first.
///
/// History that a reader asked for when it subscribed does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lag {
    /// The greatest number of events. Default: 256.
    pub events: usize,
    /// The greatest sum of frame sizes, in bytes. Default: 1 MiB. A single larger event is fine.
    pub bytes: u64,
}

impl Default for Lag {
    fn default() -> Self {
        Self { events: 256, bytes: 1 << 20 }
    }
}

impl Lag {
    /// Sets the greatest number of events.
    #[must_use]
    pub fn events(mut self, events: usize) -> Self {
        self.events = events;
        self
    }

    /// Sets the greatest sum of frame sizes, in bytes.
    #[must_use]
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }
}

/// Where in a feed a reader begins.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Start<'a> {
    /// With the next event.
    Live,
    /// After this position in the log.
    After(Cursor),
    /// After the event with this id: the source's own, or a cursor as text.
    Id(&'a [u8]),
}

/// Something that a reader is due.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Item {
    /// An event. Those of one reader come in log order.
    Event {
        /// Which feed, as [`Reader::subscribe`] numbered it.
        feed: usize,
        /// The event.
        entry: Arc<Entry>,
    },
    /// Events that the reader asked for no longer exist. Comes before all events of the feed.
    Gap {
        /// Which feed.
        feed: usize,
    },
    /// The feed's source has changed its state. Comes after the events from before the change.
    Status {
        /// Which feed.
        feed: usize,
        /// Its state.
        status: Status,
    },
}

/// The reader fell too far behind. It has had everything up to some event, and nothing after; it
/// can come back with that event's id.
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

/// One downstream response: a place in each of one or several feeds of one log.
///
/// It holds positions and no queue, so that a reader which does not read costs no memory. When it
/// is dropped, its feeds know it at once.
#[derive(Debug)]
pub struct Reader {
    taps: Vec<Tap>,
    lag: Lag,
    signal: Arc<Signal>,
}

/// A reader's place in one feed.
#[derive(Debug)]
struct Tap {
    feed: Feed,
    key: usize,
    /// The reader has got everything up to this number.
    after: u64,
    /// What was in history when the reader came: no lag up to here.
    caught_up: u64,
    gap: bool,
    status_seen: u64,
}

impl Reader {
    /// A reader of no feed yet.
    #[must_use]
    pub fn new(lag: Lag) -> Self {
        Self { taps: Vec::new(), lag, signal: Arc::default() }
    }

    /// Begins to read a feed, and returns the feed's number with this reader: 0 for the first, and
    /// so on.
    ///
    /// If events after `start` are known to be gone, or nothing is known of `start`, the reader is
    /// told by [`Item::Gap`]. It then gets what is still there after `start`, or begins live where
    /// that cannot be told.
    ///
    /// All feeds of a reader must belong to one log; otherwise the order of events is undefined.
    pub fn subscribe(&mut self, feed: &Feed, start: Start<'_>) -> usize {
        let key = feed.join(Arc::clone(&self.signal));
        let newest = feed.0.log.visible();
        let mut state = lock(&feed.0.state);
        state.history.expire();
        let floor = state.history.floor();
        let found = match start {
            Start::Live => Place { after: newest, gap: false },
            Start::After(cursor) => place(feed, cursor, floor, newest),
            Start::Id(id) => match state.history.seq_of(id) {
                Some(seq) => Place { after: seq, gap: false },
                None => match std::str::from_utf8(id).ok().and_then(|id| id.parse().ok()) {
                    Some(cursor) => place(feed, cursor, floor, newest),
                    None => Place { after: newest, gap: true },
                },
            },
        };
        drop(state);
        self.taps.push(Tap {
            feed: feed.clone(),
            key,
            after: found.after,
            caught_up: newest,
            gap: found.gap,
            status_seen: 0,
        });
        self.taps.len() - 1
    }

    /// Waits until something is due, and appends it to `items`: at least one item, at most a
    /// bounded batch.
    ///
    /// Cancel safe: nothing is lost when the future is dropped.
    ///
    /// # Errors
    ///
    /// [`Lagged`] if the reader has fallen too far behind. Nothing after that is handed out.
    pub async fn next(&mut self, items: &mut Vec<Item>) -> Result<(), Lagged> {
        poll_fn(|cx| self.poll_next(cx, items)).await
    }

    /// The poll form of [`next`](Self::next).
    ///
    /// # Errors
    ///
    /// As for [`next`](Self::next).
    pub fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        items: &mut Vec<Item>,
    ) -> Poll<Result<(), Lagged>> {
        self.signal.register(cx.waker());
        if let Some(lagged) = self.lagging() {
            return Poll::Ready(Err(lagged));
        }
        let before = items.len();
        self.collect(items);
        if items.len() == before { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    /// Waits until the reader has fallen too far behind, for whoever is busy writing what it got
    /// before.
    pub async fn lagged(&mut self) -> Lagged {
        poll_fn(|cx| {
            self.signal.register(cx.waker());
            self.lagging().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    fn lagging(&self) -> Option<Lagged> {
        let feed = self.taps.iter().position(|tap| tap.is_lagging(self.lag))?;
        Some(Lagged { feed })
    }

    fn collect(&mut self, items: &mut Vec<Item>) {
        let begin = items.len();
        for (feed, tap) in self.taps.iter_mut().enumerate() {
            if std::mem::take(&mut tap.gap) {
                items.push(Item::Gap { feed });
            }
        }
        // Read before the feeds are: whatever has a number up to this one is in its feed.
        let Some(visible) = self.taps.first().map(|tap| tap.feed.0.log.visible()) else { return };
        let events = items.len();
        for (feed, tap) in self.taps.iter().enumerate() {
            if tap.shared().newest.load(Ordering::Relaxed) > tap.after {
                let state = lock(&tap.shared().state);
                let due = state.history.after(tap.after).take_while(|e| e.seq <= visible);
                items.extend(
                    due.take(BATCH).map(|entry| Item::Event { feed, entry: Arc::clone(entry) }),
                );
            }
        }
        if self.taps.len() > 1 {
            items.get_mut(events..).unwrap_or_default().sort_by_key(Item::seq);
        }
        items.truncate(events + BATCH);
        for item in items.get(events..).unwrap_or_default() {
            if let Item::Event { feed, entry } = item
                && let Some(tap) = self.taps.get_mut(*feed)
            {
                tap.after = entry.seq;
            }
        }
        // A change of state is told when the events before it have been.
        if items.len() < begin + BATCH {
            for (feed, tap) in self.taps.iter_mut().enumerate() {
                if let Some(status) = tap.new_status() {
                    items.push(Item::Status { feed, status });
                }
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        for tap in &self.taps {
            tap.feed.leave(tap.key);
        }
    }
}

impl Item {
    fn seq(&self) -> u64 {
        match self {
            Self::Event { entry, .. } => entry.seq,
            Self::Gap { .. } | Self::Status { .. } => 0,
        }
    }
}

impl Tap {
    fn shared(&self) -> &Shared {
        &self.feed.0
    }

    fn is_lagging(&self, lag: Lag) -> bool {
        // Numbers are shared with other feeds, so this is only ever too careful.
        let from = self.after.max(self.caught_up);
        let newest = self.shared().newest.load(Ordering::Relaxed);
        if newest <= self.after {
            return false;
        }
        let state = lock(&self.shared().state);
        if state.history.floor() > self.after {
            return true;
        }
        let (events, bytes) = state.history.behind(from);
        events > lag.events || (bytes > lag.bytes && events > 1)
    }

    fn new_status(&mut self) -> Option<Status> {
        let version = self.shared().status_version.load(Ordering::Acquire);
        if version == self.status_seen {
            return None;
        }
        let status = {
            let state = lock(&self.shared().state);
            let told_everything = state.history.after(self.after).len() == 0;
            told_everything.then(|| state.status.clone())?
        };
        self.status_seen = version;
        Some(status)
    }
}

struct Place {
    after: u64,
    gap: bool,
}

/// The place of a cursor in a feed whose history reaches back to `floor`.
fn place(feed: &Feed, cursor: Cursor, floor: u64, newest: u64) -> Place {
    if cursor.epoch != feed.0.log.epoch() || cursor.seq > newest {
        Place { after: newest, gap: true }
    } else {
        Place { after: cursor.seq.max(floor), gap: cursor.seq < floor }
    }
}
