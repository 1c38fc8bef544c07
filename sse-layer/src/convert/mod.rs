//! [`Converter`]: makes an event stream of other formats that come record by record.
//!
//! Each complete record becomes one event, whose data is the record. What is cut off by the end
//! is not sent. The [layer](crate::SseLayer::convert) does this for responses that say which
//! format they are of.

mod blocks;
mod lines;
mod sequence;

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;

use self::blocks::Blocks;
use self::lines::Lines;
use self::sequence::Sequence;
use crate::event::{DATA, put_lines};
use crate::head;
use crate::{DecodeError, Frame, Framer};

/// A format that can be converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Convert {
    /// JSON texts, one on each line; blank lines are skipped. As `application/x-ndjson`,
    /// `application/ndjson` or `application/jsonl`; and, since some servers say that of anything
    /// that streams, as `text/event-stream`: there a block all of whose lines are JSON texts, which
    /// no client could make anything of, is one event a line.
    Ndjson,
    /// JSON text sequences (RFC 7464), as `application/json-seq`: texts with a record separator
    /// before each and a line feed after. One that is cut off by the next is skipped.
    JsonSeq,
    /// Text of which each line is one event, blank ones too, as `text/plain` in UTF-8.
    Lines,
}

impl Convert {
    /// Whether a response with these headers says that it is of this format. An event stream is
    /// not, though [`Ndjson`](Self::Ndjson) looks into those as well.
    #[must_use]
    pub fn is_named_by(self, headers: &HeaderMap) -> bool {
        let names: &[&[u8]] = match self {
            Self::Ndjson => &[b"application/x-ndjson", b"application/ndjson", b"application/jsonl"],
            Self::JsonSeq => &[b"application/json-seq"],
            Self::Lines => &[b"text/plain"],
        };
        head::media_type(headers).is_some_and(|media_type| {
            names.iter().any(|name| media_type.eq_ignore_ascii_case(name))
                && (self != Self::Lines || !head::has_other_charset(headers))
        })
    }
}

/// Makes an event stream of the bytes of another format, with the same result for any cut of the
/// bytes into reads. Holds back no complete record.
///
/// [Push](Self::push) what comes, then take [frames](Self::next_frame) until there is none.
///
/// ```
/// use sse_layer::convert::{Convert, Converter};
///
/// let mut converter = Converter::new(Convert::Ndjson);
/// converter.push("{\"a\":1}\n{\"a\"".into());
/// let frame = converter.next_frame()?.expect("a complete line");
/// assert_eq!(frame.bytes(), "data: {\"a\":1}\n\n");
/// assert!(converter.next_frame()?.is_none());
/// # Ok::<(), sse_layer::convert::TooLong>(())
/// ```
#[derive(Debug)]
pub struct Converter {
    format: Format,
}

#[derive(Debug)]
enum Format {
    Ndjson(Lines),
    Lines(Lines),
    JsonSeq(Sequence),
    Blocks(Box<Blocks>),
}

impl Converter {
    /// The longest record if no other limit is set, as for [events](Framer::DEFAULT_LIMIT).
    pub const DEFAULT_LIMIT: usize = Framer::DEFAULT_LIMIT;

    /// A converter from `format`, with the [default limit](Self::DEFAULT_LIMIT).
    #[must_use]
    pub fn new(format: Convert) -> Self {
        let format = match format {
            Convert::Ndjson => Format::Ndjson(Lines::new(Self::DEFAULT_LIMIT)),
            Convert::Lines => Format::Lines(Lines::new(Self::DEFAULT_LIMIT)),
            Convert::JsonSeq => Format::JsonSeq(Sequence::new(Self::DEFAULT_LIMIT)),
        };
        Self { format }
    }

    /// A converter for event streams that may have blocks of JSON lines in them, see
    /// [`Convert::Ndjson`]. `framer` cuts the blocks; those that are sound are frames as it makes
    /// them. Lines of JSON
    /// need no blank line after them. Half a block at the end is left out, but for a reconnection time.
    #[must_use]
    pub fn within_event_stream(framer: Framer) -> Self {
        Self { format: Format::Blocks(Box::new(Blocks::new(framer))) }
    }

    /// Sets the longest record, in bytes as they come. Not for event streams, where it is their
    /// framer's.
    #[must_use]
    pub fn with_limit(mut self, bytes: usize) -> Self {
        match &mut self.format {
            Format::Ndjson(lines) | Format::Lines(lines) => lines.set_limit(bytes),
            Format::JsonSeq(sequence) => sequence.set_limit(bytes),
            Format::Blocks(_) => {}
        }
        self
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: Bytes) {
        match &mut self.format {
            Format::Ndjson(lines) | Format::Lines(lines) => lines.push(bytes),
            Format::JsonSeq(sequence) => sequence.push(bytes),
            Format::Blocks(blocks) => blocks.push(bytes),
        }
    }

    /// Tells that the sender has ended the body. It may show that a last record is complete.
    pub fn finish(&mut self) {
        match &mut self.format {
            Format::Ndjson(_) | Format::Lines(_) => {}
            Format::JsonSeq(sequence) => sequence.finish(),
            Format::Blocks(blocks) => blocks.finish(),
        }
    }

    /// The next event, or `None` if more bytes are needed.
    ///
    /// # Errors
    ///
    /// [`TooLong`] if a record is longer than the limit, and from then on always.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, TooLong> {
        match &mut self.format {
            Format::Ndjson(lines) => loop {
                match lines.next_line()? {
                    Some(line) if line.trim_ascii().is_empty() => {}
                    line => return Ok(line.map(|line| frame(&line))),
                }
            },
            Format::Lines(lines) => Ok(lines.next_line()?.map(|line| frame(&line))),
            Format::JsonSeq(sequence) => Ok(sequence.next_text()?.map(|text| frame(&text))),
            Format::Blocks(blocks) => blocks.next_frame(),
        }
    }
}

/// The event whose data is `record`. A CR or LF in it ends a line of the data, as clients would
/// read it anyway.
fn frame(record: &[u8]) -> Frame {
    let mut out = BytesMut::with_capacity(record.len() + "data: \n\n".len());
    put_lines(&mut out, DATA, record);
    out.put_u8(b'\n');
    Frame::new(out.freeze(), true)
}

/// A record, or a block of an event stream, is longer than the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    limit: usize,
}

impl TooLong {
    /// The limit, in bytes.
    #[must_use]
    pub const fn limit(self) -> usize {
        self.limit
    }
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a record is longer than the limit of {} bytes", self.limit)
    }
}

impl std::error::Error for TooLong {}

impl From<DecodeError> for TooLong {
    fn from(error: DecodeError) -> Self {
        let DecodeError::TooLong { limit } = error;
        Self { limit }
    }
}

#[cfg(test)]
mod tests;
