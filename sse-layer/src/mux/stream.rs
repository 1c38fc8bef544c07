//! [`MuxStream`]: the feeds of a multiplexed stream, and what is due of them.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::FeedName;
use super::wire::Encoder;
use crate::feed::{Cursor, Entry, Item, Lag, Lagged, Reader, Start};
use crate::frame::MAX_BATCH_BYTES;
use crate::instant::StdInstant;
use bytes::{Bytes, BytesMut};

/// Room that is kept for items that are due.
const KEPT: usize = 1024;

/// The feeds of a multiplexed stream, and what is due of them: a [`Reader`] and an [`Encoder`]
/// that agree on the feeds' numbers.
///
/// It never ends. Of a feed that the client reads too slowly to get everything, whatever the feed's
/// [`LagPolicy`](crate::feed::LagPolicy), it is told what it missed, and the other feeds go on.
///
/// ```
/// use sse_layer::Event;
/// use sse_layer::feed::{FeedOptions, Log, Start};
/// use sse_layer::mux::MuxStream;
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let prices = Log::new().feed(FeedOptions::default());
/// let mut stream = MuxStream::new();
/// stream.add("/prices".try_into()?, "", |reader| reader.subscribe(&prices, Start::Live));
/// prices.publish(Event::new().data("10.5"));
/// let piece = stream.next().await;
/// let text = String::from_utf8_lossy(&piece.bytes);
/// assert!(text.starts_with("event: mux/feed\n") && text.contains("\n\nevent: /prices\nid: "));
/// assert_eq!(piece.events, 1);
/// # Ok::<(), sse_layer::mux::InvalidFeedName>(())
/// # })?;
/// # Ok::<(), sse_layer::mux::InvalidFeedName>(())
/// ```
pub struct MuxStream {
    reader: Reader,
    encoder: Encoder,
    /// What is to be sent, the next at the end.
    due: Vec<Item>,
}

/// Some of a stream: whole blocks, and what is in them.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Piece {
    /// What to send.
    pub bytes: Bytes,
    /// How many events of feeds are in it.
    pub events: u64,
    /// How many gaps it tells.
    pub gaps: u64,
    /// How many times it tells that a slow reader was spared something.
    pub lagged: u64,
    /// When the newest event in it was published.
    pub published: Option<StdInstant>,
    /// How many events the slow reader was spared in all of these.
    pub missed: u64,
}

impl Piece {
    /// One in which there are control events only.
    #[must_use]
    pub fn of(bytes: Bytes) -> Self {
        Self { bytes, ..Self::default() }
    }
}

impl MuxStream {
    /// A stream of no feed yet.
    #[must_use]
    pub fn new() -> Self {
        Self { reader: Reader::new(Lag::default()), encoder: Encoder::new(), due: Vec::new() }
    }

    /// Adds a feed under a name. `subscribe` makes the reader a reader of exactly that feed. `after` is what the client said to go on from, empty
    /// if nothing.
    pub fn add<T>(
        &mut self,
        name: FeedName,
        after: &str,
        subscribe: impl FnOnce(&mut Reader) -> T,
    ) -> T {
        let subscribed = subscribe(&mut self.reader);
        self.encoder.add(name, after);
        subscribed
    }

    /// The same, where the feed may not be there: then nothing is added.
    ///
    /// # Errors
    ///
    /// That of `subscribe`, which must not have made the reader a reader of anything then.
    pub fn try_add<T, E>(
        &mut self,
        name: FeedName,
        after: &str,
        subscribe: impl FnOnce(&mut Reader) -> Result<T, E>,
    ) -> Result<T, E> {
        let subscribed = subscribe(&mut self.reader)?;
        self.encoder.add(name, after);
        Ok(subscribed)
    }

    /// Has the client told that a feed is private: opened for this stream alone, so that another
    /// reader of it would not hear the same.
    pub fn mark_private(&mut self, name: &str) {
        self.encoder.mark_private(name);
    }

    /// Takes a feed away: nothing comes of it any more. Returns whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        let Some(feed) = self.encoder.remove(name) else { return false };
        self.reader.unsubscribe(feed);
        // Another feed may get the number.
        self.due.retain(|item| item.feed() != feed);
        true
    }

    /// Whether the client is yet to be told of a gap in the feed of this name.
    #[must_use]
    pub fn has_gap(&self, name: &str) -> bool {
        self.encoder.number(name).is_some_and(|feed| self.reader.has_gap(feed))
    }

    /// Closes that gap: returns the missed events as they are to be sent, and goes on in the feed
    /// after `met`. A client that is cut off before the next event of any feed goes on from where
    /// the missed ones say that they are. See [`CatchUp`](crate::feed::CatchUp).
    pub fn close_gap(
        &mut self,
        name: &str,
        missed: impl IntoIterator<Item = Entry>,
        met: Cursor,
    ) -> Piece {
        let (mut piece, mut out) = (Piece::default(), BytesMut::new());
        let Some(feed) = self.encoder.number(name).filter(|feed| self.reader.has_gap(*feed)) else {
            return piece;
        };
        for entry in missed {
            piece.events += u64::from(entry.frame().has_data());
            self.encoder.encode(&mut out, &Item::Event { feed, entry: Arc::new(entry) });
        }
        self.reader.resubscribe(feed, Start::After(met));
        piece.bytes = out.freeze();
        piece
    }

    /// Whether a feed of this name is read.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.encoder.contains(name)
    }

    /// How many feeds are read.
    #[must_use]
    pub fn len(&self) -> usize {
        self.encoder.len()
    }

    /// Whether no feed is read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.encoder.is_empty()
    }

    /// What is to be sent next, which is about 64 KiB or a single larger event.
    ///
    /// Cancel safe: nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Piece {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The poll form of [`next`](Self::next).
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        let (mut piece, mut out) = (Piece::default(), BytesMut::new());
        loop {
            while out.len() < MAX_BATCH_BYTES {
                let Some(item) = self.due.pop() else { break };
                match &item {
                    Item::Event { entry, .. } => {
                        piece.events += 1;
                        piece.published = Some(entry.published());
                    }
                    Item::Gap { .. } => piece.gaps += 1,
                    Item::Lagged { missed, .. } => {
                        piece.lagged += 1;
                        piece.missed += missed.count;
                    }
                    Item::Status { .. } => {}
                }
                self.encoder.encode(&mut out, &item);
            }
            if !out.is_empty() {
                piece.bytes = out.freeze();
                return Poll::Ready(piece);
            }
            if let Err(Lagged { feed }) = ready!(self.reader.poll_next(cx, &mut self.due)) {
                self.reader.pass_over(feed);
            }
            // A reader of many feeds that is far behind looks at much more than it takes.
            self.due.shrink_to(KEPT);
            self.due.reverse();
        }
    }

    /// Waits until the client is too far behind in a feed, for whoever is busy writing what he got
    /// before: as [`Reader::lagged`].
    pub async fn lagged(&mut self) -> Lagged {
        self.reader.lagged().await
    }
}

impl Default for MuxStream {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MuxStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MuxStream").field("feeds", &self.len()).finish_non_exhaustive()
    }
}
