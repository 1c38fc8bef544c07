//! [`Frame`]: the wire bytes of one block of a stream, and its lines as [`Field`]s.

use std::time::Duration;

use bytes::Bytes;
use memchr::memchr2;

use crate::Event;
use crate::event::is_id;

/// Frames that are ready together leave together, until they have come to so many bytes. The one
/// that crosses the line is still taken.
pub(crate) const MAX_BATCH_BYTES: usize = 64 * 1024;

/// The wire bytes of one block of a stream, blank line included.
///
/// A frame comes from a [`Framer`](crate::Framer) or from an [`Event`]; so it is whole, and
/// writing frames one after the other gives a well-formed stream. Cloning one copies no bytes.
///
/// A stream that begins with a frame should begin with something else, a comment for instance:
/// a client drops a byte order mark from the very start of a response, and so would read a frame
/// that has one as its first character (an unknown field, then) as if it had none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    bytes: Bytes,
    has_data: bool,
}

impl Frame {
    /// `bytes` must be one whole block, blank line included; `has_data`: it has a `data` field.
    pub(crate) const fn new(bytes: Bytes, has_data: bool) -> Self {
        Self { bytes, has_data }
    }

    /// The bytes, as they are written to a stream.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The bytes, as they are written to a stream.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// Its lines, interpreted, in order; the blank line at the end is not one of them.
    ///
    /// ```
    /// use sse_layer::{Event, Field, Frame};
    ///
    /// let frame = Frame::from(Event::new().id(7.into()).data("a\nb"));
    /// let fields: Vec<_> = frame.fields().collect();
    /// assert_eq!(fields, [Field::Id(b"7"), Field::Data(b"a"), Field::Data(b"b")]);
    /// ```
    #[must_use]
    pub fn fields(&self) -> Fields<'_> {
        Fields::of(&self.bytes)
    }

    /// Whether a client dispatches an event for it: it has a `data` field, if an empty one.
    #[must_use]
    pub const fn has_data(&self) -> bool {
        self.has_data
    }

    /// The id that it sets: `None` leaves the client's last event id as it is, an empty one
    /// clears it. The last valid `id` field counts.
    #[must_use]
    pub fn id(&self) -> Option<&[u8]> {
        last(self.fields(), |field| match field {
            Field::Id(id) => Some(id),
            _ => None,
        })
    }

    /// The type of its event: the last `event` field, or `message` if that is empty or missing.
    #[must_use]
    pub fn event_type(&self) -> &[u8] {
        let named = last(self.fields(), |field| match field {
            Field::Event(event_type) => Some(event_type),
            _ => None,
        });
        named.filter(|name| !name.is_empty()).unwrap_or(b"message")
    }

    /// The reconnection time that it sets: the last valid `retry` field.
    #[must_use]
    pub fn retry(&self) -> Option<Duration> {
        self.fields().retry()
    }
}

impl From<&Event> for Frame {
    fn from(event: &Event) -> Self {
        Self::new(event.to_bytes(), event.has_data())
    }
}

impl From<Event> for Frame {
    fn from(event: Event) -> Self {
        Self::from(&event)
    }
}

/// One line of a frame. Values are raw bytes (UTF-8 unless the sender erred), without the one
/// space that may follow the colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field<'a> {
    /// `event`: the type.
    Event(&'a [u8]),
    /// `data`: one line of the data.
    Data(&'a [u8]),
    /// `id`: without NUL; empty clears the id.
    Id(&'a [u8]),
    /// `retry`: the reconnection time, from digits that fit 64 bits as milliseconds.
    Retry(Duration),
    /// A line that starts with a colon.
    Comment(&'a [u8]),
    /// Whatever clients ignore: any other name, an `id` with NUL, a `retry` that is no number.
    Unknown {
        /// What stands before the colon; the whole line if there is none.
        name: &'a [u8],
        /// What stands after it.
        value: &'a [u8],
    },
}

impl<'a> Field<'a> {
    /// Interprets one line, which is not empty and has no line end.
    #[inline]
    pub(crate) fn of(line: &'a [u8]) -> Self {
        let (name, value) = split(line);
        let value = value.map_or(b"".as_slice(), without_space);
        match name {
            b"data" => Self::Data(value),
            b"event" => Self::Event(value),
            b"id" if is_id(value) => Self::Id(value),
            b"retry" => milliseconds(value).map_or(Self::Unknown { name, value }, Self::Retry),
            b"" => Self::Comment(value),
            _ => Self::Unknown { name, value },
        }
    }
}

/// A line's name, and what follows its first colon.
#[inline]
pub(crate) fn split(line: &[u8]) -> (&[u8], Option<&[u8]>) {
    // By far the most frequent.
    if let Some(value) = line.strip_prefix(b"data:") {
        return (b"data", Some(value));
    }
    // Names are short: a vectorised search would cost more than it saves.
    let colon = line.iter().position(|byte| *byte == b':');
    match colon.and_then(|colon| line.split_at_checked(colon)) {
        Some((name, rest)) => (name, rest.get(1..)),
        None => (line, None),
    }
}

/// Without the one space that may follow the colon.
#[inline]
pub(crate) fn without_space(value: &[u8]) -> &[u8] {
    value.strip_prefix(b" ").unwrap_or(value)
}

/// The number that `digits` are. The standard sets no bound; like browsers, more than 64 bits
/// and no digits at all count as no number.
fn milliseconds(digits: &[u8]) -> Option<Duration> {
    let mut digits = digits.iter().map(|b| b.is_ascii_digit().then(|| u64::from(b - b'0')));
    let first = digits.next()??;
    let millis = digits.try_fold(first, |sum, digit| sum.checked_mul(10)?.checked_add(digit?))?;
    Some(Duration::from_millis(millis))
}

/// The last field that `pick` picks.
fn last<'a, T>(fields: Fields<'a>, pick: impl FnMut(Field<'a>) -> Option<T>) -> Option<T> {
    fields.filter_map(pick).last()
}

/// The fields of a [`Frame`], made by [`Frame::fields`].
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    lines: Lines<'a>,
}

impl<'a> Fields<'a> {
    /// The fields of a block or of a part of one.
    pub(crate) const fn of(block: &'a [u8]) -> Self {
        Self { lines: Lines::of(block) }
    }

    /// Whether one of those that are left is `data`.
    pub(crate) fn have_data(mut self) -> bool {
        self.any(|field| matches!(field, Field::Data(_)))
    }

    /// The last valid `retry` of those that are left.
    pub(crate) fn retry(self) -> Option<Duration> {
        last(self, |field| match field {
            Field::Retry(time) => Some(time),
            _ => None,
        })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    #[inline]
    fn next(&mut self) -> Option<Field<'a>> {
        self.lines.next().filter(|line| !line.is_empty()).map(Field::of)
    }
}

/// Lines, each ended by LF, CR LF or CR, and without it.
#[derive(Clone, Debug)]
pub(crate) struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Lines<'a> {
    pub(crate) const fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let (line, rest) = self.rest.split_at_checked(memchr2(b'\r', b'\n', self.rest)?)?;
        self.rest = rest.strip_prefix(b"\r\n").or_else(|| rest.get(1..))?;
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(bytes: &'static str) -> Frame {
        Frame::new(Bytes::from_static(bytes.as_bytes()), bytes.contains("data"))
    }

    #[test]
    fn every_line_is_told_whatever_ends_it() {
        let frame = frame("data: a\r\nid\rfoo: b\n:c\nretry: 5s\nid: \0\n\n");
        let fields: Vec<_> = frame.fields().collect();
        let expected = [
            Field::Data(b"a"),
            Field::Id(b""),
            Field::Unknown { name: b"foo", value: b"b" },
            Field::Comment(b"c"),
            Field::Unknown { name: b"retry", value: b"5s" },
            Field::Unknown { name: b"id", value: b"\0" },
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn the_last_of_each_counts() {
        let frame = frame("id: 1\nevent: a\nretry: 1\nid: 2\nid: \0\nevent: b\nretry: x\n\n");
        assert_eq!(frame.id(), Some(b"2".as_slice()));
        assert_eq!(frame.event_type(), b"b");
        assert_eq!(frame.retry(), Some(Duration::from_millis(1)));
        assert!(!frame.has_data());
    }

    #[test]
    fn an_empty_type_is_message_and_an_empty_id_clears() {
        let frame = frame("event: a\nevent\nid:\n\n");
        assert_eq!(frame.event_type(), b"message");
        assert_eq!(frame.id(), Some(b"".as_slice()));
    }

    #[test]
    fn retry_is_64_bits_of_digits() {
        let cases = [
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("000000000000000000000000000007", Some(7)),
            ("", None),
            ("+1", None),
            ("1 ", None),
            ("\u{661}", None),
        ];
        for (digits, expected) in cases {
            let found = milliseconds(digits.as_bytes());
            assert_eq!(found, expected.map(Duration::from_millis), "{digits:?}");
        }
    }
}
