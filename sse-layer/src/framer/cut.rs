//! Where blocks end: cuts a stream into blocks.

use std::collections::VecDeque;
use std::{iter, mem};

use bytes::{Buf, Bytes};

use super::noted::Noted;
use super::plain::{Line, line_end, plain_block};
use crate::DecodeError;
use crate::frame::split;
use crate::repair::{self, Collapse, Repairs};

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// A block that was found, as it came but for a blank line that it lacked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    /// Whether it had to be put together; else it is in the chunk.
    is_joined: bool,
    /// Whether it has data.
    pub(crate) has_data: bool,
    /// Whether a repair may concern its lines.
    pub(super) is_odd: bool,
    /// Whether it has other line ends than LF.
    pub(super) has_cr: bool,
    /// The repair that decided where it ends.
    pub(super) made: Repairs,
    /// The repair that would have had it end elsewhere.
    pub(super) hints: Repairs,
}

/// Repairs that concern plain blocks too, or what comes before them.
const CONCERN_PLAIN: Repairs = Repairs::CESU8.union(Repairs::CRCRLF).union(Repairs::LINE_PER_EVENT);

/// The bytes that have come and of which no block was made yet.
#[derive(Debug)]
pub(super) struct Cutter {
    /// The chunk that is being looked through, from where the current block starts in it.
    chunk: Bytes,
    /// How far the chunk has been looked through.
    seen: usize,
    /// How long the block is that was found last and is still at the start of the chunk.
    lent: usize,
    /// The chunks after it.
    later: VecDeque<Bytes>,
    /// What the current block has of earlier chunks.
    block: Vec<u8>,
    /// The block that was found last, if it had to be put together.
    joined: Vec<u8>,
    /// Where in the block, earlier chunks included, the current line starts.
    line: usize,
    noted: Noted,
    /// Whether a byte order mark, or the rest of one, may still come.
    is_at_start: bool,
    limit: usize,
    has_failed: bool,
    repairs: Repairs,
    collapse: Collapse,
    end: End,
}

/// Where the stream ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Ahead,
    /// Here, but perhaps because the connection was cut.
    Reached,
    /// Here, as its sender meant it to.
    Meant,
}

impl Cutter {
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            chunk: Bytes::new(),
            seen: 0,
            lent: 0,
            later: VecDeque::new(),
            block: Vec::new(),
            joined: Vec::new(),
            line: 0,
            noted: Noted::NONE,
            is_at_start: true,
            limit,
            has_failed: false,
            repairs: Repairs::NONE,
            collapse: Collapse::Off,
            end: End::Ahead,
        }
    }

    pub(super) fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    pub(super) fn set_repairs(&mut self, repairs: Repairs) {
        self.repairs = repairs;
        self.collapse = Collapse::new(repairs);
    }

    pub(super) fn push(&mut self, bytes: Bytes) {
        let bytes = self.collapse.filter(bytes);
        if bytes.is_empty() || self.has_failed {
            return;
        }
        if self.chunk.is_empty() && self.later.is_empty() {
            self.begin_chunk(bytes);
        } else {
            self.later.push_back(bytes);
        }
    }

    pub(super) fn finish(&mut self, is_meant: bool) {
        self.later.push_back(self.collapse.take_held());
        self.end = if is_meant { End::Meant } else { End::Reached };
    }

    /// Whether there can be no block before more is pushed.
    #[inline]
    pub(super) fn is_waiting(&self) -> bool {
        let has_chunks = !self.chunk.is_empty() || !self.later.is_empty();
        !has_chunks && !self.has_failed && matches!(self.end, End::Ahead)
    }

    pub(super) fn is_empty(&self) -> bool {
        let has_chunks = self.chunk.len() > self.lent || !self.later.is_empty();
        self.block.is_empty() && !has_chunks && self.collapse.is_empty()
    }

    pub(super) fn into_remainder(mut self) -> Bytes {
        self.chunk.advance(self.lent);
        let mut bytes = self.block;
        let held = self.collapse.take_held();
        for chunk in iter::once(self.chunk).chain(self.later).chain([held]) {
            bytes.extend_from_slice(&chunk);
        }
        Bytes::from(bytes)
    }

    /// The lines of the unfinished block that have ended, if all blocks before were taken; and
    /// whether a repair may concern them.
    pub(super) fn complete_lines(&self) -> (&[u8], bool) {
        (self.block.get(..self.line).unwrap_or_default(), self.noted.is_odd)
    }

    /// Takes the [complete lines](Self::complete_lines) away: what follows them begins a block.
    pub(super) fn drop_complete_lines(&mut self) {
        self.block.drain(..self.line.min(self.block.len()));
        (self.line, self.noted) = (0, Noted::NONE);
    }

    /// The repairs that would have the unfinished block end.
    pub(super) fn pending_hints(&self) -> Repairs {
        let is_event = self.noted.has_data && self.is_whole_but_for_blank_line();
        let is_lost = is_event && matches!(self.end, End::Meant);
        let lost = if is_lost { Repairs::FINAL_BLANK_LINE } else { Repairs::NONE };
        lost | self.noted.hints()
    }

    /// The bytes of the block that was found last.
    #[inline]
    pub(super) fn peek(&self, block: Block) -> &[u8] {
        if block.is_joined { &self.joined } else { self.peek_chunk() }
    }

    /// Takes the bytes of the block that was found last.
    #[inline]
    pub(super) fn take(&mut self, block: Block) -> Bytes {
        if block.is_joined { Bytes::from(mem::take(&mut self.joined)) } else { self.take_chunk() }
    }

    /// The bytes of the block that was found last, which is in the chunk.
    #[inline]
    pub(super) fn peek_chunk(&self) -> &[u8] {
        self.chunk.get(..self.lent).unwrap_or_default()
    }

    /// Takes the bytes of the block that was found last, which is in the chunk.
    #[inline]
    pub(super) fn take_chunk(&mut self) -> Bytes {
        self.chunk.split_to(mem::take(&mut self.lent))
    }

    /// Finds the next block, if it is a plain one in one chunk. Tells whether it is. Its lines go to
    /// `keep`.
    #[inline]
    pub(super) fn next_plain(&mut self, keep: impl FnMut(Line)) -> bool {
        self.chunk.advance(mem::take(&mut self.lent));
        if self.chunk.is_empty() && !self.next_chunk() {
            return false;
        }
        let is_between_blocks = self.seen == 0 && self.line == 0 && self.block.is_empty();
        if !is_between_blocks || self.repairs.intersects(CONCERN_PLAIN) {
            return false;
        }
        let len = plain_block(&self.chunk, keep);
        self.lent = len.filter(|len| *len <= self.limit).unwrap_or_default();
        self.lent > 0
    }

    /// Finds the next block, whose bytes are there until the one after it is looked for.
    pub(super) fn next_block(&mut self) -> Result<Option<Block>, DecodeError> {
        self.chunk.advance(mem::take(&mut self.lent));
        while !self.has_failed {
            let unseen = self.chunk.get(self.seen..).unwrap_or_default();
            let Some(end) = line_end(unseen) else {
                if self.next_chunk() {
                    continue;
                }
                return Ok(self.last_block());
            };
            if let Some(block) = self.end_line(self.seen + end) {
                return Ok(Some(block));
            }
        }
        Err(DecodeError::TooLong { limit: self.limit })
    }

    /// Ends the current line before the chunk's byte `at`. Gives the block that ends by it.
    fn end_line(&mut self, mut at: usize) -> Option<Block> {
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
        self.noted.has_cr |= end.starts_with(b"\r");
        self.seen = at + if end.starts_with(b"\r\n") { 2 } else { 1 };
        if self.block.len() + at >= self.limit {
            self.has_failed = true;
            self.set_chunk_aside();
            return None;
        }
        if repair::is_blank(line, self.repairs) {
            self.noted.is_odd |= !line.is_empty();
            return self.end_block();
        }
        let (name, value) = split(line);
        let is_plain = repair::is_plain(name, value);
        let (name, is_written) =
            if is_plain { (name, true) } else { repair::meant(line, self.repairs) };
        let name = if is_written || !self.noted.is_written(name) { name } else { b"" };
        if self.repairs.contains(Repairs::LINE_PER_EVENT)
            && self.noted.is_event_before(name, is_written)
        {
            return Some(self.end_block_before_line());
        }
        self.noted.is_odd |= !is_plain;
        self.noted.add(name, is_written);
        self.line = self.block.len() + self.seen;
        None
    }

    /// Ends the block where the chunk has been seen. `None` if it is but a blank line, which
    /// carries nothing.
    fn end_block(&mut self) -> Option<Block> {
        let len = mem::take(&mut self.seen);
        let has_lines = mem::take(&mut self.line) > 0;
        if !has_lines {
            self.chunk.advance(len);
            self.block.clear();
            self.noted = Noted::NONE;
            return None;
        }
        if self.block.is_empty() {
            return Some(self.block_in_chunk(len));
        }
        self.joined.clear();
        mem::swap(&mut self.joined, &mut self.block);
        self.joined.extend_from_slice(&self.chunk.split_to(len));
        Some(self.block(true, Repairs::NONE))
    }

    /// Ends the block before the current line, which is looked at again as the first of the next.
    fn end_block_before_line(&mut self) -> Block {
        let in_block = self.line.min(self.block.len());
        let in_chunk = self.line - in_block;
        self.joined.clear();
        self.joined.extend(self.block.drain(..in_block));
        self.joined.extend_from_slice(&self.chunk.split_to(in_chunk));
        self.seen = 0;
        self.line = 0;
        self.closed_block(Repairs::LINE_PER_EVENT)
    }

    /// What is left when the stream has ended, if it may pass for a block.
    fn last_block(&mut self) -> Option<Block> {
        let made = match self.end {
            End::Meant | End::Reached if self.repairs.contains(Repairs::LINE_PER_EVENT) => {
                Repairs::LINE_PER_EVENT
            }
            End::Meant if self.repairs.contains(Repairs::FINAL_BLANK_LINE) => {
                Repairs::FINAL_BLANK_LINE
            }
            _ => return None,
        };
        if !self.is_whole_but_for_blank_line() {
            return None;
        }
        self.line = 0;
        self.joined = mem::take(&mut self.block);
        Some(self.closed_block(made))
    }

    fn is_whole_but_for_blank_line(&self) -> bool {
        self.line > 0 && self.line == self.block.len()
    }

    /// The block that was put together but for the blank line, which it gets.
    fn closed_block(&mut self, made: Repairs) -> Block {
        // After a CR, an LF would be part of the same line end.
        let end = if self.joined.ends_with(b"\r") { b'\r' } else { b'\n' };
        self.joined.push(end);
        self.block(true, made)
    }

    /// The block that is the chunk's first `len` bytes.
    #[inline]
    fn block_in_chunk(&mut self, len: usize) -> Block {
        self.lent = len;
        self.block(false, Repairs::NONE)
    }

    #[inline]
    fn block(&mut self, is_joined: bool, made: Repairs) -> Block {
        let noted = mem::take(&mut self.noted);
        // A block without data may be one that is sent for its type alone.
        let is_odd = noted.is_odd || !noted.has_data || self.repairs.contains(Repairs::CESU8);
        Block {
            is_joined,
            has_data: noted.has_data,
            is_odd,
            has_cr: noted.has_cr,
            made: made | self.collapse.made(),
            hints: noted.hints(),
        }
    }

    fn set_chunk_aside(&mut self) {
        self.block.extend_from_slice(&mem::take(&mut self.chunk));
        self.seen = 0;
    }

    /// Turns to the next chunk, if there is one.
    fn next_chunk(&mut self) -> bool {
        self.set_chunk_aside();
        self.look_at_limit();
        let Some(chunk) = self.later.pop_front() else { return self.has_failed };
        self.begin_chunk(chunk);
        true
    }

    /// Turns to a chunk. All before it has been set aside.
    fn begin_chunk(&mut self, chunk: Bytes) {
        self.chunk = chunk;
        self.skip_bom();
        self.join_line_end();
        self.look_at_limit();
    }

    fn look_at_limit(&mut self) {
        self.has_failed = !self.is_at_start && self.block.len() > self.limit;
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
}
