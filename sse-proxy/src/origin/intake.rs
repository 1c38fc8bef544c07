//! [`Intake`]: from the bytes of an origin's body to frames.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sse_layer::convert::Converter;
use sse_layer::{Frame, Framer, Repairs};

use super::OriginError;
use super::charset::Charset;
use super::decode::{Decoding, GZIP_MARK};
use super::head::StreamHead;
use crate::record::Record;

/// How often the beginning of a stream is looked at for faults that are not being mended: enough to
/// know a server's habits.
const LOOKS: u32 = 64;

/// What is told of a body that swells to blank lines.
const BLANK: &str = "the stream has blank lines longer than twice the limit of events, in a few \
                     bytes of its content coding";

/// From the bytes of an origin's body to frames: content coding undone, cut, mended.
pub(crate) struct Intake {
    /// What has come and is not decoded yet.
    input: Bytes,
    decoding: Decoding,
    charset: Charset,
    cutter: Cutter,
    /// How much of the piece at hand has been decoded since the last frame.
    barren: usize,
    /// The longest frame, in bytes.
    limit: usize,
    /// Whether there may be a frame in what has come.
    has_more: bool,
    looks: u32,
    /// Events and bytes that have come since that was last told.
    events: u64,
    bytes: u64,
    record: Arc<Record>,
}

/// What cuts the body.
enum Cutter {
    /// An event stream.
    Frames(Framer),
    /// Something else, record by record.
    Records(Converter),
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
        record.repaired(head.repaired);
        record.hint(head.hints);
        let framer = Framer::new().with_limit(limit).with_repairs(repairs);
        Self {
            input: Bytes::new(),
            decoding: std::mem::replace(&mut head.decoding, Decoding::Plain),
            charset: std::mem::replace(&mut head.charset, Charset::Utf8),
            cutter: match head.convert {
                None => Cutter::Frames(framer),
                Some(_) if head.is_labelled => {
                    Cutter::Records(Converter::within_event_stream(framer))
                }
                Some(format) => Cutter::Records(Converter::new(format).with_limit(limit)),
            },
            barren: 0,
            limit,
            has_more: false,
            looks: LOOKS,
            events: 0,
            bytes: 0,
            record,
        }
    }

    /// Takes a piece of the body. The frames of the piece before must have been taken.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        if self.looks == LOOKS && self.decoding.is_plain() && chunk.starts_with(GZIP_MARK) {
            self.record.hint(Repairs::DECODE_UNDECLARED);
        }
        self.bytes += chunk.len() as u64;
        self.input = chunk;
        self.barren = 0;
        self.has_more = true;
    }

    /// Whether there may be a [next frame](Self::next_frame).
    pub(crate) const fn has_more(&self) -> bool {
        self.has_more
    }

    /// The next frame, if one is complete.
    ///
    /// What has come is decoded no further than for one frame: what a little of it may swell to is
    /// never there all at once.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Frame>, OriginError> {
        loop {
            if let Some(frame) = self.cutter.next_frame()? {
                self.barren = 0;
                return Ok(Some(self.passed(frame)));
            }
            if self.input.is_empty() && !self.decoding.has_more() {
                self.tell();
                self.has_more = false;
                return Ok(None);
            }
            let decoded = self.decoding.decode(&mut self.input).map_err(|error| {
                // Nothing has come of it at all.
                if self.looks == LOOKS && self.events == 0 {
                    self.record.hint(Repairs::DECODE_MISDECLARED);
                }
                OriginError::Coding(error)
            })?;
            self.barren += decoded.len();
            if self.barren / 2 > self.limit && !self.decoding.is_plain() {
                // Blank lines, which no limit of frames is for, and a writer would be busy with.
                return Err(OriginError::too_long(BLANK));
            }
            self.cutter.push(self.charset.widen(decoded));
        }
    }

    /// The frame in UTF-8, counted, and what was mended of it told.
    fn passed(&mut self, frame: Frame) -> Frame {
        self.events += u64::from(frame.has_data());
        let mut made = self.cutter.take_repaired();
        let transcoded = self.charset.transcode(&frame);
        if transcoded.is_some() {
            made |= Repairs::TRANSCODE;
        } else if self.looks > 0 && std::str::from_utf8(frame.bytes()).is_err() {
            self.record.hint(Repairs::TRANSCODE_UNDECLARED);
        }
        self.record.repaired(made);
        transcoded.unwrap_or(frame)
    }

    /// Takes the end of the body, which some repairs make a frame of. `is_meant`: the origin said
    /// that it ends here, while a connection that closes may as well have been cut.
    pub(crate) fn finish(&mut self, is_meant: bool) {
        self.has_more = true;
        match &mut self.cutter {
            Cutter::Frames(framer) => framer.finish(is_meant),
            Cutter::Records(converter) => converter.finish(),
        }
    }

    /// The reconnection time that has come after the last whole frame: it has effect though its
    /// block has no end.
    pub(crate) fn pending_retry(&self) -> Option<Duration> {
        match &self.cutter {
            Cutter::Frames(framer) => framer.pending_retry(),
            Cutter::Records(_) => None,
        }
    }

    /// What has come after the last whole frame: never an event, but a client that is sent it
    /// will see the stream end as the origin ended it.
    pub(crate) fn into_remainder(self) -> Bytes {
        match self.cutter {
            Cutter::Frames(framer) => framer.into_remainder(),
            Cutter::Records(_) => Bytes::new(),
        }
    }

    /// Tells what has come, and which repairs are off and would have mended some of it.
    fn tell(&mut self) {
        if self.bytes == 0 && self.events == 0 {
            return;
        }
        self.record.came(std::mem::take(&mut self.events), std::mem::take(&mut self.bytes));
        if let Cutter::Frames(framer) = &self.cutter
            && let Some(left) = self.looks.checked_sub(1)
        {
            self.looks = left;
            self.record.hint(framer.hints());
        }
    }
}

impl Cutter {
    fn push(&mut self, bytes: Bytes) {
        match self {
            Self::Frames(framer) => framer.push(bytes),
            Self::Records(converter) => converter.push(bytes),
        }
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, OriginError> {
        match self {
            Self::Frames(framer) => framer.next_frame().map_err(OriginError::too_long),
            Self::Records(converter) => converter.next_frame().map_err(OriginError::too_long),
        }
    }

    fn take_repaired(&mut self) -> Repairs {
        match self {
            Self::Frames(framer) => framer.take_repaired(),
            Self::Records(_) => Repairs::NONE,
        }
    }
}
