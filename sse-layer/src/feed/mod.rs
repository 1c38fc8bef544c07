//! Feeds: number events, keep them for a while, hand them to any number of readers.
//!
//! A [`Log`] numbers the events of all its [`Feed`]s in one sequence. A feed keeps the newest of
//! its events as history. A [`Reader`] has a position in each feed it reads, not a queue of its
//! own: a slow reader costs nothing but its place, and is told when its place is gone.
//!
//! ```
//! use sse_layer::Event;
//! use sse_layer::feed::{FeedOptions, Item, Lag, Log, Reader, Start};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let log = Log::new();
//! let news = log.feed(FeedOptions::default());
//! let mut reader = Reader::new(Lag::default());
//! reader.subscribe(&news, Start::Live);
//!
//! news.publish(Event::new().id(17.into()).data("hello"));
//!
//! let mut items = Vec::new();
//! reader.next(&mut items).await?;
//! // Whoever begins to read is told first how the feed's source does.
//! let [Item::Status { .. }, Item::Event { entry, .. }] = &items[..] else { panic!() };
//! assert_eq!(entry.frame().bytes(), "id: 17\ndata: hello\n\n");
//!
//! // Whoever comes back with the id of the last event he has, gets what he missed.
//! news.publish(Event::new().id(18.into()).data("again"));
//! let mut back = Reader::new(Lag::default());
//! back.subscribe(&news, Start::Id(b"17"));
//! # Ok::<(), sse_layer::feed::Lagged>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod catch_up;
mod cursor;
mod entry;
mod history;
mod item;
mod lag;
mod log;
mod notices;
mod options;
mod reader;
mod readers;
mod signal;
mod status;
mod stream;
mod tap;
#[cfg(test)]
mod tests;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use slab::Slab;
use tokio::sync::watch;

pub use self::catch_up::{CatchUp, NotMet};
pub use self::cursor::{Cursor, Epoch, InvalidCursor};
pub use self::entry::Entry;
use self::history::History;
pub use self::history::HistoryLimits;
pub use self::item::Item;
pub use self::lag::{Lag, LagPolicy, Lagged, Missed};
pub use self::log::Log;
use self::log::lock;
pub(crate) use self::notices::Notices;
pub use self::options::FeedOptions;
use self::options::KeyOf;
pub use self::reader::{Reader, Start};
pub use self::readers::Readers;
use self::signal::Signal;
pub use self::status::Status;
pub use self::stream::FeedStream;
use crate::{Frame, LastEventId};

/// One stream of events, numbered, kept for a while, read by any number of readers.
///
/// Cheap to clone; clones are the same feed.
#[derive(Clone)]
pub struct Feed(Arc<Shared>);

struct Shared {
    log: Log,
    /// For readers that have no bounds of their own.
    lag: Lag,
    key: Option<KeyOf>,
    state: Mutex<State>,
    /// Number of the newest entry, to see without the lock that there is nothing new.
    newest: AtomicU64,
    /// Counts the changes of `state.status`, likewise.
    status_version: AtomicU64,
    readers: Mutex<Slab<Arc<Signal>>>,
    /// How many readers there are, for whoever opens and closes the feed's source.
    reader_count: watch::Sender<usize>,
    has_readers: watch::Sender<bool>,
}

struct State {
    history: History,
    /// The origin's last event ID: what its next reconnection is asked to go on from.
    last_id: Bytes,
    /// The number of the event that brought it.
    last_id_seq: u64,
    /// Whether the origin ever gave an id. If not, events get their cursor for an id.
    has_ids: bool,
    /// The origin's newest reconnection time.
    retry: Option<Duration>,
    status: Status,
}

impl State {
    /// Whether this is the id of the newest event, which may be gone.
    fn is_newest(&self, id: &[u8]) -> bool {
        !id.is_empty() && self.last_id == id && self.last_id_seq == self.history.newest()
    }

    /// The oldest id of the source's own that is known: in history, or else from before.
    fn oldest_id(&self) -> Option<Bytes> {
        let own =
            |frame: &Frame| frame.id().filter(|id| !id.is_empty()).map(Bytes::copy_from_slice);
        let oldest = self.history.entries().find_map(|entry| own(entry.frame()));
        oldest.or_else(|| Some(self.last_id.clone()).filter(|id| !id.is_empty()))
    }
}

/// How many readers are woken at once.
const WAKES: usize = 64;

impl Feed {
    fn new(log: Log, options: FeedOptions, birth: u64) -> Self {
        Self(Arc::new(Shared {
            log,
            lag: options.lag,
            key: options.key,
            state: Mutex::new(State {
                history: History::new(options.history, birth, options.last_event_id.clone()),
                has_ids: !options.last_event_id.is_empty(),
                last_id: options.last_event_id,
                last_id_seq: birth,
                retry: None,
                status: options.status,
            }),
            newest: AtomicU64::new(birth),
            status_version: AtomicU64::new(1),
            readers: Mutex::new(Slab::new()),
            reader_count: watch::Sender::new(0),
            has_readers: watch::Sender::new(false),
        }))
    }

    /// Appends an event to the feed, and wakes its readers.
    ///
    /// As long as the feed has had no event with an id, its events get their cursor for an id, so
    /// that they can be resumed too. Where the source numbers its events itself, however few,
    /// nothing is added.
    ///
    /// A frame without data is kept as well if it changes something for who reads on (an id, a
    /// reconnection time); one that changes nothing (comments only) is dropped, as readers have
    /// keep-alives of their own.
    pub fn publish(&self, frame: impl Into<Frame>) {
        let frame = frame.into();
        let key = self.0.key.as_ref().and_then(|key_of| key_of.key(&frame));
        self.append(&frame, key);
    }

    /// Appends an event that is about `key`, as [`publish`](Self::publish) does: for readers with
    /// [`LagPolicy::Conflate`], it stands for the events with this key before it.
    ///
    /// ```
    /// use sse_layer::Event;
    /// use sse_layer::feed::{FeedOptions, Lag, LagPolicy, Log};
    ///
    /// let lag = Lag::default().policy(LagPolicy::Conflate);
    /// let prices = Log::new().feed(FeedOptions::default().lag(lag));
    /// prices.publish_keyed("EUR/USD", Event::new().data("1.0842"));
    /// prices.publish_keyed("EUR/USD", Event::new().data("1.0843"));
    /// ```
    pub fn publish_keyed(&self, key: impl Into<Bytes>, frame: impl Into<Frame>) {
        self.append(&frame.into(), Some(key.into()));
    }

    fn append(&self, frame: &Frame, key: Option<Bytes>) {
        let id = frame.id().map(Bytes::copy_from_slice);
        let retry = frame.retry();
        let has_data = frame.has_data();
        if !has_data && id.is_none() && retry.is_none() {
            return;
        }
        self.0.log.append(|cursor| {
            let mut state = lock(&self.0.state);
            if let Some(id) = id {
                state.has_ids |= !id.is_empty();
                state.last_id = id;
                state.last_id_seq = cursor.seq;
            }
            state.retry = retry.or(state.retry);
            let added =
                if has_data && !state.has_ids { format!("id: {cursor}\n") } else { String::new() };
            let frame = copy_with(&added, frame);
            let id = state.last_id.clone();
            state.history.push(|before| Entry::new(cursor, frame, id, key, before));
            drop(state);
            self.0.newest.store(cursor.seq, Ordering::Relaxed);
        });
        self.wake();
    }

    /// Whether the feed's history has this very event: the only one with its id, with the same type
    /// and data. An event without an id is never the same as another.
    ///
    /// A source that was asked to go on after the last event may begin with some that it has sent
    /// before. They are to be published as long as they say something new:
    ///
    /// ```
    /// use sse_layer::Event;
    /// use sse_layer::feed::{FeedOptions, Log};
    ///
    /// let news = Log::new().feed(FeedOptions::default());
    /// news.publish(Event::new().id(7.into()).data("one"));
    /// assert!(news.has(Event::new().id(7.into()).data("one")));
    /// assert!(!news.has(Event::new().id(7.into()).data("another")));
    /// ```
    #[must_use]
    pub fn has(&self, frame: impl Into<Frame>) -> bool {
        lock(&self.0.state).history.has(&frame.into())
    }

    /// The feed as a response: what came after the last event that the client has, then each
    /// event as it is published, until the feed is [closed](Self::close).
    ///
    /// A handler that lets clients come back without loss takes three lines:
    ///
    #[cfg_attr(feature = "axum", doc = "```")]
    #[cfg_attr(not(feature = "axum"), doc = "```ignore")]
    /// use axum::{Router, extract::State, response::IntoResponse, routing::get};
    /// use sse_layer::feed::{Feed, FeedOptions, Log};
    /// use sse_layer::{Event, LastEventId, SseLayer};
    ///
    /// async fn news(State(feed): State<Feed>, last: Option<LastEventId>) -> impl IntoResponse {
    ///     feed.stream(last.as_ref())
    /// }
    ///
    /// let feed = Log::new().feed(FeedOptions::default());
    /// feed.publish(Event::new().data("hello"));
    /// let app: Router =
    ///     Router::new().route("/news", get(news)).layer(SseLayer::new()).with_state(feed);
    /// ```
    pub fn stream(&self, last: Option<&LastEventId>) -> FeedStream {
        FeedStream::new(self, self.0.lag, last)
    }

    /// Ends the feed for good: its readers get the events from before, and then their streams end.
    /// Those who come back are answered 204, which tells a browser not to come again.
    ///
    /// Nothing should be published to it any more. History stays for as long as it would have.
    pub fn close(&self) {
        self.set_status(Status::Closed { status: 204 });
    }

    /// The log that numbers its events.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.0.log
    }

    /// How far its readers may fall behind, as [`FeedOptions::lag`] says.
    #[must_use]
    pub fn lag(&self) -> Lag {
        self.0.lag
    }

    /// Tells the readers what has become of the feed's source.
    pub fn set_status(&self, status: Status) {
        lock(&self.0.state).status = status;
        self.0.status_version.fetch_add(1, Ordering::Release);
        self.wake();
    }

    /// What readers are told of the feed's source.
    #[must_use]
    pub fn status(&self) -> Status {
        lock(&self.0.state).status.clone()
    }

    /// The source's last event ID: what it is asked to go on from. Empty if there is none.
    #[must_use]
    pub fn last_event_id(&self) -> Bytes {
        lock(&self.0.state).last_id.clone()
    }

    /// The reconnection time that the source asked for last.
    #[must_use]
    pub fn retry(&self) -> Option<Duration> {
        lock(&self.0.state).retry
    }

    /// How many readers there are, now and whenever it changes.
    #[must_use]
    pub fn readers(&self) -> Readers {
        Readers { count: self.0.reader_count.subscribe(), any: self.0.has_readers.subscribe() }
    }

    /// Wakes the readers, some at a time and outside of the lock: a waker may run what it wakes,
    /// and that may leave the feed or join it.
    fn wake(&self) {
        let mut wakers = Vec::new();
        let mut from = 0;
        loop {
            let readers = lock(&self.0.readers);
            let end = readers.capacity();
            while from < end && wakers.len() < WAKES {
                wakers.extend(readers.get(from).and_then(|signal| signal.take()));
                from += 1;
            }
            drop(readers);
            if wakers.is_empty() {
                return;
            }
            wakers.drain(..).for_each(Waker::wake);
        }
    }

    fn join(&self, signal: Arc<Signal>) -> usize {
        let key = lock(&self.0.readers).insert(signal);
        self.count_readers(|count| *count += 1);
        key
    }

    fn leave(&self, key: usize) {
        lock(&self.0.readers).try_remove(key);
        self.count_readers(|count| *count = count.saturating_sub(1));
    }

    fn count_readers(&self, change: impl FnOnce(&mut usize)) {
        self.0.reader_count.send_modify(change);
        // The count is looked at again, as others may have changed it meanwhile.
        self.0.has_readers.send_if_modified(|has| {
            let any = *self.0.reader_count.borrow() > 0;
            std::mem::replace(has, any) != any
        });
    }
}

/// Clones are the same feed, and equal.
impl PartialEq for Feed {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Feed {}

impl Hash for Feed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.0.state);
        f.debug_struct("Feed")
            .field("status", &state.status)
            .field("history", &state.history.len())
            .field("readers", &*self.0.reader_count.borrow())
            .finish_non_exhaustive()
    }
}

/// A copy of the frame, with a line before it or none. What is kept must not be a part of something
/// larger, such as the whole of what was read from a socket at once.
fn copy_with(line: &str, frame: &Frame) -> Frame {
    let mut out = BytesMut::with_capacity(line.len() + frame.bytes().len());
    out.put_slice(line.as_bytes());
    out.put_slice(frame.bytes());
    Frame::new(out.freeze(), frame.has_data())
}
