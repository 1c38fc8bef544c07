//! [`Counter`]: counts the events in a stream of bytes.

use memchr::memchr2;

/// Counts blocks that have data. Holds no bytes back, and looks at line ends and line starts alone.
#[derive(Debug, Default)]
pub(super) struct Counter {
    /// The beginning of the line so far: what tells a line of data from others.
    start: [u8; NAME.len()],
    /// How many bytes of it have come.
    len: usize,
    after_cr: bool,
    has_data: bool,
}

const NAME: &[u8; 5] = b"data:";

impl Counter {
    /// How many events end within `bytes`, which follow on those of the calls before.
    pub(super) fn count(&mut self, mut bytes: &[u8]) -> u64 {
        let mut events = 0;
        if self.after_cr && bytes.first() == Some(&b'\n') {
            bytes = bytes.get(1..).unwrap_or_default();
            self.after_cr = false;
        }
        while let Some((line, rest)) = split_line(bytes) {
            events += u64::from(if self.len == 0 {
                self.line(line)
            } else {
                self.extend(line);
                let (start, len) = (self.start, std::mem::take(&mut self.len));
                self.line(start.get(..len).unwrap_or_default())
            });
            bytes = rest.strip_prefix(b"\r\n").or_else(|| rest.get(1..)).unwrap_or_default();
            self.after_cr = rest == b"\r";
        }
        if !bytes.is_empty() {
            self.after_cr = false;
            self.extend(bytes);
        }
        events
    }

    fn extend(&mut self, part: &[u8]) {
        for (slot, byte) in self.start.iter_mut().skip(self.len).zip(part) {
            *slot = *byte;
            self.len += 1;
        }
    }

    /// Whether this line ends an event. Its first bytes are enough.
    fn line(&mut self, line: &[u8]) -> bool {
        if line.is_empty() {
            return std::mem::take(&mut self.has_data);
        }
        self.has_data |= line.starts_with(NAME) || line == b"data";
        false
    }
}

/// What stands before the first line end, and the rest with it.
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_blank = matches!(bytes.first(), Some(b'\r' | b'\n'));
    let end = if is_blank { 0 } else { memchr2(b'\r', b'\n', bytes)? };
    bytes.split_at_checked(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Framer;

    #[test]
    fn only_closed_blocks_with_data_count() {
        let cases: [(&[u8], u64); 10] = [
            (b"", 0),
            (b"data: a\n\n", 1),
            (b"data\r\rdata:\r\n\r\n", 2),
            (b"data: a\ndata: b\nid: 1\n\n", 1),
            (b"data: a\n\n\n\n:\n\nid: 1\n\n", 1),
            (b"event: data\n\n data: a\n\n", 0),
            (b"datax: a\n\ndat: a\n\nData: a\n\n", 0),
            (b"data: half\n", 0),
            (b"data: a\n\n\r\n", 1),
            (b"\n\n\ndata\n\n", 1),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Counter::default().count(bytes), expected, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn a_framer_counts_as_many_however_the_bytes_are_cut(
            pieces in prop::collection::vec("(data|data:|id|d|a| |\r|\n|\r\n|x){0,6}", 0..8)
        ) {
            let (mut counter, mut framer) = (Counter::default(), Framer::new());
            let mut counted = 0;
            for piece in &pieces {
                counted += counter.count(piece.as_bytes());
                framer.push(piece.clone().into());
            }
            let mut framed = 0;
            while let Some(frame) = framer.next_frame().unwrap() {
                framed += u64::from(frame.has_data());
            }
            prop_assert_eq!(counted, framed);
        }
    }
}
