//! [`Event`]: what a server sends, and the types of its fields.
//!
//! Whatever can be built here can be written: values that the wire format cannot carry are
//! refused when [`EventId`] and [`EventType`] are made, not when they are sent.

mod value;

use std::borrow::Cow;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use memchr::memchr2;
use serde::Serialize;

pub(crate) use self::value::is_id;
pub use self::value::{EventId, EventType, InvalidValue};
use crate::JsonError;

/// One event, or one comment, to be sent.
///
/// Fields are written in a fixed order (comment, `event`, `id`, `retry`, `data`) and closed by a
/// blank line. A browser dispatches an event only if it has data, which may be empty.
///
/// ```
/// use sse_layer::Event;
///
/// let event = Event::new()
///     .event("update".try_into()?)
///     .id("17".try_into()?)
///     .data("two\nlines");
/// assert_eq!(event.to_bytes(), "event: update\nid: 17\ndata: two\ndata: lines\n\n");
/// # Ok::<(), sse_layer::InvalidValue>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Event {
    comment: Option<Cow<'static, str>>,
    event_type: Option<EventType>,
    id: Option<EventId>,
    retry: Option<Duration>,
    data: Option<Cow<'static, str>>,
}

/// The longest reconnection time that is sent: several clients hand it to a 32-bit timer, which
/// would fire at once on anything longer.
const MAX_RETRY_MS: u128 = i32::MAX as u128;

impl Event {
    /// An event without any field.
    pub const fn new() -> Self {
        Self { comment: None, event_type: None, id: None, retry: None, data: None }
    }

    /// Sets the data. Any string will do: CR LF, CR and LF each end a line, and arrive as LF.
    pub fn data(mut self, data: impl Into<Cow<'static, str>>) -> Self {
        self.data = Some(data.into());
        self
    }

    /// Sets the data to `value` as JSON on one line.
    ///
    /// # Errors
    ///
    /// Those of `value`'s own [`Serialize`]; also a map whose keys are not strings.
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Result<Self, JsonError> {
        Ok(self.data(serde_json::to_string(value).map_err(JsonError::new)?))
    }

    /// Sets the type: what `addEventListener` listens to. Without one it is `message`.
    pub fn event(mut self, event_type: EventType) -> Self {
        self.event_type = Some(event_type);
        self
    }

    /// Sets the id, which a client sends back as `Last-Event-ID` when it reconnects.
    pub fn id(mut self, id: EventId) -> Self {
        self.id = Some(id);
        self
    }

    /// Sets how long a client waits before it reconnects, in whole milliseconds. More than
    /// 2<sup>31</sup> - 1 ms is sent as that.
    pub const fn retry(mut self, retry: Duration) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Sets a comment, which clients ignore. Each of its lines becomes a comment line.
    pub fn comment(mut self, comment: impl Into<Cow<'static, str>>) -> Self {
        self.comment = Some(comment.into());
        self
    }

    /// The frame of this event: its wire bytes, blank line included.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.size_hint());
        self.encode(&mut out);
        out.freeze()
    }

    /// Appends the frame of this event to `out`.
    pub fn encode(&self, out: &mut BytesMut) {
        out.reserve(self.size_hint());
        if let Some(comment) = &self.comment {
            put_lines(out, COMMENT, comment.as_bytes());
        }
        if let Some(EventType(event_type)) = &self.event_type {
            put_line(out, EVENT, event_type.as_bytes());
        }
        if let Some(EventId(id)) = &self.id {
            put_line(out, ID, id.as_bytes());
        }
        if let Some(retry) = self.retry {
            put_line(out, RETRY, retry.as_millis().min(MAX_RETRY_MS).to_string().as_bytes());
        }
        if let Some(data) = &self.data {
            put_lines(out, DATA, data.as_bytes());
        }
        out.put_u8(b'\n');
    }

    pub(crate) const fn has_data(&self) -> bool {
        self.data.is_some()
    }

    /// The length of the frame, if no value has line breaks and there is no reconnection time.
    /// Bytes that fill their room can be shared without another allocation.
    fn size_hint(&self) -> usize {
        let line = |name: &[u8], value: &str| name.len() + value.len() + 1;
        self.comment.as_ref().map_or(0, |comment| line(COMMENT, comment))
            + self.event_type.as_ref().map_or(0, |event_type| line(EVENT, &event_type.0))
            + self.id.as_ref().map_or(0, |id| line(ID, &id.0))
            + self.retry.map_or(0, |_| line(RETRY, "1234567890"))
            + self.data.as_ref().map_or(0, |data| line(DATA, data))
            + 1
    }
}

// What each kind of line starts with.
const COMMENT: &[u8] = b": ";
const EVENT: &[u8] = b"event: ";
const ID: &[u8] = b"id: ";
const RETRY: &[u8] = b"retry: ";
pub(crate) const DATA: &[u8] = b"data: ";

/// Writes `value`, which has no line break, as one line.
fn put_line(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    out.put_slice(name);
    out.put_slice(value);
    out.put_u8(b'\n');
}

/// Writes each line of `value` as one line of its own (rule 65 of the standard's grammar: CR LF,
/// LF and CR all end a line).
pub(crate) fn put_lines(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    let mut rest = value;
    while let Some(end) = memchr2(b'\r', b'\n', rest) {
        let (line, tail) = rest.split_at(end);
        put_line(out, name, line);
        rest = tail.strip_prefix(b"\r\n").unwrap_or_else(|| tail.get(1..).unwrap_or_default());
    }
    put_line(out, name, rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_in_a_fixed_order() {
        let event = Event::new()
            .data("d")
            .retry(Duration::from_millis(1500))
            .id(EventId::from(7))
            .event("t".try_into().unwrap())
            .comment("c");
        assert_eq!(event.to_bytes(), ": c\nevent: t\nid: 7\nretry: 1500\ndata: d\n\n");
    }

    #[test]
    fn each_kind_of_line_break_ends_one_data_line() {
        let event = Event::new().data("a\r\nb\rc\nd\n");
        assert_eq!(event.to_bytes(), "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n");
    }

    #[test]
    fn a_leading_space_survives() {
        assert_eq!(Event::new().data(" x").to_bytes(), "data:  x\n\n");
    }

    #[test]
    fn line_breaks_in_a_comment_cannot_open_a_field() {
        assert_eq!(Event::new().comment("a\rdata: b").to_bytes(), ": a\n: data: b\n\n");
    }

    #[test]
    fn a_reconnection_time_stays_within_what_timers_take() {
        let event = Event::new().retry(Duration::MAX);
        assert_eq!(event.to_bytes(), "retry: 2147483647\n\n");
    }

    #[test]
    fn json_is_one_line() {
        let event = Event::new().json(&["a\nb"]).unwrap();
        assert_eq!(event.to_bytes(), "data: [\"a\\nb\"]\n\n");
    }
}
