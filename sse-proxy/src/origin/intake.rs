//! [`Intake`]: from the bytes of an origin's body to frames.

use std::sync::Arc;

use bytes::Bytes;
use encoding_rs::Encoding;
use sse_layer::{Frame, Framer, Repairs};

use super::OriginError;
use super::decode::Decoding;
use super::head::StreamHead;
use crate::record::Record;

/// How often the beginning of a stream is looked at for faults that are not being mended: enough to
/// know a server's habits.
const LOOKS: u32 = 64;

/// From the bytes of an origin's body to frames: content coding undone, cut, mended.
pub(crate) struct Intake {
    /// What has come and is not decoded yet.
    input: Bytes,
    decoding: Decoding,
    framer: Framer,
    charset: Option<&'static Encoding>,
    looks: u32,
    /// Events and bytes that have come since that was last told.
    events: u64,
    bytes: u64,
    record: Arc<Record>,
}

impl Intake {
    /// For the body that follows `head`; no frame may be larger than `limit` bytes. What comes, and
    /// what is mended, is told to `record`.
    pub(crate) fn new(
        head: &mut StreamHead,
        repairs: Repairs,
        limit: usize,
        record: Arc<Record>,
    ) -> Self {
        record.repaired(head.repaired());
        Self {
            input: Bytes::new(),
            decoding: std::mem::replace(&mut head.decoding, Decoding::Plain),
            framer: Framer::new().with_limit(limit).with_repairs(repairs),
            charset: head.charset,
            looks: LOOKS,
            events: 0,
            bytes: 0,
            record,
        }
    }

    /// Takes a piece of the body. The frames of the piece before must have been taken.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        self.bytes += chunk.len() as u64;
        self.input = chunk;
    }

    /// The next frame, if one is complete.
    ///
    /// What has come is decoded no further than for one frame: what a little of it may swell to is
    /// never there all at once.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Frame>, OriginError> {
        let frame = loop {
            let frame = self.framer.next_frame().map_err(OriginError::TooLong)?;
            if frame.is_some() || self.input.is_empty() {
                break frame;
            }
            let decoded = self.decoding.decode(&mut self.input).map_err(OriginError::Coding)?;
            self.framer.push(decoded);
        };
        let Some(frame) = frame else {
            self.tell();
            return Ok(None);
        };
        self.events += u64::from(frame.has_data());
        let made = self.framer.take_repaired();
        match self.charset {
            Some(charset) if std::str::from_utf8(frame.bytes()).is_err() => {
                self.record.repaired(made | Repairs::TRANSCODE);
                Ok(Some(transcode(&frame, charset)))
            }
            _ => {
                self.record.repaired(made);
                Ok(Some(frame))
            }
        }
    }

    /// Takes the end of the body, which some repairs make a frame of. `is_meant`: the origin said
    /// that it ends here, while a connection that closes may as well have been cut.
    pub(crate) fn finish(&mut self, is_meant: bool) {
        self.framer.finish(is_meant);
    }

    /// What has come after the last whole frame: never an event, but a client that is sent it
    /// will see the stream end as the origin ended it.
    pub(crate) fn into_remainder(self) -> Bytes {
        self.framer.into_remainder()
    }

    /// Tells what has come, and which repairs are off and would have mended some of it.
    fn tell(&mut self) {
        self.record.came(std::mem::take(&mut self.events), std::mem::take(&mut self.bytes));
        if let Some(left) = self.looks.checked_sub(1) {
            self.looks = left;
            self.record.hint(self.framer.hints());
        }
    }
}

/// The frame in UTF-8. The encodings that come here are supersets of ASCII, in which the frame
/// has been cut already: its lines stay what they are.
fn transcode(frame: &Frame, charset: &'static Encoding) -> Frame {
    let (text, _) = charset.decode_without_bom_handling(frame.bytes());
    let mut framer = Framer::new().with_limit(usize::MAX);
    framer.push(Bytes::from(text.into_owned()));
    framer.next_frame().ok().flatten().unwrap_or_else(|| frame.clone())
}
