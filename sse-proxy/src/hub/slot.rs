//! [`Slot`]: one reader's stream.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use sse_layer::Event;
use sse_layer::feed::{Feed, Item, Lagged, Reader};

use super::io::Io;
use super::private::Private;
use super::timers::{Moment, millis};
use crate::config::Route;
use crate::http1::Framing;
use crate::limits::Seat;
use crate::pace::Pace;
use crate::stream::{DRAIN_RETRY, End, jitter};
use crate::visit::Visit;

/// How far the silence before a keep-alive may be off the configured one, so that the comments of
/// many readers do not all fall due together.
const KEEP_ALIVE_JITTER: f64 = 0.1;

/// A reader whose head and beginning are written, and whose stream the hub is to write.
pub(crate) struct Newcomer {
    pub(crate) io: Io,
    pub(crate) framing: Framing,
    pub(crate) from: Supply,
    pub(crate) route: Arc<Route>,
    pub(crate) seat: Seat,
    pub(crate) visit: Visit,
}

/// Where a reader's events come from.
pub(crate) enum Supply {
    /// A feed that others read too.
    Feed { feed: Feed, pace: Arc<Pace>, reader: Reader },
    /// An origin of its own.
    Origin(Box<Private>),
}

/// One reader's stream.
pub(super) struct Slot {
    pub(super) io: Io,
    pub(super) framing: Framing,
    /// The readers of the same feed, if it reads one.
    pub(super) group: Option<usize>,
    pub(super) place: Place,
    /// Tells it from another that had the same number before.
    pub(super) born: u32,
    /// When something was written to it last.
    pub(super) quiet_since: Moment,
    pub(super) route: Arc<Route>,
    pub(super) visit: Visit,
    seat: Seat,
}

/// How a slot comes by its events.
pub(super) enum Place {
    /// As the group's member with this number.
    Member(usize),
    /// By itself.
    Alone(Box<Alone>),
    /// From an origin of its own.
    Private(Box<Private>),
}

/// A slot that has not got everything that its group has.
pub(super) struct Alone {
    pub(super) reader: Reader,
    pub(super) waker: Waker,
    /// What it is to get next.
    pub(super) due: VecDeque<Item>,
    /// What its socket did not take.
    pub(super) rest: Bytes,
    /// Whether the socket takes nothing for now.
    pub(super) is_blocked: bool,
    /// Whether the feed ends with `rest`.
    pub(super) is_last: bool,
    /// Whether it is told when the group can be joined.
    pub(super) is_waiting: bool,
}

impl Alone {
    pub(super) fn new(reader: Reader, waker: Waker) -> Box<Self> {
        Box::new(Self {
            reader,
            waker,
            due: VecDeque::new(),
            rest: Bytes::new(),
            is_blocked: false,
            is_last: false,
            is_waiting: false,
        })
    }

    /// Asks for more, if there is nothing left to get.
    pub(super) fn poll(&mut self) -> Poll<Result<(), Lagged>> {
        if !self.due.is_empty() {
            return Poll::Ready(Ok(()));
        }
        poll(&mut self.reader, &self.waker, &mut self.due)
    }

    /// Whether the reader is too far behind to be waited for.
    pub(super) fn has_lagged(&mut self) -> bool {
        self.reader.poll_lagged(&mut Context::from_waker(&self.waker)).is_ready()
    }
}

/// Asks a reader for what is due.
pub(super) fn poll(
    reader: &mut Reader,
    waker: &Waker,
    due: &mut VecDeque<Item>,
) -> Poll<Result<(), Lagged>> {
    let mut items = Vec::new();
    let polled = reader.poll_next(&mut Context::from_waker(waker), &mut items);
    due.extend(items);
    polled
}

impl Slot {
    pub(super) fn new(
        io: Io,
        (framing, route, seat, visit): (Framing, Arc<Route>, Seat, Visit),
        group: Option<usize>,
        place: Place,
        born: u32,
        now: Moment,
    ) -> Self {
        Self { io, framing, group, place, born, quiet_since: now, route, visit, seat }
    }

    /// The slot as another writer gets it, if it has an origin of its own.
    pub(super) fn into_newcomer(self) -> Option<Newcomer> {
        let Self { io, framing, place, route, visit, seat, .. } = self;
        let Place::Private(private) = place else { return None };
        Some(Newcomer { io, framing, from: Supply::Origin(private), route, seat, visit })
    }

    pub(super) fn alone(&mut self) -> Option<&mut Alone> {
        match &mut self.place {
            Place::Alone(alone) => Some(alone),
            Place::Member(_) | Place::Private(_) => None,
        }
    }

    pub(super) fn private(&mut self) -> Option<&mut Private> {
        match &mut self.place {
            Place::Private(private) => Some(private),
            Place::Member(_) | Place::Alone(_) => None,
        }
    }

    /// Whether its socket takes nothing for now.
    pub(super) fn is_blocked(&self) -> bool {
        match &self.place {
            Place::Member(_) => false,
            Place::Alone(alone) => alone.is_blocked,
            Place::Private(private) => private.is_blocked,
        }
    }

    /// Whether it is given up if it goes on taking nothing. A private stream's origin waits for
    /// its client.
    pub(super) fn is_given_up(&self) -> bool {
        match &self.place {
            Place::Private(private) => private.is_blocked && private.is_rest_idle,
            Place::Member(_) | Place::Alone(_) => self.is_blocked(),
        }
    }

    /// How long a silence may be, drawn anew each time; `None` for as long as it will.
    pub(super) fn patience(&self) -> Option<Moment> {
        let keep_alive = self.route.keep_alive;
        if keep_alive.is_zero() {
            return None;
        }
        let off = 1.0 - KEEP_ALIVE_JITTER + 2.0 * KEEP_ALIVE_JITTER * fastrand::f64();
        Some(millis(keep_alive.mul_f64(off)))
    }

    /// Ends the response as the reason asks for: in good order, or cut off so that the client sees
    /// that something is missing.
    pub(super) fn finish(self, end: End) {
        // In the midst of something, it cannot end in good order.
        let is_blocked = self.is_blocked();
        let Self { io, framing, place, visit, .. } = self;
        let is_over = matches!(&place, Place::Private(private) if private.is_over);
        let mut last = BytesMut::new();
        match end {
            End::Drained | End::OriginEnded if !is_blocked => {
                if end == End::Drained {
                    let retry = Event::new().retry(jitter(DRAIN_RETRY)).to_bytes();
                    framing.frame_to(&retry, &mut last);
                }
                if !is_over {
                    framing.end_to(&mut last);
                }
                io.finish(last.freeze());
            }
            End::OriginFailed => io.break_off(),
            End::Drained | End::OriginEnded | End::Left | End::Lagged => {}
        }
        visit.end(end);
    }
}
