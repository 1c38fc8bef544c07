//! [`Position`]: where in a stream of bytes one is.

/// Where a stream stands after the bytes so far, as far as it matters for adding a comment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Position {
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

impl Position {
    /// The position after `bytes`.
    #[inline]
    pub(super) fn after(self, bytes: &[u8]) -> Self {
        // Whether the last line is blank shows in the two line ends before it, at most three
        // bytes: `\n` or `\r\n` and what stands before. All that is earlier may be skipped.
        let tail = bytes.len().saturating_sub(3);
        let start = if tail == 0 { self } else { Self::InLine };
        bytes.iter().skip(tail).fold(start, |position, byte| position.after_byte(*byte))
    }

    /// Whether no block is open. If an LF follows a CR that has ended one, nothing is lost with it.
    pub(super) const fn is_block_end(self) -> bool {
        matches!(self, Self::BetweenBlocks | Self::AfterCr { blank: true })
    }

    /// Whether no line is open.
    pub(super) const fn is_line_end(self) -> bool {
        !matches!(self, Self::InLine)
    }

    /// How many of `bytes`, which come next, belong to the block that is open, if it ends there.
    pub(super) fn block_end_in(mut self, bytes: &[u8]) -> Option<usize> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions() {
        let cases: [(&[u8], Position); 14] = [
            (b"", Position::BetweenBlocks),
            (b"a", Position::InLine),
            (b"a\n", Position::InBlock),
            (b"a\r\n", Position::InBlock),
            (b"a\n\n", Position::BetweenBlocks),
            (b"a\r\n\r\n", Position::BetweenBlocks),
            (b"a\n\r\n", Position::BetweenBlocks),
            (b"a\r\r\n", Position::BetweenBlocks),
            (b"a\r\n\n", Position::BetweenBlocks),
            (b"a\r", Position::AfterCr { blank: false }),
            (b"a\r\r", Position::AfterCr { blank: true }),
            (b"a\n\r", Position::AfterCr { blank: true }),
            (b"\r", Position::AfterCr { blank: true }),
            (b"a\n\nb", Position::InLine),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Position::default().after(bytes), expected, "{bytes:?}");
        }
    }

    /// All strings of up to six bytes, in one piece and byte by byte.
    #[test]
    fn a_position_does_not_depend_on_how_the_bytes_are_cut() {
        let mut all: Vec<Vec<u8>> = vec![vec![]];
        for _ in 0..6 {
            let longer = all.iter().flat_map(|s| b"a\r\n".map(|b| [s.as_slice(), &[b]].concat()));
            all = longer.chain([vec![]]).collect();
            for bytes in &all {
                let whole = Position::default().after(bytes);
                let cut = bytes
                    .iter()
                    .fold(Position::default(), |position, byte| position.after(&[*byte]));
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
            let found = Position::default().after(before).block_end_in(bytes);
            assert_eq!(found, expected, "{before:?} {bytes:?}");
        }
    }
}
