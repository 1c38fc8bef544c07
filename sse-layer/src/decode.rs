//! [`Decoder`]: from the bytes of a stream to what a browser makes of them.

mod dispatch;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use self::dispatch::Dispatch;
use crate::framer::Line;
use crate::{Framer, Repairs};

/// An event as a browser dispatches it; the names are the standard's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct MessageEvent {
    /// What listeners listen to: `message` if the stream gives no type.
    pub event_type: String,
    /// The data, its lines joined by LF.
    pub data: String,
    /// The last event id at that time: the event's own, or that of an earlier one. Empty: none.
    pub last_event_id: String,
}

/// A [`MessageEvent`] that is lent by a [`Decoder`]. It becomes one to be kept with
/// [`to_owned`](Self::to_owned).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageRef<'a> {
    /// What listeners listen to: `message` if the stream gives no type.
    pub event_type: &'a str,
    /// The data, its lines joined by LF.
    pub data: &'a str,
    /// The last event id at that time: the event's own, or that of an earlier one. Empty: none.
    pub last_event_id: &'a str,
}

impl MessageRef<'_> {
    /// The event with strings of its own.
    #[must_use]
    pub fn to_owned(&self) -> MessageEvent {
        MessageEvent {
            event_type: self.event_type.to_owned(),
            data: self.data.to_owned(),
            last_event_id: self.last_event_id.to_owned(),
        }
    }
}

/// Reads a stream as a browser does.
///
/// [Push](Self::push) what comes, then take [events](Self::next_event) until there is none. How
/// the bytes are cut makes no difference. Bytes that are not UTF-8 become U+FFFD. An event that
/// is cut off by the end of the stream is none.
///
/// Events are lent, which costs neither copies nor allocations where a line of data lies in one
/// push: take what is needed of one before asking for the next.
///
/// ```
/// use sse_layer::Decoder;
///
/// let mut decoder = Decoder::new();
/// decoder.push("id: 7\ndata: one\nda");
/// assert!(decoder.next_event()?.is_none());
/// decoder.push("ta: two\n\n");
/// let event = decoder.next_event()?.expect("a whole event");
/// assert_eq!(event.event_type, "message");
/// assert_eq!(event.data, "one\ntwo");
/// assert_eq!(event.last_event_id, "7");
/// # Ok::<(), sse_layer::DecodeError>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    framer: Framer,
    /// Of the block that is lent: its lines, if it is plain, and what it was mended to, if it had
    /// to be.
    lines: Vec<Line>,
    mended: Option<Vec<u8>>,
    dispatch: Dispatch,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder that makes no repairs and has the [default limit](Framer::DEFAULT_LIMIT).
    #[must_use]
    pub const fn new() -> Self {
        Self { framer: Framer::new(), lines: Vec::new(), mended: None, dispatch: Dispatch::new() }
    }

    /// Sets the longest block, in bytes as they come.
    #[must_use]
    pub fn with_limit(mut self, bytes: usize) -> Self {
        self.framer = self.framer.with_limit(bytes);
        self
    }

    /// Sets the repairs to make. Those that concern no bytes have no effect here.
    #[must_use]
    pub fn with_repairs(mut self, repairs: Repairs) -> Self {
        self.framer = self.framer.with_repairs(repairs);
        self
    }

    /// Sets the last event id to start with: that of the response before, as browsers do.
    #[must_use]
    pub fn with_last_event_id(mut self, id: String) -> Self {
        self.dispatch.last_event_id = id;
        self
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: impl Into<Bytes>) {
        self.framer.push(bytes.into());
    }

    /// Tells that the stream has ended, as [`Framer::finish`] does. Only some repairs need it.
    pub fn finish(&mut self, is_meant: bool) {
        self.framer.finish(is_meant);
    }

    /// The next event, or `None` if more bytes are needed.
    ///
    /// # Errors
    ///
    /// [`DecodeError::TooLong`] if a block is longer than the limit, and from then on always.
    #[inline]
    pub fn next_event(&mut self) -> Result<Option<MessageRef<'_>>, DecodeError> {
        if self.framer.lend_plain(&mut self.lines) {
            return Ok(self.dispatch.plain(self.framer.plain(&self.lines)));
        }
        self.next_of_any_block()
    }

    fn next_of_any_block(&mut self) -> Result<Option<MessageRef<'_>>, DecodeError> {
        while let Some(block) = self.framer.lend_block(&mut self.mended)? {
            if block.has_data {
                let fields = self.framer.lent(block, self.mended.as_deref());
                return Ok(self.dispatch.fields(fields));
            }
            self.dispatch.fields(self.framer.lent(block, self.mended.as_deref()));
        }
        Ok(None)
    }

    /// The id to send as `Last-Event-ID` when reconnecting; nothing is sent if it is empty.
    ///
    /// It changes with every block that has an id, even one without data.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        &self.dispatch.last_event_id
    }

    /// How long to wait before reconnecting, if the stream has said so: even in a block that is
    /// not closed, as long as the line is. A value of no digits at all is ignored.
    #[must_use]
    pub fn retry(&self) -> Option<Duration> {
        self.framer.pending_retry().or(self.dispatch.retry)
    }
}

/// Why a stream cannot be read any further.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// A block is longer than the limit. The sender is at fault, or the limit is too low for it.
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { limit } => write!(
                f,
                "the stream has an event longer than the limit of {limit} bytes: raise the limit \
                 if it is meant, or have the sender close its events with blank lines"
            ),
        }
    }
}

impl std::error::Error for DecodeError {}
