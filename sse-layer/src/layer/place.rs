//! [`Place`]: where in a stream one stands, and [`Start`], its very first bytes.

use bytes::{Bytes, BytesMut};

/// Where a stream stands after the bytes so far, as far as it matters for adding a comment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Place {
    /// After a blank line, or at the start: a block of one's own does no harm.
    #[default]
    BetweenBlocks,
    /// At the start of a line: a comment line does no harm, a blank line would end the block.
    InBlock,
    /// After a CR: if an LF follows it belongs to it, so nothing may come between them.
    AfterCr {
        /// Whether the line that the CR has ended is blank.
        blank: bool,
    },
    /// Within a line.
    InLine,
}

impl Place {
    /// The place after `bytes`.
    pub(crate) fn after(self, bytes: &[u8]) -> Self {
        // Whether the last line is blank shows in the two line ends before it, at most three
        // bytes: `\n` or `\r\n` and what stands before. All that is earlier may be skipped.
        let tail = bytes.len().saturating_sub(3);
        let start = if tail == 0 { self } else { Self::InLine };
        bytes.iter().skip(tail).fold(start, |place, byte| place.after_byte(*byte))
    }

    /// Whether no block is open. If an LF follows a CR that has ended one, nothing is lost with it.
    pub(crate) const fn is_block_end(self) -> bool {
        matches!(self, Self::BetweenBlocks | Self::AfterCr { blank: true })
    }

    /// Whether no line is open.
    pub(crate) const fn is_line_end(self) -> bool {
        !matches!(self, Self::InLine)
    }

    /// How many of `bytes`, which come next, belong to the block that is open, if it ends there.
    pub(crate) fn block_end_in(mut self, bytes: &[u8]) -> Option<usize> {
        let ends = |byte: &u8| {
            self = self.after_byte(*byte);
            self.is_block_end()
        };
        bytes.iter().position(ends).map(|last| last + 1)
    }

    fn after_byte(self, byte: u8) -> Self {
        let blank = self != Self::InLine;
        match (self, byte) {
            (Self::AfterCr { blank: true }, b'\n') => Self::BetweenBlocks,
            (Self::AfterCr { blank: false }, b'\n') => Self::InBlock,
            (_, b'\n') if blank => Self::BetweenBlocks,
            (_, b'\n') => Self::InBlock,
            (_, b'\r') => Self::AfterCr { blank },
            _ => Self::InLine,
        }
    }
}

/// The start of a body, where a byte order mark may stand. It counts only as the very first bytes
/// of a response; after anything else it would spoil the first line.
#[derive(Debug)]
pub(crate) enum Start {
    /// So far only the beginning of a byte order mark has come, or nothing.
    Pending(Bytes),
    Past,
}

impl Start {
    const BOM: &'static [u8] = b"\xEF\xBB\xBF";

    pub(crate) const fn new() -> Self {
        Self::Pending(Bytes::new())
    }

    /// What of `data` can be sent on. The beginning of a mark is held back until more has come,
    /// which is no loss if nothing does: it is an unfinished line.
    pub(crate) fn strip(&mut self, data: Bytes) -> Bytes {
        let Self::Pending(held) = self else {
            return data;
        };
        let mut data = if held.is_empty() {
            data
        } else {
            let mut joined = BytesMut::from(held.as_ref());
            joined.extend_from_slice(&data);
            joined.freeze()
        };
        if data.len() < Self::BOM.len() && Self::BOM.starts_with(&data) {
            *held = data;
            return Bytes::new();
        }
        if data.starts_with(Self::BOM) {
            data = data.slice(Self::BOM.len()..);
        }
        *self = Self::Past;
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let cases: [(&[u8], Place); 14] = [
            (b"", Place::BetweenBlocks),
            (b"a", Place::InLine),
            (b"a\n", Place::InBlock),
            (b"a\r\n", Place::InBlock),
            (b"a\n\n", Place::BetweenBlocks),
            (b"a\r\n\r\n", Place::BetweenBlocks),
            (b"a\n\r\n", Place::BetweenBlocks),
            (b"a\r\r\n", Place::BetweenBlocks),
            (b"a\r\n\n", Place::BetweenBlocks),
            (b"a\r", Place::AfterCr { blank: false }),
            (b"a\r\r", Place::AfterCr { blank: true }),
            (b"a\n\r", Place::AfterCr { blank: true }),
            (b"\r", Place::AfterCr { blank: true }),
            (b"a\n\nb", Place::InLine),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Place::default().after(bytes), expected, "{bytes:?}");
        }
    }

    /// All strings of up to six bytes, in one piece and byte by byte.
    #[test]
    fn a_place_does_not_depend_on_how_the_bytes_are_cut() {
        let mut all: Vec<Vec<u8>> = vec![vec![]];
        for _ in 0..6 {
            let longer = all.iter().flat_map(|s| b"a\r\n".map(|b| [s.as_slice(), &[b]].concat()));
            all = longer.chain([vec![]]).collect();
            for bytes in &all {
                let whole = Place::default().after(bytes);
                let cut = bytes.iter().fold(Place::default(), |place, byte| place.after(&[*byte]));
                assert_eq!(whole, cut, "{bytes:?}");
            }
        }
    }

    #[test]
    fn the_end_of_a_block_is_found_by_its_blank_line() {
        let cases: [(&[u8], &[u8], Option<usize>); 6] = [
            (b"a", b"b\n\nc\n\n", Some(3)),
            (b"a\n", b"\nb", Some(1)),
            (b"a\r", b"\n\r\nb", Some(2)),
            (b"a\r\n", b"b\r\rc", Some(3)),
            (b"a", b"b\nc", None),
            (b"a", b"", None),
        ];
        for (before, bytes, expected) in cases {
            let found = Place::default().after(before).block_end_in(bytes);
            assert_eq!(found, expected, "{before:?} {bytes:?}");
        }
    }

    fn stripped(pieces: &[&'static [u8]]) -> Vec<u8> {
        let mut start = Start::new();
        pieces.iter().flat_map(|piece| start.strip(Bytes::from_static(piece))).collect()
    }

    #[test]
    fn one_mark_at_the_very_start_goes_however_it_is_cut() {
        assert_eq!(stripped(&[b"\xEF\xBB\xBFdata"]), b"data");
        assert_eq!(stripped(&[b"\xEF", b"", b"\xBB", b"\xBF", b"data"]), b"data");
        assert_eq!(stripped(&[b"\xEF\xBB", b"\xBF\xEF\xBB\xBFx"]), b"\xEF\xBB\xBFx");
    }

    #[test]
    fn what_only_begins_like_a_mark_stays() {
        assert_eq!(stripped(&[b"\xEF", b"\xBB", b"\xBEx"]), b"\xEF\xBB\xBEx");
        assert_eq!(stripped(&[b"d", b"\xEF\xBB\xBF"]), b"d\xEF\xBB\xBF");
    }
}
