use std::collections::VecDeque;

use bytes::Bytes;
use serde::de::IgnoredAny;

use super::{TooLong, frame};
use crate::{Frame, Framer};

/// An event stream in which blocks may be lines of JSON.
#[derive(Debug)]
pub(super) struct Blocks {
    framer: Framer,
    /// Of the block that was read last.
    ready: VecDeque<Frame>,
    has_ended: bool,
}

impl Blocks {
    pub(super) const fn new(framer: Framer) -> Self {
        Self { framer, ready: VecDeque::new(), has_ended: false }
    }

    pub(super) fn push(&mut self, bytes: Bytes) {
        self.framer.push(bytes);
    }

    pub(super) fn finish(&mut self) {
        self.framer.finish(true);
        self.has_ended = true;
    }

    pub(super) fn next_frame(&mut self) -> Result<Option<Frame>, TooLong> {
        if let Some(frame) = self.ready.pop_front() {
            return Ok(Some(frame));
        }
        if let Some(block) = self.framer.next_frame()? {
            if is_json(block.bytes()) {
                self.ready.extend(lines(block.bytes()).map(frame));
            } else {
                self.ready.push_back(block);
            }
        } else if std::mem::take(&mut self.has_ended) {
            let half = std::mem::take(&mut self.framer).into_remainder();
            let end = half.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
            let complete = half.get(..end).unwrap_or_default();
            if is_json(complete) {
                self.ready.extend(lines(complete).map(frame));
            }
        }
        Ok(self.ready.pop_front())
    }
}

fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    block.split(|byte| matches!(byte, b'\r' | b'\n')).filter(|line| !line.is_empty())
}

/// Whether all lines are JSON texts. Then none is a field that clients know.
fn is_json(block: &[u8]) -> bool {
    lines(block).all(|line| serde_json::from_slice::<IgnoredAny>(line).is_ok())
}
