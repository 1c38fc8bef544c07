//! [`Framer`]: cuts a byte stream into [`Frame`]s.

mod cut;
mod noted;
mod plain;

use std::mem;
use std::time::Duration;

use bytes::Bytes;

pub(crate) use self::cut::Block;
use self::cut::Cutter;
pub(crate) use self::plain::{Line, Plain};
use crate::DecodeError;
use crate::frame::{Fields, Frame};
use crate::repair::{self, Repairs};

/// Cuts a byte stream into [`Frame`]s, with the same result for any cut of the bytes into reads.
///
/// [Push](Self::push) what comes, then take [frames](Self::next_frame) until there is none. A
/// frame that lies within one pushed chunk is a slice of it; only one that began in an earlier
/// chunk is copied. Every byte is looked at once, however small the chunks are.
///
/// Without repairs, the frames and the [remainder](Self::into_remainder) together are the bytes
/// pushed, in order, but for what carries nothing:
///
/// - the byte order mark at the very start of the stream;
/// - blank lines beyond the one that ends a block, and those before the first;
/// - the LF of a CR LF that ends a block, if it comes in another chunk than the CR. The frame
///   leaves when its CR has come, as a lone CR ends a line too, and must not wait.
///
/// Blocks without data (comments alone, an id, a reconnection time, unknown fields) are frames
/// like others.
///
/// ```
/// use bytes::Bytes;
/// use sse_layer::Framer;
///
/// let mut framer = Framer::new();
/// framer.push(Bytes::from("data: a\n\ndata: b\n"));
/// let frame = framer.next_frame()?.expect("a whole block");
/// assert_eq!(frame.bytes(), "data: a\n\n");
/// assert!(framer.next_frame()?.is_none());
/// assert_eq!(framer.into_remainder(), "data: b\n");
/// # Ok::<(), sse_layer::DecodeError>(())
/// ```
#[derive(Debug)]
pub struct Framer {
    cutter: Cutter,
    repairs: Repairs,
    repaired: Repairs,
    hints: Repairs,
}

impl Default for Framer {
    fn default() -> Self {
        Self::new()
    }
}

impl Framer {
    /// The longest frame if no other limit is set. The standard has none, and cutting silently
    /// would be wrong, but without any a sender could fill the memory.
    pub const DEFAULT_LIMIT: usize = 16 << 20;

    /// A framer that makes no repairs and has the [default limit](Self::DEFAULT_LIMIT).
    #[must_use]
    pub const fn new() -> Self {
        Self {
            cutter: Cutter::new(Self::DEFAULT_LIMIT),
            repairs: Repairs::NONE,
            repaired: Repairs::NONE,
            hints: Repairs::NONE,
        }
    }

    /// Sets the longest frame, in bytes as they come: before repairs, and without the LF of a
    /// last CR LF.
    #[must_use]
    pub fn with_limit(mut self, bytes: usize) -> Self {
        self.cutter.set_limit(bytes);
        self
    }

    /// Sets the repairs to make. Those that concern no bytes have no effect here.
    ///
    /// A block that needs none is passed as it came; one that is mended has LF line ends.
    #[must_use]
    pub fn with_repairs(mut self, repairs: Repairs) -> Self {
        self.repairs = repairs;
        self.cutter.set_repairs(repairs);
        self
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: Bytes) {
        self.cutter.push(bytes);
    }

    /// Tells that the stream has ended, which matters to the repairs `final-blank-line`,
    /// `line-per-event` and `crcrlf` alone. What they make of the last bytes are the next frames.
    ///
    /// `is_meant`: the protocol shows that the sender ended the body here (by a last chunk, a
    /// length, a flag), while a connection that closes may also have been cut.
    pub fn finish(&mut self, is_meant: bool) {
        self.cutter.finish(is_meant);
    }

    /// The next whole block, or `None` if more bytes are needed.
    ///
    /// # Errors
    ///
    /// [`DecodeError::TooLong`] if a block is longer than the limit, and from then on always.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, DecodeError> {
        if self.cutter.is_waiting() {
            return Ok(None);
        }
        if self.cutter.next_plain(|_| ()) {
            return Ok(Some(Frame::new(self.cutter.take_chunk(), true)));
        }
        let Some(block) = self.cutter.next_block()? else { return Ok(None) };
        let mended = self.mend(block);
        let bytes = self.cutter.take(block);
        Ok(Some(match mended {
            Some(mended) => {
                let has_data = Fields::of(&mended).have_data();
                Frame::new(mended.into(), has_data)
            }
            None => Frame::new(bytes, block.has_data),
        }))
    }

    /// Turns to the next whole block, if it is plain. Tells whether it is. There is room for its
    /// lines in `lines`.
    #[inline]
    pub(crate) fn lend_plain(&mut self, lines: &mut Vec<Line>) -> bool {
        lines.clear();
        self.cutter.next_plain(|line| lines.push(line))
    }

    /// The plain block that was [turned to](Self::lend_plain) last, with its lines.
    #[inline]
    pub(crate) fn plain<'a>(&'a self, lines: &'a [Line]) -> Plain<'a> {
        Plain { bytes: self.cutter.peek_chunk(), lines }
    }

    /// Turns to the next whole block, whose [fields](Self::lent) can be read until the one after
    /// it. Unlike with [`next_frame`](Self::next_frame), its bytes are not shared, which is dear.
    /// There is room in `mended` for one that has to be.
    #[inline]
    pub(crate) fn lend_block(
        &mut self,
        mended: &mut Option<Vec<u8>>,
    ) -> Result<Option<Block>, DecodeError> {
        let Some(mut block) = self.cutter.next_block()? else { return Ok(None) };
        *mended = self.mend(block);
        if let Some(bytes) = mended {
            block.has_data = Fields::of(bytes).have_data();
        }
        Ok(Some(block))
    }

    /// The fields of the block that was [turned to](Self::lend_block) last, as it was `mended`.
    pub(crate) fn lent<'a>(&'a self, block: Block, mended: Option<&'a [u8]>) -> Fields<'a> {
        Fields::of(mended.unwrap_or_else(|| self.cutter.peek(block)))
    }

    /// Whether a block has begun and is not closed. Frames that were not taken yet count too.
    #[must_use]
    pub fn is_mid_frame(&self) -> bool {
        !self.cutter.is_empty()
    }

    /// The bytes of the unfinished block, as they came.
    ///
    /// At the end of a stream they are never an event, and never become one: no client dispatches
    /// a block without its blank line. A relay that changes nothing passes them on.
    #[must_use]
    pub fn into_remainder(self) -> Bytes {
        self.cutter.into_remainder()
    }

    /// The last valid reconnection time among the complete lines of the unfinished block: it
    /// takes effect when its line ends, even if its block never does.
    #[must_use]
    pub fn pending_retry(&self) -> Option<Duration> {
        let (lines, is_odd) = self.cutter.complete_lines();
        let mended = is_odd.then(|| repair::mend(lines, self.repairs)).flatten();
        Fields::of(mended.as_ref().map_or(lines, |(lines, _)| lines)).retry()
    }

    /// The lines of the unfinished block that have ended, if all blocks before were taken.
    pub(crate) fn complete_lines(&self) -> &[u8] {
        self.cutter.complete_lines().0
    }

    /// Takes these lines away: what follows them begins a block.
    pub(crate) fn drop_complete_lines(&mut self) {
        self.cutter.drop_complete_lines();
    }

    /// The repairs made since this was last asked.
    pub fn take_repaired(&mut self) -> Repairs {
        mem::take(&mut self.repaired)
    }

    /// The repairs that are off and would have changed what has come so far. What they would have
    /// mended may be meant as it is: this is for a log, for a person to decide.
    ///
    /// `normalise-eol` and `text-continuation` are never hinted at, as what they change is common
    /// in sound streams; nor are `crcrlf` and `cesu8`, which would have to be looked for.
    #[must_use]
    pub fn hints(&self) -> Repairs {
        let (lines, is_odd) = self.cutter.complete_lines();
        let pending = if is_odd { repair::hints(lines) } else { Repairs::NONE };
        self.hints | (pending | self.cutter.pending_hints()).without(self.repairs)
    }

    /// The block with the repairs that it needs, if any.
    #[inline]
    fn mend(&mut self, block: Block) -> Option<Vec<u8>> {
        self.repaired |= block.made;
        self.hints |= block.hints.without(self.repairs);
        let has_cr = block.has_cr && self.repairs.contains(Repairs::NORMALISE_EOL);
        if !block.is_odd && !has_cr {
            return None;
        }
        let bytes = self.cutter.peek(block);
        if block.is_odd {
            self.hints |= repair::hints(bytes).without(self.repairs);
        }
        let (mended, made) = repair::mend(bytes, self.repairs)?;
        self.repaired |= made;
        Some(mended)
    }
}
