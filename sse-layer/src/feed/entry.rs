//! One event in a feed, and its bytes for each kind of reader.

use std::sync::OnceLock;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::time::Instant;

use super::cursor::Cursor;
use crate::Frame;
use crate::instant::StdInstant;

/// The longest `id:` value on a multiplexed stream: browsers send it back as a request header,
/// and servers on the way refuse long ones.
const MAX_MUX_ID: usize = 1024;

/// A frame with its number. Its bytes are encoded once for each kind of reader and shared.
#[derive(Debug)]
pub struct Entry {
    pub(super) seq: u64,
    pub(super) at: Instant,
    /// The last event ID when this event is dispatched: the origin's, or empty.
    pub(super) id: Bytes,
    /// All of the feed before this one.
    pub(super) before: Sums,
    /// What it is about, if a newer event may stand for it.
    pub(super) key: Option<Bytes>,
    cursor: Cursor,
    frame: Frame,
    mux: OnceLock<Option<Bytes>>,
}

/// How much of a feed comes before some point. The difference of two of these tells how much lies
/// between two points without walking over it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    /// Number of events.
    pub(super) events: u64,
    /// Size of their frames.
    pub(super) bytes: u64,
}

impl Entry {
    pub(super) fn new(
        cursor: Cursor,
        frame: Frame,
        id: Bytes,
        key: Option<Bytes>,
        before: Sums,
    ) -> Self {
        Self {
            seq: cursor.seq,
            at: Instant::now(),
            id,
            before,
            key,
            cursor,
            frame,
            mux: OnceLock::new(),
        }
    }

    /// An event that a reader is caught up with, and that its feed no longer has: `after` stands
    /// for its place, `id` is the last event ID when it is dispatched. See
    /// [`CatchUp`](super::CatchUp).
    #[must_use]
    pub fn caught_up(after: Cursor, frame: Frame, id: Bytes) -> Self {
        Self::new(after, frame, id, None, Sums::default())
    }

    /// The id that a client knows this event by, or else could.
    pub(super) fn name(&self) -> Bytes {
        if self.id.is_empty() { self.cursor.to_string().into() } else { self.id.clone() }
    }

    pub(super) fn len(&self) -> usize {
        self.frame.bytes().len()
    }

    /// Where in the log this event stands.
    #[must_use]
    pub const fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// When it was published.
    #[must_use]
    pub fn published(&self) -> StdInstant {
        self.at.into_std()
    }

    /// The frame for a reader of this feed alone.
    #[must_use]
    pub const fn frame(&self) -> &Frame {
        &self.frame
    }

    /// The frame for a multiplexed reader, but for its beginning `event: FEED`: the feed's name is
    /// the reader's own. `None` if there is nothing to dispatch.
    #[must_use]
    pub fn mux_tail(&self) -> Option<&Bytes> {
        self.mux.get_or_init(|| self.encode_mux()).as_ref()
    }

    fn encode_mux(&self) -> Option<Bytes> {
        if !self.frame.has_data() {
            return None;
        }
        let mut out = BytesMut::with_capacity(self.len() + 64);
        let event_type = self.frame.event_type();
        if event_type != b"message" {
            out.put_u8(b'#');
            out.put_slice(event_type);
        }
        out.put_slice(format!("\nid: {}", self.cursor).as_bytes());
        if !self.id.is_empty() && self.id.len() + 32 <= MAX_MUX_ID {
            out.put_u8(b' ');
            out.put_slice(&self.id);
        }
        out.put_u8(b'\n');
        for field in self.frame.fields() {
            if let crate::Field::Data(value) = field {
                out.put_slice(b"data: ");
                out.put_slice(value);
                out.put_u8(b'\n');
            }
        }
        out.put_u8(b'\n');
        Some(out.freeze())
    }
}
