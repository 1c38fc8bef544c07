//! [`Tap`]: a reader's place in one feed.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::cursor::{Cursor, Epoch};
use super::entry::Entry;
use super::history::{History, Mark};
use super::log::lock;
use super::signal::Signal;
use super::{Feed, Item, Lag, LagPolicy, Missed, Start, State, Status};

/// A reader's place in one feed.
#[derive(Debug)]
pub(super) struct Tap {
    feed: Feed,
    key: usize,
    lag: Lag,
    /// The reader has got everything up to here.
    after: Mark,
    /// What was in history when the reader came, and what it is spared: no lag up to here.
    caught_up: u64,
    /// Up to here, the newest event of each key stands for the others.
    conflated: u64,
    /// The name of the first event after `after`, for whoever may have to be told that he missed
    /// it. By then it may be long gone.
    next_name: Option<Arc<OnceLock<Bytes>>>,
    gap: Option<Gap>,
    status_seen: u64,
}

/// Events that the reader asked for and that are gone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap {
    /// How many, if that is known.
    pub(super) missed: Option<u64>,
}

impl Tap {
    pub(super) fn new(feed: &Feed, signal: Arc<Signal>, start: Start<'_>, lag: Lag) -> Self {
        let key = feed.join(signal);
        let newest = feed.0.log.visible();
        let mut state = lock(&feed.0.state);
        // What was too old to be kept may yet be the newest there is.
        let has_newest = matches!(start, Start::Id(id) if state.is_newest(id));
        let is_closed = matches!(state.status, Status::Closed { .. });
        let history = &mut state.history;
        history.expire();
        let found = match start {
            Start::Live => Place { after: newest, gap: None },
            Start::After(cursor) => place(feed, cursor, history, newest),
            Start::Id(id) => match history.seq_of(id) {
                Some((seq, is_whole)) => {
                    Place { after: seq, gap: if is_whole { None } else { UNKNOWN } }
                }
                None => match std::str::from_utf8(id).ok().and_then(|id| id.parse().ok()) {
                    Some(cursor) => place(feed, cursor, history, newest),
                    None if has_newest => Place { after: newest, gap: None },
                    // Nothing more comes of a feed that is closed, so there is only what is left.
                    None if is_closed => Place { after: history.floor(), gap: UNKNOWN },
                    None => Place { after: newest, gap: UNKNOWN },
                },
            },
        };
        let after = history.mark(found.after);
        let tells = lag.policy != LagPolicy::Resume;
        let next_name = tells.then(|| history.name_after(found.after));
        drop(state);
        Self {
            feed: feed.clone(),
            key,
            lag,
            after,
            caught_up: newest,
            conflated: 0,
            next_name,
            gap: found.gap,
            status_seen: 0,
        }
    }

    /// Which log numbers the feed's events, and the newest number of which it says that this one
    /// and all before it are in their feeds.
    pub(super) fn log(&self) -> (Epoch, u64) {
        (self.feed.0.log.epoch(), self.feed.0.log.visible())
    }

    /// Everything up to here has been handed out.
    pub(super) fn position(&self) -> Cursor {
        Cursor { epoch: self.feed.0.log.epoch(), seq: self.after.seq }
    }

    pub(super) const fn feed(&self) -> &Feed {
        &self.feed
    }

    pub(super) const fn lag(&self) -> Lag {
        self.lag
    }

    /// Whether there is a gap to tell.
    pub(super) const fn has_gap(&self) -> bool {
        self.gap.is_some()
    }

    /// The gap that is to be told, which then is.
    pub(super) const fn take_gap(&mut self) -> Option<Gap> {
        self.gap.take()
    }

    /// Goes on with the oldest event that there is, if the place is gone.
    pub(super) fn pass_over(&mut self) {
        let state = lock(&self.feed.0.state);
        let oldest = state.history.oldest();
        if oldest.seq <= self.after.seq {
            return;
        }
        self.gap = Some(Gap { missed: Some(oldest.events - self.after.events) });
        self.after = oldest;
        // It is not to be found too far behind again at once.
        self.caught_up = state.history.newest();
    }

    /// Whether there is nothing after the place, as far as can be seen without the lock.
    fn has_all(&self) -> bool {
        self.feed.0.newest.load(Ordering::Relaxed) <= self.after.seq
    }

    /// Whether events that the reader is due are gone, so that it cannot go on.
    pub(super) fn is_lost(&self) -> bool {
        self.lag.policy == LagPolicy::Resume
            && !self.has_all()
            && lock(&self.feed.0.state).history.floor() > self.after.seq
    }

    /// Whether the reader is too far behind to be waited for.
    pub(super) fn is_lagging(&self) -> bool {
        self.lag.policy == LagPolicy::Resume
            && !self.has_all()
            && self.is_behind(&lock(&self.feed.0.state).history)
    }

    fn is_behind(&self, history: &History) -> bool {
        history.floor() > self.after.seq || self.exceeds_lag(history)
    }

    fn exceeds_lag(&self, history: &History) -> bool {
        self.lag.is_exceeded(history, self.after.seq.max(self.caught_up))
    }

    /// If the reader is too far behind, brings it back within the bounds as the policy says, and
    /// tells what it thereby misses.
    pub(super) fn give_way(&mut self) -> Option<Missed> {
        if self.lag.policy == LagPolicy::Resume || self.has_all() {
            return None;
        }
        let state = lock(&self.feed.0.state);
        let history = &state.history;
        if !self.is_behind(history) {
            return None;
        }
        let from = self.after;
        let mut is_loss = true;
        if self.lag.policy == LagPolicy::Skip {
            let exceeded = self.exceeds_lag(history);
            self.after = if exceeded { history.within(&self.lag) } else { history.oldest() };
        } else {
            self.conflated = history.newest();
            self.caught_up = self.conflated;
            if history.floor() > from.seq {
                self.after = history.oldest();
            }
            is_loss = !history.stands_for_all_after(from.seq);
        }
        let count = self.after.events - from.events;
        let first = self.next_name.as_ref().and_then(|name| name.get().cloned());
        (is_loss && count > 0).then(|| Missed { count, first: first.unwrap_or_default() })
    }

    /// Appends the next events to `items`, at most `most` and none after number `visible`. The
    /// reader has them when it is told so by [`got`](Self::got) or [`put_back`](Self::put_back).
    pub(super) fn due(&mut self, feed: usize, visible: u64, most: usize, items: &mut Vec<Item>) {
        if self.has_all() {
            return;
        }
        let mut state = lock(&self.feed.0.state);
        let history = &mut state.history;
        let begin = items.len();
        let due = history
            .after(self.after.seq)
            .take_while(|entry| entry.seq <= visible)
            .filter(|entry| entry.seq > self.conflated || !history.is_superseded(entry))
            .take(most);
        items.extend(due.map(|entry| Item::Event { feed, entry: Arc::clone(entry) }));
        if let (Some(next_name), Some(Item::Event { entry, .. })) =
            (&mut self.next_name, items.get(begin..).and_then(<[Item]>::last))
        {
            *next_name = history.name_after(entry.seq);
        }
    }

    /// The reader has got an event.
    pub(super) const fn got(&mut self, entry: &Entry) {
        self.after = Mark { seq: entry.seq, events: entry.before.events + 1 };
    }

    /// An event was due but finds no room: it is the next.
    pub(super) fn put_back(&mut self, entry: &Entry) {
        if let Some(next_name) = &mut self.next_name {
            *next_name = Arc::new(entry.name().into());
        }
    }

    /// That the feed is open, if that is news: it is told before the events.
    pub(super) fn newly_open(&mut self) -> Option<Status> {
        self.news(|state, _| matches!(state.status, Status::Open))
    }

    /// The feed's status, if it is news and the reader has all events before it.
    pub(super) fn new_status(&mut self) -> Option<Status> {
        self.news(|state, after| state.history.after(after).len() == 0)
    }

    fn news(&mut self, is_due: impl FnOnce(&State, u64) -> bool) -> Option<Status> {
        let version = self.feed.0.status_version.load(Ordering::Acquire);
        if version == self.status_seen {
            return None;
        }
        let status = {
            let state = lock(&self.feed.0.state);
            is_due(&state, self.after.seq).then(|| state.status.clone())?
        };
        self.status_seen = version;
        Some(status)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.feed.leave(self.key);
    }
}

struct Place {
    after: u64,
    gap: Option<Gap>,
}

/// A gap that nobody knows the size of.
const UNKNOWN: Option<Gap> = Some(Gap { missed: None });

/// The place of a cursor in a feed, of which the log has made everything up to `newest` visible.
fn place(feed: &Feed, cursor: Cursor, history: &History, newest: u64) -> Place {
    let floor = history.floor();
    if cursor.epoch != feed.0.log.epoch() || cursor.seq > newest {
        Place { after: newest, gap: UNKNOWN }
    } else {
        let gap = if cursor.seq < floor { UNKNOWN } else { None };
        Place { after: cursor.seq.max(floor), gap }
    }
}
