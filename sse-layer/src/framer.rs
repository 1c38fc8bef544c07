//! [`Framer`]: cuts a byte stream into [`Frame`]s.

use std::collections::VecDeque;
use std::time::Duration;
use std::{iter, mem};

use bytes::{Buf, Bytes};
use memchr::memchr2;

use crate::DecodeError;
use crate::frame::{Fields, Frame};
use crate::repair::{self, Repairs};

const BOM: &[u8] = b"\xEF\xBB\xBF";

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
    /// The chunk that is being looked through, from where the current block starts in it.
    chunk: Bytes,
    /// How far the chunk has been looked through.
    seen: usize,
    /// The chunks after it.
    later: VecDeque<Bytes>,
    /// What the current block has of earlier chunks.
    block: Vec<u8>,
    /// Where in the block, earlier chunks included, the current line starts.
    line: usize,
    /// Whether the block has a line that a repair may concern.
    is_odd: bool,
    /// Whether a byte order mark, or the rest of one, may still come.
    is_at_start: bool,
    limit: usize,
    has_failed: bool,
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
            chunk: Bytes::new(),
            seen: 0,
            later: VecDeque::new(),
            block: Vec::new(),
            line: 0,
            is_odd: false,
            is_at_start: true,
            limit: Self::DEFAULT_LIMIT,
            has_failed: false,
            repairs: Repairs::NONE,
            repaired: Repairs::NONE,
            hints: Repairs::NONE,
        }
    }

    /// Sets the longest frame, in bytes as they come: before repairs, and without the LF of a
    /// last CR LF.
    #[must_use]
    pub const fn with_limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Sets the repairs to make. Those that concern no bytes have no effect here.
    #[must_use]
    pub const fn with_repairs(mut self, repairs: Repairs) -> Self {
        self.repairs = repairs;
        self
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() && !self.has_failed {
            self.later.push_back(bytes);
        }
    }

    /// The next whole block, or `None` if more bytes are needed.
    ///
    /// # Errors
    ///
    /// [`DecodeError::TooLong`] if a block is longer than the limit, and from then on always.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, DecodeError> {
        let Some(block) = self.cut()? else { return Ok(None) };
        let block = if mem::take(&mut self.is_odd) { self.mend(block) } else { block };
        Ok(Some(Frame::new(block)))
    }

    /// Whether a block has begun and is not closed. Frames that were not taken yet count too.
    #[must_use]
    pub fn is_mid_frame(&self) -> bool {
        !(self.block.is_empty() && self.chunk.is_empty() && self.later.is_empty())
    }

    /// The bytes of the unfinished block, as they came.
    ///
    /// At the end of a stream they are never an event, and never become one: no client dispatches
    /// a block without its blank line. A relay that changes nothing passes them on.
    #[must_use]
    pub fn into_remainder(self) -> Bytes {
        let mut bytes = self.block;
        for chunk in iter::once(self.chunk).chain(self.later) {
            bytes.extend_from_slice(&chunk);
        }
        Bytes::from(bytes)
    }

    /// The last valid reconnection time among the complete lines of the unfinished block: it
    /// takes effect when its line ends, even if its block never does.
    #[must_use]
    pub fn pending_retry(&self) -> Option<Duration> {
        let lines = self.complete_lines();
        let mended = self.is_odd.then(|| repair::mend(lines, self.repairs)).flatten();
        Fields::of(mended.as_ref().map_or(lines, |(lines, _)| lines)).retry()
    }

    /// The repairs made since this was last asked.
    pub fn take_repaired(&mut self) -> Repairs {
        mem::take(&mut self.repaired)
    }

    /// The repairs that are off and would have changed what has come so far. What they would have
    /// mended may be meant as it is: this is for a log, for a person to decide.
    #[must_use]
    pub fn hints(&self) -> Repairs {
        let pending =
            if self.is_odd { repair::hints(self.complete_lines()) } else { Repairs::NONE };
        self.hints | pending.without(self.repairs)
    }

    /// Cuts off the next block, as it came.
    fn cut(&mut self) -> Result<Option<Bytes>, DecodeError> {
        while !self.has_failed {
            let unseen = self.chunk.get(self.seen..).unwrap_or_default();
            if let Some(found) = memchr2(b'\r', b'\n', unseen) {
                if self.ends_block(self.seen + found) {
                    if let Some(block) = self.end_block() {
                        return Ok(Some(block));
                    }
                }
            } else if !self.next_chunk() {
                return Ok(None);
            }
        }
        Err(DecodeError::TooLong { limit: self.limit })
    }

    /// Ends the current line before the chunk's byte `at`. Tells whether that ends the block.
    fn ends_block(&mut self, mut at: usize) -> bool {
        let line = match self.line.checked_sub(self.block.len()) {
            Some(start) => self.chunk.get(start..at).unwrap_or_default(),
            None => {
                // It began in an earlier chunk, and is put together there.
                self.block.extend_from_slice(&self.chunk.split_to(at));
                at = 0;
                self.block.get(self.line..).unwrap_or_default()
            }
        };
        let end = self.chunk.get(at..).unwrap_or_default();
        self.is_odd |= !(line.is_empty() || repair::is_plain(line))
            || (end.starts_with(b"\r") && self.repairs.contains(Repairs::NORMALISE_EOL));
        self.seen = at + if end.starts_with(b"\r\n") { 2 } else { 1 };
        if repair::is_blank(line, self.repairs) {
            self.has_failed = self.block.len() + at >= self.limit;
            return !self.has_failed;
        }
        self.line = self.block.len() + self.seen;
        false
    }

    /// Takes the current block, which ends where the chunk has been seen. `None` if it is but a
    /// blank line, which carries nothing.
    fn end_block(&mut self) -> Option<Bytes> {
        let tail = self.chunk.split_to(mem::take(&mut self.seen));
        let block = if self.block.is_empty() {
            tail
        } else {
            self.block.extend_from_slice(&tail);
            Bytes::from(mem::take(&mut self.block))
        };
        if mem::take(&mut self.line) > 0 {
            return Some(block);
        }
        self.is_odd = false;
        None
    }

    /// Turns to the next chunk, if there is one, and sets aside what the block has of this one.
    fn next_chunk(&mut self) -> bool {
        self.block.extend_from_slice(&mem::take(&mut self.chunk));
        self.seen = 0;
        self.has_failed = !self.is_at_start && self.block.len() > self.limit;
        let Some(chunk) = self.later.pop_front() else { return self.has_failed };
        self.chunk = chunk;
        self.skip_bom();
        self.join_line_end();
        true
    }

    /// Drops the one byte order mark that may start a stream, in however many chunks it comes.
    fn skip_bom(&mut self) {
        while self.is_at_start {
            match (BOM.get(self.block.len()), self.chunk.first()) {
                (Some(expected), Some(byte)) if byte == expected => {
                    self.block.push(*byte);
                    self.chunk.advance(1);
                }
                (Some(_), None) => return,
                (Some(_), Some(_)) => self.is_at_start = false,
                (None, _) => {
                    self.block.clear();
                    self.is_at_start = false;
                }
            }
        }
    }

    /// Joins the two halves of a CR LF that ends a line within a block.
    fn join_line_end(&mut self) {
        let is_after_cr = self.line == self.block.len() && self.block.ends_with(b"\r");
        if is_after_cr && self.chunk.starts_with(b"\n") {
            self.block.push(b'\n');
            self.line += 1;
            self.chunk.advance(1);
        }
    }

    /// The lines of the unfinished block that have ended.
    fn complete_lines(&self) -> &[u8] {
        self.block.get(..self.line).unwrap_or_default()
    }

    fn mend(&mut self, block: Bytes) -> Bytes {
        self.hints |= repair::hints(&block).without(self.repairs);
        let Some((mended, made)) = repair::mend(&block, self.repairs) else { return block };
        self.repaired |= made;
        Bytes::from(mended)
    }
}
