//! Where blocks end: cuts a stream into blocks.

use std::collections::VecDeque;
use std::{iter, mem};

use bytes::{Buf, Bytes};
use memchr::memchr2;

use super::noted::Noted;
use crate::DecodeError;
use crate::frame::split;
use crate::repair::{self, Collapse, Repairs};

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// A block, as it came but for a blank line that it lacked.
pub(super) struct Block {
    /// Its bytes, if they had to be put together; else they are the chunk's first.
    own: Option<Bytes>,
    /// How many bytes it has.
    len: usize,
    /// Whether it has but one line, with LF line ends, that no repair may concern.
    pub(super) is_lone_line: bool,
    /// Whether a repair may concern its lines.
    pub(super) is_odd: bool,
    /// Whether it has other line ends than LF.
    pub(super) has_cr: bool,
    /// The repair that decided where it ends.
    pub(super) made: Repairs,
    /// The repair that would have had it end elsewhere.
    pub(super) hints: Repairs,
}

/// The bytes that have come and of which no block was made yet.
#[derive(Debug)]
pub(super) struct Cutter {
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
            later: VecDeque::new(),
            block: Vec::new(),
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
        if !bytes.is_empty() && !self.has_failed {
            self.later.push_back(bytes);
        }
    }

    pub(super) fn finish(&mut self, is_meant: bool) {
        self.later.push_back(self.collapse.take_held());
        self.end = if is_meant { End::Meant } else { End::Reached };
    }

    pub(super) fn is_empty(&self) -> bool {
        let has_chunks = !self.chunk.is_empty() || !self.later.is_empty();
        self.block.is_empty() && !has_chunks && self.collapse.is_empty()
    }

    pub(super) fn into_remainder(mut self) -> Bytes {
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

    /// The repairs that would have the unfinished block end.
    pub(super) fn pending_hints(&self) -> Repairs {
        let is_event = self.noted.has_data && self.is_whole_but_for_blank_line();
        let is_lost = is_event && matches!(self.end, End::Meant);
        let lost = if is_lost { Repairs::FINAL_BLANK_LINE } else { Repairs::NONE };
        lost | self.noted.hints()
    }

    /// The bytes of the block that was found last.
    #[inline]
    pub(super) fn peek<'a>(&'a self, block: &'a Block) -> &'a [u8] {
        let in_chunk = || self.chunk.get(..block.len).unwrap_or_default();
        block.own.as_deref().unwrap_or_else(in_chunk)
    }

    /// Takes the bytes of the block that was found last. None may be found before this, or
    /// [`skip`](Self::skip).
    pub(super) fn take(&mut self, block: Block) -> Bytes {
        block.own.unwrap_or_else(|| self.chunk.split_to(block.len))
    }

    /// Drops the bytes of the block that was found last. Cheaper than to take them.
    #[inline]
    pub(super) fn skip(&mut self, block: &Block) {
        if block.own.is_none() {
            self.chunk.advance(block.len);
        }
    }

    /// Finds the next block, which is then to be [taken](Self::take) or [skipped](Self::skip).
    pub(super) fn next_block(&mut self) -> Result<Option<Block>, DecodeError> {
        while !self.has_failed {
            let unseen = self.chunk.get(self.seen..).unwrap_or_default();
            if let Some(found) = line_end(unseen) {
                if let Some(block) = self.end_line(self.seen + found) {
                    return Ok(Some(block));
                }
            } else if !self.next_chunk() {
                return Ok(self.last_block());
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
        if self.repairs.contains(Repairs::LINE_PER_EVENT) && self.noted.is_event_before(name) {
            return Some(self.end_block_before_line());
        }
        self.noted.is_odd |= !repair::is_plain(name, value);
        self.noted.add(name);
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
            return Some(self.block(None, len, Repairs::NONE));
        }
        let mut bytes = mem::take(&mut self.block);
        bytes.extend_from_slice(&self.chunk.split_to(len));
        Some(self.put_together(bytes, Repairs::NONE))
    }

    /// Ends the block before the current line, which is looked at again as the first of the next.
    fn end_block_before_line(&mut self) -> Block {
        let in_block = self.line.min(self.block.len());
        let in_chunk = self.line - in_block;
        let mut bytes = self.block.drain(..in_block).collect::<Vec<_>>();
        bytes.extend_from_slice(&self.chunk.split_to(in_chunk));
        self.seen = 0;
        self.line = 0;
        self.put_together(closed(bytes), Repairs::LINE_PER_EVENT)
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
        let bytes = closed(mem::take(&mut self.block));
        Some(self.put_together(bytes, made))
    }

    fn is_whole_but_for_blank_line(&self) -> bool {
        self.line > 0 && self.line == self.block.len()
    }

    fn put_together(&mut self, bytes: Vec<u8>, made: Repairs) -> Block {
        let len = bytes.len();
        self.block(Some(Bytes::from(bytes)), len, made)
    }

    fn block(&mut self, own: Option<Bytes>, len: usize, made: Repairs) -> Block {
        let noted = mem::take(&mut self.noted);
        // A block without data may be one that is sent for its type alone.
        let is_odd = noted.is_odd || !noted.has_data || self.repairs.contains(Repairs::CESU8);
        let made = made | self.collapse.made();
        let is_lone_line = noted.lines == 1 && !is_odd && !noted.has_cr;
        Block { own, len, is_lone_line, is_odd, has_cr: noted.has_cr, made, hints: noted.hints() }
    }

    fn set_chunk_aside(&mut self) {
        self.block.extend_from_slice(&mem::take(&mut self.chunk));
        self.seen = 0;
    }

    /// Turns to the next chunk, if there is one.
    fn next_chunk(&mut self) -> bool {
        self.set_chunk_aside();
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
}

/// Adds the blank line that a block lacks.
fn closed(mut block: Vec<u8>) -> Vec<u8> {
    // After a CR, an LF would be part of the same line end.
    let end = if block.ends_with(b"\r") { b'\r' } else { b'\n' };
    block.push(end);
    block
}

/// Where the current line ends.
fn line_end(bytes: &[u8]) -> Option<usize> {
    match bytes {
        // Most lines are followed by a blank one.
        [b'\r' | b'\n', ..] => Some(0),
        _ => memchr2(b'\r', b'\n', bytes),
    }
}
