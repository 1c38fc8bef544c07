//! [`CatchUp`]: joins what a source sends again with what its feed still has.

use std::fmt;

use bytes::Bytes;

use super::cursor::Cursor;
use super::log::lock;
use super::{Feed, Status};
use crate::Frame;

/// What keeping a frame costs besides its bytes.
const OVERHEAD: usize = 64;

/// Joins what a source sends again with what its feed still has: for a reader whose last event is
/// older than the feed's history.
///
/// The source is asked to go on after that event, in a request of its own. The frames of its answer
/// are [pushed](Self::push) until one of them is in the history. Then the reader gets the
/// [frames](Self::into_frames) before it, and reads the feed from there: everything once, in
/// order. Frames are kept until then, so that a reader gets nothing where it would not fit.
///
/// ```
/// use sse_layer::Event;
/// use sse_layer::feed::{CatchUp, FeedOptions, HistoryLimits, Lag, Log, Reader, Start};
///
/// let log = Log::new();
/// let news = log.feed(FeedOptions::default().history(HistoryLimits::default().events(1)));
/// for n in 1..=3 {
///     news.publish(Event::new().id(n.into()).data("x"));
/// }
/// let mut reader = Reader::new(Lag::default());
/// let number = reader.subscribe(&news, Start::Id(b"1"));
/// assert!(reader.has_gap(number));
///
/// let mut catch_up = CatchUp::new(&news, b"1", 1 << 20);
/// assert_eq!(catch_up.push(Event::new().id(2.into()).data("x"))?, None);
/// let met = catch_up.push(Event::new().id(3.into()).data("x"))?.expect("it is in the history");
/// reader.resubscribe(number, Start::After(met));
/// assert!(!reader.has_gap(number));
/// assert_eq!(catch_up.into_frames().len(), 1);
/// # Ok::<(), sse_layer::feed::NotMet>(())
/// ```
#[derive(Debug)]
pub struct CatchUp {
    feed: Feed,
    /// The id of the reader's last event.
    after: Vec<u8>,
    /// The feed was open when the source was asked again.
    was_open: bool,
    /// The oldest id that the feed knew then: it must be in the answer.
    oldest: Option<Bytes>,
    frames: Vec<Frame>,
    /// No other id has come than the reader's.
    at_start: bool,
    bytes: usize,
    limit: usize,
}

/// Why the source's answer does not join the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotMet {
    /// It was larger than the limit, and had not met the feed.
    TooMuch,
    /// The source has not gone on from the id: its answer begins after the feed's history does, or
    /// before the reader's last event.
    Hole,
}

impl CatchUp {
    /// For a reader of `feed` whose last event had this id, before the source is asked. At most
    /// `limit` bytes are kept.
    #[must_use]
    pub fn new(feed: &Feed, last_event_id: &[u8], limit: usize) -> Self {
        let oldest = lock(&feed.0.state).oldest_id().filter(|id| id != last_event_id);
        Self {
            feed: feed.clone(),
            after: last_event_id.to_vec(),
            was_open: feed.status() == Status::Open,
            oldest,
            frames: Vec::new(),
            at_start: true,
            bytes: 0,
            limit,
        }
    }

    /// Takes the next frame of the source's answer. Returns the position in the feed from which
    /// the reader goes on after the frames so far, as soon as there is one. More must not be
    /// pushed then.
    ///
    /// # Errors
    ///
    /// [`NotMet`] if there will be none.
    pub fn push(&mut self, frame: impl Into<Frame>) -> Result<Option<Cursor>, NotMet> {
        let frame = frame.into();
        let id = frame.id().filter(|id| !id.is_empty());
        if !frame.has_data() && frame.id().is_none() {
            return Ok(None);
        }
        if id == Some(&self.after) && !self.at_start {
            // The source sends everything it has, or counts anew: who could tell.
            return Err(NotMet::Hole);
        }
        if id.is_some() {
            self.at_start = id == Some(&self.after);
        }
        if let Some(met) = self.met(&frame)? {
            return Ok(Some(met));
        }
        self.bytes += frame.bytes().len() + OVERHEAD;
        self.frames.push(frame);
        if self.bytes > self.limit { Err(NotMet::TooMuch) } else { Ok(None) }
    }

    /// The same, when the source has been silent for a while: a feed that has been open for as long
    /// and has never had an event begins where the source's answer ends.
    #[must_use]
    pub fn rest(&self) -> Option<Cursor> {
        let state = lock(&self.feed.0.state);
        let seq = state.history.floor();
        let is_new = self.was_open && state.history.is_new();
        is_new.then(|| Cursor { epoch: self.feed.0.log.epoch(), seq })
    }

    /// What the reader has missed, and the feed no longer has.
    #[must_use]
    pub fn into_frames(self) -> Vec<Frame> {
        self.frames
    }

    fn met(&mut self, frame: &Frame) -> Result<Option<Cursor>, NotMet> {
        let Some(id) = frame.id() else { return Ok(None) };
        let mut state = lock(&self.feed.0.state);
        state.history.expire();
        let had = |id: &[u8]| self.frames.iter().any(|frame| frame.id() == Some(id));
        let is_late = self.oldest.as_ref().is_some_and(|oldest| oldest != id && !had(oldest));
        let epoch = self.feed.0.log.epoch();
        let Some(place) = state.history.find(frame) else {
            if !state.is_newest(id) || state.history.len() > 0 {
                return Ok(None);
            }
            if is_late {
                return Err(NotMet::Hole);
            }
            // The feed's newest event is no longer there.
            self.frames.push(frame.clone());
            return Ok(Some(Cursor { epoch, seq: state.history.floor() }));
        };
        if is_late {
            return Err(NotMet::Hole);
        }
        let mut seq = state.history.floor();
        for entry in state.history.entries().take(place) {
            if entry.frame().id().is_some_and(|id| !id.is_empty() && !had(id)) {
                return Err(NotMet::Hole);
            }
            seq = entry.cursor().seq;
        }
        Ok(Some(Cursor { epoch, seq }))
    }
}

impl fmt::Display for NotMet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooMuch => "more is missing than may be caught up with",
            Self::Hole => "the source did not go on from the last event ID",
        })
    }
}

impl std::error::Error for NotMet {}
