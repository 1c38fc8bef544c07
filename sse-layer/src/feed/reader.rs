//! [`Reader`]: one downstream response's place in its feeds.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use slab::Slab;

use super::cursor::Cursor;
use super::signal::Signal;
use super::tap::{Gap, Tap};
use super::{Feed, Item, Lag, Lagged};

/// The most events that are handed out at once to a reader of no more feeds than that: enough for
/// one write to be worth it, few enough to stay fair to other readers.
const BATCH: usize = 64;

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

/// One downstream response: a place in each of one or several feeds of one log.
///
/// It holds positions and no queue, so that a reader which does not read costs no memory. When it
/// is dropped, its feeds know it at once.
///
/// For a response from a single feed, [`Feed::stream`] is all that is needed.
#[derive(Debug)]
pub struct Reader {
    taps: Slab<Tap>,
    lag: Lag,
    signal: Arc<Signal>,
}

impl Reader {
    /// A reader of no feed yet, which may fall behind its feeds as far as `lag` says.
    #[must_use]
    pub fn new(lag: Lag) -> Self {
        Self { taps: Slab::new(), lag, signal: Arc::default() }
    }

    /// Sets how far it may fall behind the feeds that it begins to read from now on.
    pub const fn set_lag(&mut self, lag: Lag) {
        self.lag = lag;
    }

    /// Begins to read a feed, and returns the feed's number with this reader: 0 for the first, and
    /// so on. Numbers that have become free are given again.
    ///
    /// If events after `start` are known to be gone, or nothing is known of `start`, the reader is
    /// told by [`Item::Gap`]. It then gets what is still there after `start`; where that cannot be
    /// told it begins live, or, if the feed is closed, with the oldest event there is.
    ///
    /// Feeds of one log keep the log's order; how feeds of several logs mix is undefined.
    pub fn subscribe(&mut self, feed: &Feed, start: Start<'_>) -> usize {
        self.taps.insert(Tap::new(feed, Arc::clone(&self.signal), start, self.lag))
    }

    /// Ends reading the feed with this number, if there is one. Items that were handed out before
    /// may still have the number.
    ///
    /// ```
    /// use sse_layer::feed::{FeedOptions, Lag, Log, Reader, Start};
    ///
    /// let feed = Log::new().feed(FeedOptions::default());
    /// let mut reader = Reader::new(Lag::default());
    /// let number = reader.subscribe(&feed, Start::Live);
    /// reader.unsubscribe(number);
    /// assert_eq!(feed.readers().count(), 0);
    /// ```
    pub fn unsubscribe(&mut self, feed: usize) {
        self.taps.try_remove(feed);
    }

    /// Goes on in a feed of which the reader has lost its place ([`Lagged`]) with what is left of
    /// it. The reader is told by [`Item::Gap`].
    ///
    /// ```
    /// use sse_layer::Event;
    /// use sse_layer::feed::{FeedOptions, HistoryLimits, Item, Lag, Log, Reader, Start};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let history = HistoryLimits::default().events(1);
    /// let feed = Log::new().feed(FeedOptions::default().history(history));
    /// let mut reader = Reader::new(Lag::default());
    /// reader.subscribe(&feed, Start::Live);
    /// feed.publish(Event::new().data("1"));
    /// feed.publish(Event::new().data("2"));
    /// let mut items = Vec::new();
    /// if let Err(lagged) = reader.next(&mut items).await {
    ///     reader.pass_over(lagged.feed);
    /// }
    /// reader.next(&mut items).await?;
    /// assert!(matches!(items[0], Item::Gap { missed: Some(1), .. }));
    /// assert!(matches!(items[2], Item::Event { .. }));
    /// # Ok::<(), sse_layer::feed::Lagged>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pass_over(&mut self, feed: usize) {
        if let Some(tap) = self.taps.get_mut(feed) {
            tap.pass_over();
        }
    }

    /// Whether the reader is yet to be told of a gap in the feed with this number.
    #[must_use]
    pub fn has_gap(&self, feed: usize) -> bool {
        self.taps.get(feed).is_some_and(Tap::has_gap)
    }

    /// Moves the reader to another place in the feed with this number, if there is one: for who
    /// had a gap, and has closed it from elsewhere. See [`CatchUp`](super::CatchUp).
    pub fn resubscribe(&mut self, feed: usize, start: Start<'_>) {
        if let Some(tap) = self.taps.get_mut(feed) {
            *tap = Tap::new(tap.feed(), Arc::clone(&self.signal), start, tap.lag());
        }
    }

    /// Waits until something is due, and appends it to `items`: at least one item, at most a
    /// bounded batch.
    ///
    /// Cancel safe: nothing is lost when the future is dropped.
    ///
    /// # Errors
    ///
    /// [`Lagged`] if the reader's place has fallen out of the history of a feed for which its policy
    /// is [`LagPolicy::Resume`](super::LagPolicy::Resume). Nothing after that is handed out. The
    /// bounds of [`Lag`] alone are no error here, but for [`lagged`](Self::lagged).
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
        // Whoever asks for more is not given up for a burst that came while he was not looking, as
        // long as it is all there.
        if let Some(feed) = self.first(Tap::is_lost) {
            return Poll::Ready(Err(Lagged { feed }));
        }
        let before = items.len();
        self.collect(items);
        if items.len() == before { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    /// Waits until the reader has fallen too far behind, for whoever is busy writing what it got
    /// before. That never happens in feeds with another policy than
    /// [`LagPolicy::Resume`](super::LagPolicy::Resume).
    pub async fn lagged(&mut self) -> Lagged {
        poll_fn(|cx| self.poll_lagged(cx)).await
    }

    /// The poll form of [`lagged`](Self::lagged).
    pub fn poll_lagged(&mut self, cx: &mut Context<'_>) -> Poll<Lagged> {
        self.signal.register(cx.waker());
        self.lagging().map_or(Poll::Pending, Poll::Ready)
    }

    /// How far the reader has got in the feed with this number: everything of the feed up to here
    /// has been handed out, nothing after it. `None` if it reads no such feed.
    ///
    /// Another reader that subscribes [after](Start::After) this position goes on where this one
    /// stands.
    ///
    /// ```
    /// use sse_layer::Event;
    /// use sse_layer::feed::{FeedOptions, Lag, Log, Reader, Start};
    ///
    /// let log = Log::new();
    /// let feed = log.feed(FeedOptions::default());
    /// let mut reader = Reader::new(Lag::default());
    /// let number = reader.subscribe(&feed, Start::Live);
    /// let before = log.cursor();
    /// feed.publish(Event::new().data("not yet handed out"));
    /// assert_eq!(reader.position(number), Some(before));
    /// ```
    #[must_use]
    pub fn position(&self, feed: usize) -> Option<Cursor> {
        self.taps.get(feed).map(Tap::position)
    }

    fn lagging(&self) -> Option<Lagged> {
        let feed = self.first(Tap::is_lagging)?;
        Some(Lagged { feed })
    }

    /// The number of the first feed of which this is true.
    fn first(&self, is_so: impl Fn(&Tap) -> bool) -> Option<usize> {
        self.taps.iter().find(|(_, tap)| is_so(tap)).map(|(feed, _)| feed)
    }

    fn collect(&mut self, items: &mut Vec<Item>) {
        let begin = items.len();
        for (feed, tap) in &mut self.taps {
            if let Some(Gap { missed }) = tap.take_gap() {
                items.push(Item::Gap { feed, missed });
            }
            if let Some(missed) = tap.give_way() {
                items.push(Item::Lagged { feed, missed });
            }
        }
        for (feed, tap) in &mut self.taps {
            if let Some(status) = tap.newly_open() {
                items.push(Item::Status { feed, status });
            }
        }
        // Read before the feeds are: whatever has a number up to this one is in its feed.
        let Some((epoch, visible)) = self.taps.iter().next().map(|(_, tap)| tap.log()) else {
            return;
        };
        let events = items.len();
        // One of each at least: else, each time that a few are handed out, all feeds that have some
        // would be gone through, the more often the more there are.
        let most = BATCH.max(self.taps.len());
        for (feed, tap) in &mut self.taps {
            let of_its_own = tap.log();
            let visible = if of_its_own.0 == epoch { visible } else { of_its_own.1 };
            tap.due(feed, visible, most, items);
        }
        if self.taps.len() > 1 {
            items.get_mut(events..).unwrap_or_default().sort_by_key(seq);
        }
        // From the end, so that of each feed the first that finds no room has the last word.
        for item in items.get(events + most..).unwrap_or_default().iter().rev() {
            self.of_event(item, Tap::put_back);
        }
        items.truncate(events + most);
        for item in items.get(events..).unwrap_or_default() {
            self.of_event(item, Tap::got);
        }
        // Any other change of state is told when the events before it have been.
        if items.len() < begin + most {
            for (feed, tap) in &mut self.taps {
                if let Some(status) = tap.new_status() {
                    items.push(Item::Status { feed, status });
                }
            }
        }
    }

    /// Does something to the place that an event is for.
    fn of_event(&mut self, item: &Item, act: impl FnOnce(&mut Tap, &super::Entry)) {
        if let Item::Event { feed, entry } = item {
            if let Some(tap) = self.taps.get_mut(*feed) {
                act(tap, entry);
            }
        }
    }
}

/// The number of an event in the log.
fn seq(item: &Item) -> u64 {
    match item {
        Item::Event { entry, .. } => entry.seq,
        Item::Gap { .. } | Item::Lagged { .. } | Item::Status { .. } => 0,
    }
}
