//! [`Feeds`]: one origin stream for all readers of a feed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use sse_layer::feed::{Cursor, Feed, FeedOptions, HistoryLimits, Log, Reader, Start, Status};
use tokio::sync::{Notify, watch};

use crate::config::Route;
use crate::gone::Gone;
use crate::origin::Origins;
use crate::pace::{Amount, Pace};
use crate::record::{Record, Records};
use crate::request::{FeedKey, Request};
use crate::source::{Forget, Opening, Source};
use crate::turns::Turns;

/// The feeds that are being read, or were a moment ago.
#[derive(Clone)]
pub(crate) struct Feeds(Arc<Shared>);

struct Shared {
    log: Log,
    origins: Arc<Origins>,
    records: Records,
    /// The greatest size of one event.
    event_bytes: usize,
    open: Mutex<Open>,
    turns: Turns,
}

/// The feeds that can be joined.
#[derive(Default)]
struct Open {
    feeds: HashMap<FeedKey, Joined>,
    gone: Gone,
}

/// A feed, and how the opening of its origin went.
#[derive(Clone)]
pub(crate) struct Joined {
    /// The route as it was when the feed was opened.
    route: Arc<Route>,
    pub(crate) feed: Feed,
    /// Where in the log it began.
    began: Cursor,
    pub(crate) pace: Arc<Pace>,
    pub(crate) record: Arc<Record>,
    /// The feed's number with the reader that has joined it.
    pub(crate) number: usize,
    opening: watch::Receiver<Opening>,
    /// Has the origin tried again at once.
    nudge: Arc<Notify>,
}

impl Joined {
    /// How the opening of the origin went, as soon as that is known. If it failed before, it is
    /// tried again now.
    pub(crate) async fn opened(&mut self) -> Opening {
        if matches!(*self.opening.borrow(), Opening::Failed) {
            self.nudge.notify_one();
            let _ = self.opening.wait_for(|opening| !matches!(opening, Opening::Failed)).await;
        }
        self.settled().await
    }

    /// The same for who is not kept waiting longer than `patience`, and not for a failed origin
    /// to be tried again. That is done all the same.
    pub(crate) async fn opened_soon(&mut self, patience: Duration) -> Opening {
        if matches!(*self.opening.borrow(), Opening::Failed) {
            self.nudge.notify_one();
        }
        tokio::time::timeout(patience, self.settled()).await.unwrap_or(Opening::Pending)
    }

    /// Resolves when the origin has answered at last, however often it has to be asked.
    pub(crate) async fn answered(&mut self) {
        let is_answer =
            |opening: &Opening| matches!(opening, Opening::Open(_) | Opening::Refused(_));
        let _ = self.opening.wait_for(is_answer).await;
    }

    async fn settled(&mut self) -> Opening {
        // A source that is gone without a word has nothing to tell.
        let opening = self.opening.wait_for(|opening| !matches!(opening, Opening::Pending)).await;
        opening.map_or(Opening::Failed, |opening| opening.clone())
    }
}

/// The route has as many feeds as it may have.
#[derive(Debug)]
pub(crate) struct TooManyFeeds;

impl Feeds {
    pub(crate) fn new(origins: Arc<Origins>, records: Records, event_bytes: usize) -> Self {
        let open = Mutex::default();
        let (log, turns) = (Log::new(), Turns::default());
        Self(Arc::new(Shared { log, origins, records, event_bytes, open, turns }))
    }

    pub(crate) fn origins(&self) -> &Arc<Origins> {
        &self.0.origins
    }

    pub(crate) fn records(&self) -> &Records {
        &self.0.records
    }

    pub(crate) fn event_bytes(&self) -> usize {
        self.0.event_bytes
    }

    pub(crate) fn turns(&self) -> &Turns {
        &self.0.turns
    }

    pub(crate) fn log(&self) -> &Log {
        &self.0.log
    }

    /// Makes `reader` a reader of the feed that `request` is for. The first reader of a feed opens
    /// it.
    pub(crate) fn join(
        &self,
        route: &Arc<Route>,
        request: &Request,
        reader: &mut Reader,
        start: Start<'_>,
    ) -> Result<Joined, TooManyFeeds> {
        self.join_after(route, request, reader, start, b"")
    }

    /// The same, where the origin is asked to go on from its id `last` if the feed is opened now.
    pub(crate) fn join_after(
        &self,
        route: &Arc<Route>,
        request: &Request,
        reader: &mut Reader,
        start: Start<'_>,
        last: &[u8],
    ) -> Result<Joined, TooManyFeeds> {
        let key = request.feed_key(route);
        let mut open = self.lock();
        let Open { feeds, gone } = &mut *open;
        let is_full = !feeds.contains_key(&key)
            && feeds.keys().filter(|other| other.route == key.route).count() >= route.max_feeds;
        let now = self.0.log.cursor();
        // Who had all that there was up to his position has missed nothing of a feed that began
        // later, unless another was there in between.
        let has_all = match start {
            Start::After(at) => at.epoch == now.epoch && !gone.since(&key, at.seq),
            _ => false,
        };
        match feeds.entry(key) {
            // One of a route that has changed since is for its readers alone.
            Entry::Occupied(entry) if Arc::ptr_eq(&entry.get().route, route) => {
                // While the feeds are locked, so that the feed is not closed as unread just now.
                let joined = entry.get();
                let start = match start {
                    Start::After(at) if has_all && at.seq < joined.began.seq => {
                        Start::After(joined.began)
                    }
                    start => start,
                };
                let number = reader.subscribe(&joined.feed, start);
                Ok(Joined { number, ..joined.clone() })
            }
            Entry::Vacant(_) if is_full => Err(TooManyFeeds),
            entry => {
                let key = entry.key().clone();
                let start = match &entry {
                    Entry::Occupied(_) => {
                        gone.end(&key, now.seq);
                        start
                    }
                    Entry::Vacant(_) if has_all => Start::Live,
                    Entry::Vacant(_) => start,
                };
                let request = request.shared(route);
                let joined = self.open(route, request, Some(key), reader, start, last);
                Ok(entry.insert_entry(joined).get().clone())
            }
        }
    }

    /// The same as [`join`](Self::join) for a feed that is open already, with the head of its
    /// origin's answer. `None` if there is none, or no answer yet.
    pub(crate) fn join_open(
        &self,
        route: &Arc<Route>,
        request: &Request,
        reader: &mut Reader,
        start: Start<'_>,
    ) -> Option<(Joined, Arc<HeaderMap>)> {
        let key = request.feed_key(route);
        let open = self.lock();
        let joined = open.feeds.get(&key).filter(|joined| Arc::ptr_eq(&joined.route, route))?;
        let Opening::Open(headers) = &*joined.opening.borrow() else { return None };
        let number = reader.subscribe(&joined.feed, start);
        Some((Joined { number, ..joined.clone() }, Arc::clone(headers)))
    }

    /// Opens a feed that is nobody else's, and makes `reader` its only reader. The origin is asked
    /// to go on from its id `last`, if that is known.
    pub(crate) fn open_private(
        &self,
        route: &Arc<Route>,
        request: Request,
        reader: &mut Reader,
        start: Start<'_>,
        last: &[u8],
    ) -> Joined {
        self.open(route, request, None, reader, start, last)
    }

    fn open(
        &self,
        route: &Arc<Route>,
        request: Request,
        key: Option<FeedKey>,
        reader: &mut Reader,
        start: Start<'_>,
        last: &[u8],
    ) -> Joined {
        // A reader's place is in the history: it reaches at least as far back as a reader may.
        let history = HistoryLimits::default()
            .events(route.history.events.max(route.lag.events))
            .bytes(route.history.bytes.0.max(route.lag.bytes.0))
            .age(route.history.age);
        let connecting = Status::Connecting { reason: "".into(), retry: Duration::ZERO };
        let options = FeedOptions::default().history(history).status(connecting);
        // One that cannot be a field's value cannot be asked for.
        let last = HeaderValue::from_bytes(last).map_or(&b""[..], |_| last);
        let feed = self.0.log.feed(options.last_event_id(last.to_vec()));
        let began = self.0.log.cursor();
        let pace = Pace::new(Amount { events: history.events as u64, bytes: history.bytes as u64 });
        let (opened, opening) = watch::channel(Opening::Pending);
        let nudge = Arc::new(Notify::new());
        let recorded = self.0.records.open_feed(route, &request, feed.clone(), key.is_some());
        let record = Arc::clone(recorded.record());
        let linger = if key.is_some() { route.linger } else { Duration::ZERO };
        let source = Source {
            origins: Arc::clone(&self.0.origins),
            event_bytes: self.0.event_bytes,
            linger,
            forget: self.forget(key, feed.clone(), Arc::clone(&pace)),
            route: Arc::clone(route),
            request,
            feed: feed.clone(),
            pace: Arc::clone(&pace),
            recorded,
            opened,
            nudge: Arc::clone(&nudge),
        };
        // What the origin is asked to send is no gap.
        let start = if last.is_empty() { start } else { Start::Live };
        // Before the source runs, which ends when nobody reads.
        let number = reader.subscribe(&feed, start);
        tokio::spawn(source.run());
        Joined { route: Arc::clone(route), feed, began, pace, record, number, opening, nudge }
    }

    /// What takes a feed from those that can be joined: its next reader opens it anew.
    fn forget(
        &self,
        key: Option<FeedKey>,
        feed: Feed,
        pace: Arc<Pace>,
    ) -> Box<dyn Fn(Forget) -> bool + Send + Sync> {
        let Some(key) = key else { return Box::new(|_| true) };
        let feeds = self.clone();
        Box::new(move |when| {
            // While the feeds are locked, nobody joins.
            let mut open = feeds.lock();
            let is_time = when == Forget::Now || feed.readers().count() == 0;
            // Another may have come in its place.
            let is_it = |joined: &Joined| Arc::ptr_eq(&joined.pace, &pace);
            if is_time && open.feeds.get(&key).is_some_and(is_it) {
                open.feeds.remove(&key);
                open.gone.end(&key, feeds.log().cursor().seq);
            }
            is_time
        })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a reader begins that sent this as its last event's id.
pub(crate) fn start_after(last_event_id: &Bytes) -> Start<'_> {
    if last_event_id.is_empty() { Start::Live } else { Start::Id(last_event_id) }
}
