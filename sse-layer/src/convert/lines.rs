use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;

use super::TooLong;

/// Cuts bytes at LF. A CR before it belongs to it.
#[derive(Debug)]
pub(super) struct Lines {
    limit: usize,
    /// The beginning of the current line, of chunks before.
    held: BytesMut,
    chunk: Bytes,
}

impl Lines {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, held: BytesMut::new(), chunk: Bytes::new() }
    }

    pub(super) const fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Takes the next bytes.
    pub(super) fn push(&mut self, bytes: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = bytes;
        } else {
            let mut joined = BytesMut::from(std::mem::take(&mut self.chunk));
            joined.extend_from_slice(&bytes);
            self.chunk = joined.freeze();
        }
    }

    /// The next complete line, without its end.
    pub(super) fn next_line(&mut self) -> Result<Option<Bytes>, TooLong> {
        let end = memchr(b'\n', &self.chunk);
        if self.held.len() + end.unwrap_or(self.chunk.len()) > self.limit {
            return Err(TooLong { limit: self.limit });
        }
        let Some(end) = end else {
            self.held.extend_from_slice(&std::mem::take(&mut self.chunk));
            return Ok(None);
        };
        let mut line = self.chunk.split_to(end);
        self.chunk.advance(1);
        if !self.held.is_empty() {
            self.held.extend_from_slice(&line);
            line = self.held.split().freeze();
        }
        if line.ends_with(b"\r") {
            line.truncate(line.len() - 1);
        }
        Ok(Some(line))
    }
}
