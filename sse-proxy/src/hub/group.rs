//! [`Group`]: the readers of one feed that have everything of it.

use std::collections::VecDeque;
use std::iter::from_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use sse_layer::feed::{Cursor, Feed, Item, Lag, Lagged, Reader, Start};

use super::batch::Batch;
use super::members::{Members, Moved};
use super::slot::poll;
use crate::metrics::RouteMetrics;
use crate::pace::{Amount, Pace, Pacer};
use crate::record::Record;
use crate::visit::Visit;

/// The readers of one feed that have everything of it, and so are written the same.
pub(super) struct Group {
    pub(super) feed: Feed,
    pub(super) counts: Arc<RouteMetrics>,
    pace: Arc<Pace>,
    /// While there is a reader.
    pacer: Option<Pacer>,
    waker: Waker,
    /// Reads on behalf of all members; there is none while there are no members.
    reader: Option<Reader>,
    /// How far behind a member may fall.
    lag: Lag,
    /// What has been read and is not yet in a batch.
    due: VecDeque<Item>,
    /// What is being written to the members.
    pub(super) batch: Option<Batch>,
    /// Where in the log the batch ends. Whoever has got it has got everything up to here.
    end: Option<Cursor>,
    pub(super) members: Members,
    /// What tells how many readers the feed has.
    record: Option<Arc<Record>>,
    /// Slots that can join as soon as nothing is due.
    pub(super) waiting: Vec<usize>,
    /// Members and those that are not.
    pub(super) users: usize,
    /// Whether it is to be run.
    pub(super) is_queued: bool,
}

/// What became of a slot that wanted to join.
pub(super) enum Joining {
    /// It is a member.
    Joined,
    /// There is more of the feed, which it has to get first.
    MoreIsDue,
    /// It has to wait until the group has got what is due.
    Wait,
}

impl Group {
    pub(super) fn new(feed: Feed, pace: Arc<Pace>, lag: Lag, visit: &Visit, waker: Waker) -> Self {
        Self {
            feed,
            pace,
            pacer: None,
            counts: Arc::clone(visit.counts()),
            waker,
            reader: None,
            lag,
            due: VecDeque::new(),
            batch: None,
            end: None,
            members: Members::default(),
            record: visit.record().cloned(),
            waiting: Vec::new(),
            users: 0,
            is_queued: false,
        }
    }

    /// Adds a member. Returns its place.
    pub(super) fn add(&mut self, slot: usize) -> usize {
        let place = self.members.add(slot);
        if let Some(record) = self.record.as_ref().filter(|_| self.members.len() > 1) {
            record.shares_reader();
        }
        place
    }

    /// Takes away the member in this place. Returns those that have moved to fill it.
    pub(super) fn remove(&mut self, place: usize) -> [Option<Moved>; 2] {
        let moved = self.members.remove(place);
        if let Some(record) = self.record.as_ref().filter(|_| self.members.len() > 0) {
            record.no_longer_shares();
        }
        moved
    }

    /// Asks for more, if nothing is due yet.
    pub(super) fn poll(&mut self) -> Poll<Result<(), Lagged>> {
        if !self.due.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let polled = match &mut self.reader {
            Some(reader) => poll(reader, &self.waker, &mut self.due),
            None => Poll::Pending,
        };
        if let Some(pacer) = &self.pacer
            && polled.is_pending()
            && self.batch.is_none()
        {
            pacer.took_all();
        }
        polled
    }

    /// Begins the next batch. Something must be due.
    pub(super) fn begin_batch(&mut self) {
        let batch = Batch::take(&mut from_fn(|| self.due.pop_front()));
        self.end = batch.end.or(self.end);
        // What only tells how the source does is nothing to write.
        if batch.bytes() > 0 {
            self.members.begin();
        }
        self.batch = Some(batch);
    }

    /// The batch at hand has been written to all members.
    pub(super) fn end_batch(&self, batch: &Batch) {
        if let Some(pacer) = &self.pacer {
            pacer.took(Amount { events: batch.events, bytes: batch.bytes() });
        }
    }

    /// Whether a slot can join that has just been told that there is nothing more for it. If so,
    /// its reader is taken, and is no longer needed.
    pub(super) fn may_join(&mut self, reader: &mut Reader) -> Joining {
        if self.reader.is_none() {
            self.end = reader.position(0);
            self.pacer = Some(self.pace.join());
            self.reader = Some(std::mem::replace(reader, Reader::new(self.lag)));
            return Joining::Joined;
        }
        if !self.due.is_empty() {
            return Joining::Wait;
        }
        // Asked after the slot was: if there is nothing for the group either, nothing has come in
        // between, and both have the same.
        match self.poll() {
            Poll::Pending => Joining::Joined,
            Poll::Ready(_) => Joining::MoreIsDue,
        }
    }

    /// A reader for a member that goes on by itself after the batch at hand.
    pub(super) fn leaver(&self) -> Reader {
        let mut reader = Reader::new(self.lag);
        reader.subscribe(&self.feed, self.end.map_or(Start::Live, Start::After));
        reader
    }

    /// Reads no more, as nobody gets it.
    pub(super) fn rest(&mut self) {
        self.reader = None;
        self.pacer = None;
        self.due.clear();
    }
}
