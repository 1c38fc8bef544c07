//! [`Brotli`]: undoes brotli, in bounded pieces.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};
use bytes::{Buf, Bytes};

/// How much is decoded at once, whatever the input may swell to.
const PIECE: usize = 16 << 10;

/// A body in brotli, being decoded. Unlike other codings, this one can say in a few bytes what
/// fills the memory, so that its output has to be asked for piece by piece.
pub(super) struct Brotli {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    /// Whether more may come without more input.
    pub(super) has_more: bool,
}

impl Brotli {
    pub(super) fn new() -> Self {
        let alloc = StandardAlloc::default;
        // As browsers have it: with windows of 16 MiB at most.
        Self { state: BrotliState::new_strict(alloc(), alloc(), alloc()), has_more: false }
    }

    /// Takes what is needed of `input` for the next piece, and returns that.
    pub(super) fn decode(&mut self, input: &mut Bytes) -> io::Result<Vec<u8>> {
        let mut piece = vec![0; PIECE];
        let (mut left, mut read) = (input.len(), 0);
        let (mut room, mut written, mut all) = (piece.len(), 0, 0);
        let decode = || {
            BrotliDecompressStream(
                &mut left,
                &mut read,
                input,
                &mut room,
                &mut written,
                &mut piece,
                &mut all,
                &mut self.state,
            )
        };
        // It is not known to panic, nor not to: an origin's bytes are to end no other's streams.
        let result = catch_unwind(AssertUnwindSafe(decode)).unwrap_or(BrotliResult::ResultFailure);
        input.advance(read.min(input.len()));
        piece.truncate(written);
        // Events that are kept are parts of it.
        piece.shrink_to_fit();
        // It may ask for input while it still holds what the piece had no room for.
        self.has_more = room == 0 && !matches!(result, BrotliResult::ResultSuccess);
        match result {
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => Ok(piece),
            BrotliResult::ResultSuccess if written > 0 || input.is_empty() => Ok(piece),
            BrotliResult::ResultSuccess => Err(io::Error::other("there is more after its end")),
            BrotliResult::ResultFailure => Err(io::Error::other("this is no brotli")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_swells_comes_in_bounded_pieces() {
        const SIZE: usize = 40 << 20;
        let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 22);
        encoder.write_all(&vec![b'x'; SIZE]).unwrap();
        // Without an end: so a live stream looks.
        encoder.flush().unwrap();
        let mut input = Bytes::copy_from_slice(encoder.get_ref());
        assert!(input.len() < 1000, "{}", input.len());
        let (mut brotli, mut size) = (Brotli::new(), 0);
        while !input.is_empty() || brotli.has_more {
            let piece = brotli.decode(&mut input).unwrap();
            assert!(piece.len() <= PIECE && piece.iter().all(|byte| *byte == b'x'));
            size += piece.len();
        }
        assert_eq!(size, SIZE);
    }

    #[test]
    fn an_end_is_the_end() {
        let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 20);
        encoder.write_all(b"data: x\n\n").unwrap();
        let mut input = Bytes::from([&encoder.into_inner()[..], b"more"].concat());
        let mut brotli = Brotli::new();
        assert_eq!(brotli.decode(&mut input).unwrap(), b"data: x\n\n");
        assert_eq!(input, "more");
        assert!(brotli.decode(&mut input).is_err());
    }
}
