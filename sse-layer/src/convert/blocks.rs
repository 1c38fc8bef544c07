use std::collections::VecDeque;

use bytes::Bytes;
use serde::de::IgnoredAny;

use super::{TooLong, frame};
use crate::{Event, Frame, Framer};

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
        } else if is_json(self.framer.complete_lines()) {
            // Whether or not a blank line will ever come.
            self.ready.extend(lines(self.framer.complete_lines()).map(frame));
            self.framer.drop_complete_lines();
        } else if std::mem::take(&mut self.has_ended) {
            // What half a block says of it takes effect when its line ends.
            let retry = self.framer.pending_retry();
            self.ready.extend(retry.map(|retry| Event::new().retry(retry).into()));
        }
        Ok(self.ready.pop_front())
    }
}

fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    block.split(|byte| matches!(byte, b'\r' | b'\n')).filter(|line| !line.is_empty())
}

/// Whether there are lines, and all are JSON texts. Then none is a field that clients know.
fn is_json(block: &[u8]) -> bool {
    lines(block).next().is_some()
        && lines(block).all(|line| serde_json::from_slice::<IgnoredAny>(line).is_ok())
}
