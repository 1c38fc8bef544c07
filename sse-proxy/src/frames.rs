//! [`Frames`]: frames that are written at once.

use bytes::{Bytes, BytesMut};

/// The size, in bytes, from which no more are added. A frame may be larger.
const FULL: usize = 64 << 10;

/// Frames that are written at once. A single one, which is the usual case, is not copied.
#[derive(Default)]
pub(crate) struct Frames {
    only: Bytes,
    joined: BytesMut,
    events: u64,
}

impl Frames {
    pub(crate) fn push(&mut self, frame: Bytes) {
        if self.only.is_empty() && self.joined.is_empty() {
            self.only = frame;
        } else {
            self.joined().extend_from_slice(&frame);
        }
    }

    /// The same, of a frame that is an event to the client.
    pub(crate) fn push_event(&mut self, frame: Bytes) {
        self.events += 1;
        self.push(frame);
    }

    /// How many events are among them.
    pub(crate) const fn events(&self) -> u64 {
        self.events
    }

    /// Where more can be written behind what is there.
    pub(crate) fn joined(&mut self) -> &mut BytesMut {
        self.joined.extend_from_slice(&std::mem::take(&mut self.only));
        &mut self.joined
    }

    /// Whether it is time to write them: more makes no write cheaper.
    pub(crate) fn is_full(&self) -> bool {
        self.only.len() + self.joined.len() >= FULL
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        if self.joined.is_empty() { self.only } else { self.joined.freeze() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_a_single_frame_is_not_copied() {
        let frame = Bytes::from_static(b"data: 1\n\n");
        let mut frames = Frames::default();
        frames.push(frame.clone());
        assert_eq!(frames.into_bytes().as_ptr(), frame.as_ptr());
        let mut frames = Frames::default();
        frames.push(frame.clone());
        frames.joined().extend_from_slice(b":\n\n");
        frames.push(frame);
        assert_eq!(frames.into_bytes(), "data: 1\n\n:\n\ndata: 1\n\n");
        assert!(Frames::default().into_bytes().is_empty());
    }
}
