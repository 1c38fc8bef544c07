//! [`Decoder`]: from the bytes of a stream to what a browser makes of them.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use simdutf8::basic::from_utf8;

use crate::{Field, Fields, Framer, Repairs};

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

/// Reads a stream as a browser does.
///
/// [Push](Self::push) what comes, then take [events](Self::next_event) until there is none. How
/// the bytes are cut makes no difference. Bytes that are not UTF-8 become U+FFFD. An event that
/// is cut off by the end of the stream is none.
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
#[derive(Debug, Default)]
pub struct Decoder {
    framer: Framer,
    last_event_id: String,
    retry: Option<Duration>,
}

impl Decoder {
    /// A decoder that makes no repairs and has the [default limit](Framer::DEFAULT_LIMIT).
    #[must_use]
    pub const fn new() -> Self {
        Self { framer: Framer::new(), last_event_id: String::new(), retry: None }
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
        self.last_event_id = id;
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
    pub fn next_event(&mut self) -> Result<Option<MessageEvent>, DecodeError> {
        let Self { framer, last_event_id, retry } = self;
        let mut dispatch = |fields: Fields<'_>| dispatch(fields, last_event_id, retry);
        while let Some(event) = framer.read_fields(&mut dispatch)? {
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    /// The id to send as `Last-Event-ID` when reconnecting; nothing is sent if it is empty.
    ///
    /// It changes with every block that has an id, even one without data.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// How long to wait before reconnecting, if the stream has said so: even in a block that is
    /// not closed, as long as the line is. A value of no digits at all is ignored.
    #[must_use]
    pub fn retry(&self) -> Option<Duration> {
        self.framer.pending_retry().or(self.retry)
    }
}

/// Applies what a block says. Gives its event, if it has data.
fn dispatch(
    mut fields: Fields<'_>,
    last_event_id: &mut String,
    retry: &mut Option<Duration>,
) -> Option<MessageEvent> {
    let mut event_type = b"".as_slice();
    let mut id = None;
    let mut data = None;
    while let Some(field) = fields.next() {
        match field {
            Field::Event(value) => event_type = value,
            Field::Id(value) => id = Some(value),
            Field::Retry(time) => *retry = Some(time),
            Field::Data(line) => append_line(&mut data, line, fields.bytes_left()),
            Field::Comment(_) | Field::Unknown { .. } => {}
        }
    }
    if let Some(id) = id {
        last_event_id.clear();
        last_event_id.push_str(&text(id));
    }
    data.map(|data| MessageEvent {
        event_type: if event_type.is_empty() {
            "message".to_owned()
        } else {
            text(event_type).into_owned()
        },
        data,
        last_event_id: last_event_id.clone(),
    })
}

/// Adds a line to the data, which is joined by LF.
fn append_line(data: &mut Option<String>, line: &[u8], bytes_left: usize) {
    match data {
        None => {
            // Room for the lines to come, so that it need not grow with each.
            let mut first = String::with_capacity(line.len() + bytes_left);
            first.push_str(&text(line));
            *data = Some(first);
        }
        Some(data) => {
            data.push('\n');
            data.push_str(&text(line));
        }
    }
}

/// Decodes a value. Line ends, colons and blanks are never part of a broken sequence, so decoding
/// values one by one gives what decoding the whole stream would.
fn text(value: &[u8]) -> Cow<'_, str> {
    // The lossy conversion goes byte by byte even where nothing is lost.
    from_utf8(value).map_or_else(|_| String::from_utf8_lossy(value), Cow::Borrowed)
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
