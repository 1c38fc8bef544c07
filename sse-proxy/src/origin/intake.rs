//! [`Intake`]: from the bytes of an origin's body to frames.

use bytes::Bytes;
use encoding_rs::Encoding;
use sse_layer::{Frame, Framer, Repairs};

use super::OriginError;
use super::decode::Decoding;
use super::head::StreamHead;

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
    transcoded: bool,
    /// Which repairs have been made, and told, so far.
    repaired: Repairs,
    hinted: Repairs,
    looks: u32,
}

impl Intake {
    /// For the body that follows `head`; no frame may be larger than `limit` bytes.
    pub(crate) fn new(head: &mut StreamHead, repairs: Repairs, limit: usize) -> Self {
        Self {
            input: Bytes::new(),
            decoding: std::mem::replace(&mut head.decoding, Decoding::Plain),
            framer: Framer::new().with_limit(limit).with_repairs(repairs),
            charset: head.charset,
            transcoded: false,
            repaired: Repairs::NONE,
            hinted: Repairs::NONE,
            looks: LOOKS,
        }
    }

    /// Takes a piece of the body. The frames of the piece before must have been taken.
    pub(crate) fn push(&mut self, chunk: Bytes) {
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
        Ok(match (frame, self.charset) {
            (Some(frame), Some(charset)) if std::str::from_utf8(frame.bytes()).is_err() => {
                self.transcoded = true;
                Some(transcode(&frame, charset))
            }
            (frame, _) => frame,
        })
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

    /// Repairs made that have not been told of, and repairs that are off but would mend what was
    /// seen.
    pub(crate) fn news(&mut self) -> (Repairs, Repairs) {
        let mut made = self.framer.take_repaired();
        if self.transcoded {
            made |= Repairs::TRANSCODE;
        }
        let hints = match self.looks.checked_sub(1) {
            Some(left) => {
                self.looks = left;
                self.framer.hints()
            }
            None => Repairs::NONE,
        };
        let news = (made.without(self.repaired), hints.without(self.hinted));
        self.repaired |= made;
        self.hinted |= hints;
        news
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
