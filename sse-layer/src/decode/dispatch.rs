//! From the fields of a block to its event.

use std::time::Duration;

use simdutf8::basic::from_utf8;

use super::MessageRef;
use crate::Field;
use crate::framer::Plain;

/// What is remembered from block to block, and room for what cannot be lent as it came.
#[derive(Debug)]
pub(super) struct Dispatch {
    pub(super) last_event_id: String,
    pub(super) retry: Option<Duration>,
    /// The data, if it has several lines: it has at least a line break then.
    joined: Vec<u8>,
    lossy: Lossy,
}

/// Values that are not UTF-8, mended.
#[derive(Debug)]
struct Lossy {
    event_type: String,
    data: String,
}

impl Dispatch {
    pub(super) const fn new() -> Self {
        Self {
            last_event_id: String::new(),
            retry: None,
            joined: Vec::new(),
            lossy: Lossy { event_type: String::new(), data: String::new() },
        }
    }

    /// Applies what a plain block says, and gives its event.
    #[inline]
    pub(super) fn plain<'a>(&'a mut self, block: Plain<'a>) -> Option<MessageRef<'a>> {
        match block.lone_data() {
            Some(data) => Some(message(b"", data, &self.last_event_id, &mut self.lossy)),
            None => self.fields(block.fields()),
        }
    }

    /// Applies what a block says. Gives its event, if it has data.
    pub(super) fn fields<'a>(
        &'a mut self,
        fields: impl Iterator<Item = Field<'a>>,
    ) -> Option<MessageRef<'a>> {
        let mut event_type = b"".as_slice();
        let mut data = None;
        self.joined.clear();
        for field in fields {
            match field {
                Field::Event(value) => event_type = value,
                Field::Id(value) => {
                    self.last_event_id.clear();
                    self.last_event_id.push_str(text(value, &mut self.lossy.data));
                }
                Field::Retry(time) => self.retry = Some(time),
                Field::Data(line) => match data {
                    None => data = Some(line),
                    Some(first) => join(&mut self.joined, first, line),
                },
                Field::Comment(_) | Field::Unknown { .. } => {}
            }
        }
        let data = if self.joined.is_empty() { data? } else { &self.joined };
        Some(message(event_type, data, &self.last_event_id, &mut self.lossy))
    }
}

/// Adds a line to data that is empty if only the `first` has come.
#[inline]
fn join(joined: &mut Vec<u8>, first: &[u8], line: &[u8]) {
    if joined.is_empty() {
        joined.extend_from_slice(first);
    }
    joined.push(b'\n');
    joined.extend_from_slice(line);
}

#[inline]
fn message<'a>(
    event_type: &'a [u8],
    data: &'a [u8],
    last_event_id: &'a str,
    lossy: &'a mut Lossy,
) -> MessageRef<'a> {
    let is_named = !event_type.is_empty();
    MessageRef {
        event_type: if is_named { text(event_type, &mut lossy.event_type) } else { "message" },
        data: text(data, &mut lossy.data),
        last_event_id,
    }
}

/// Decodes a value. Line ends, colons and blanks are never part of a broken sequence, so decoding
/// values one by one gives what decoding the whole stream would.
#[inline]
fn text<'a>(value: &'a [u8], lossy: &'a mut String) -> &'a str {
    match from_utf8(value) {
        Ok(text) => text,
        Err(_) => {
            *lossy = String::from_utf8_lossy(value).into_owned();
            lossy
        }
    }
}
