//! [`Numbers`]: ids for the events of an origin that gives none (`add-ids`).

use bytes::{Bytes, BytesMut};
use sse_layer::Frame;
use sse_layer::feed::{Cursor, Epoch};

/// Numbers the events of one stream, as long as its origin gives no id of its own.
pub(crate) struct Numbers {
    /// That of the event before.
    last: Cursor,
    origin_has_ids: bool,
}

impl Numbers {
    pub(crate) fn new() -> Self {
        Self { last: Cursor { epoch: Epoch::random(), seq: 0 }, origin_has_ids: false }
    }

    /// Whether an id that a client came back with is one of ours, which no origin knows.
    pub(crate) fn is_ours(id: &[u8]) -> bool {
        std::str::from_utf8(id).is_ok_and(|id| id.parse::<Cursor>().is_ok())
    }

    /// The bytes of an event with an id, if it gets one.
    pub(crate) fn number(&mut self, frame: &Frame) -> Option<Bytes> {
        self.origin_has_ids |= frame.id().is_some_and(|id| !id.is_empty());
        if self.origin_has_ids || !frame.has_data() {
            return None;
        }
        self.last.seq += 1;
        let mut out = BytesMut::from(format!("id: {}\n", self.last).as_bytes());
        out.extend_from_slice(frame.bytes());
        Some(out.freeze())
    }
}

#[cfg(test)]
mod tests {
    use sse_layer::Event;

    use super::*;

    #[test]
    fn events_are_numbered_until_the_origin_does_it() {
        let mut numbers = Numbers::new();
        let mut number = |event: Event| {
            let frame = numbers.number(&Frame::from(event))?;
            let text = std::str::from_utf8(&frame).unwrap();
            let id = text.strip_prefix("id: ").and_then(|rest| rest.split('\n').next()).unwrap();
            Some(id.to_owned())
        };
        let first = number(Event::new().data("a")).unwrap();
        let second = number(Event::new().data("b")).unwrap();
        assert_ne!(first, second);
        assert!(Numbers::is_ours(first.as_bytes()) && !Numbers::is_ours(b"s1"));
        assert_eq!(number(Event::new().comment("nothing")), None);
        assert_eq!(number(Event::new().id(1.into()).data("c")), None);
        assert_eq!(number(Event::new().data("d")), None, "schemes are not mixed");
    }
}
