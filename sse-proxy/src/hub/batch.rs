//! [`Batch`]: what a reader gets in one write, encoded once for all who get it.

use std::cell::OnceCell;

use bytes::Bytes;
use sse_layer::Event;
use sse_layer::feed::{Cursor, Item, Status};
use tokio::time::Instant;

use crate::frames::Frames;
use crate::http1::Framing;
use crate::metrics::RouteMetrics;
use crate::visit::Visit;

/// What a reader gets in one write.
pub(crate) struct Batch {
    pub(crate) frames: Bytes,
    /// The same as a chunk of HTTP/1, once somebody has got it so.
    chunk: OnceCell<Bytes>,
    /// How many events are in it.
    pub(super) events: u64,
    /// When the first of them came.
    came: Option<Instant>,
    /// Where in the log the last of them stands, if there is one.
    pub(super) end: Option<Cursor>,
    /// Whether the feed ends with it.
    pub(crate) is_last: bool,
    /// Whether it tells that events are gone.
    has_gap: bool,
    /// Whether it tells that events were passed over.
    has_lagged: bool,
}

impl Batch {
    /// Takes of what is due to a reader as much as is worth one write.
    pub(crate) fn take(due: &mut impl Iterator<Item = Item>) -> Self {
        let mut frames = Frames::default();
        let (mut came, mut end, mut is_last) = (None, None, false);
        let (mut has_gap, mut has_lagged) = (false, false);
        while !frames.is_full()
            && let Some(item) = due.next()
        {
            match item {
                Item::Event { entry, .. } => {
                    frames.push_event(entry.frame().bytes().clone());
                    came.get_or_insert_with(|| entry.published().into());
                    end = Some(entry.cursor());
                }
                Item::Gap { .. } => {
                    has_gap = true;
                    Event::new().comment("gap").encode(frames.joined());
                }
                Item::Lagged { missed, .. } => {
                    has_lagged = true;
                    missed.event().encode(frames.joined());
                }
                Item::Status { status: Status::Closed { .. }, .. } => is_last = true,
                _ => {}
            }
        }
        let events = frames.events();
        let (frames, chunk) = (frames.into_bytes(), OnceCell::new());
        Self { frames, chunk, events, came, end, is_last, has_gap, has_lagged }
    }

    /// The size of its frames.
    pub(super) fn bytes(&self) -> u64 {
        self.frames.len() as u64
    }

    /// Notes that a reader gets it who is alone in that.
    pub(crate) fn note_alone(&self, visit: &mut Visit) {
        self.note_losses(visit);
        visit.wrote(self.events, self.frames.len(), self.came);
    }

    /// Notes that a reader gets it with others, for all of whom it is [counted](Self::count).
    pub(super) fn note(&self, visit: &mut Visit) {
        self.note_losses(visit);
        visit.took(self.events, self.bytes());
    }

    fn note_losses(&self, visit: &mut Visit) {
        if self.has_gap {
            visit.gap();
        }
        if self.has_lagged {
            visit.lagged();
        }
    }

    /// Counts that so many readers got it.
    pub(super) fn count(&self, counts: &RouteMetrics, readers: u64) {
        counts.events_out.inc_by(self.events * readers);
        counts.bytes_out.inc_by(self.bytes() * readers);
        if let Some(came) = self.came {
            // One sample for all of them, as they are written to together.
            counts.total.delivery.observe(came.elapsed().as_secs_f64());
        }
    }

    /// The bytes that go over the wire.
    pub(super) fn framed(&self, framing: Framing) -> Bytes {
        match framing {
            Framing::Close => self.frames.clone(),
            Framing::Chunked => self.chunk.get_or_init(|| framing.frame(&self.frames)).clone(),
        }
    }
}
