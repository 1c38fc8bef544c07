//! The codec against the obvious implementation, for any bytes, cuts and repairs.
//!
//! `cargo +nightly fuzz run codec` in `sse-layer`.

#![no_main]

#[path = "../../tests/codec/naive.rs"]
mod naive;
#[path = "../../tests/codec/pieces.rs"]
mod pieces;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use pieces::{BY_BYTES, cut, decode, frames};
use sse_layer::{Decoder, Framer, Repairs};

fuzz_target!(|input: (u16, [u8; 3], &[u8])| {
    let (repairs, sizes, stream) = input;
    let chunks = cut(stream, &sizes.map(usize::from));
    decoder_agrees(stream, &chunks);
    nothing_is_lost(stream, &chunks);
    what_is_mended_stays(&chunks, choose(repairs));
    let limit = usize::from(sizes[0]) + 1;
    cuts_make_no_difference(stream, &chunks, choose(repairs), limit);
});

fn decoder_agrees(stream: &[u8], chunks: &[Bytes]) {
    assert_eq!(decode(chunks, Repairs::NONE), naive::parse(stream));
}

fn nothing_is_lost(stream: &[u8], chunks: &[Bytes]) {
    let (blocks, rest) = naive::blocks(stream);
    let (frames, framer) = frames(Framer::new(), chunks);
    assert_eq!(frames.len(), blocks.len());
    for (frame, block) in frames.iter().zip(&blocks) {
        // The LF of a last CR LF may come too late for its frame.
        let is_split = block.ends_with(b"\r\n") && !frame.bytes().ends_with(b"\n");
        assert_eq!(frame.bytes(), &block[..block.len() - usize::from(is_split)]);
    }
    assert_eq!(framer.into_remainder(), rest);
}

/// Not so where each line is an event: lines that only a repair made data of are then events too.
fn what_is_mended_stays(chunks: &[Bytes], repairs: Repairs) {
    let framer = || Framer::new().with_repairs(repairs.without(Repairs::LINE_PER_EVENT));
    let (once, _) = frames(framer(), chunks);
    // The start of a stream would take a byte order mark for its own.
    let start = Bytes::from(":\n\n");
    let mended = once.iter().flat_map(|frame| frame.bytes().clone()).collect();
    let (twice, mut framer) = frames(framer(), &[start, mended]);
    assert_eq!(twice[1..], once);
    assert_eq!(framer.take_repaired(), Repairs::NONE);
}

/// Nor does the end of the stream, or the limit, hang on how it is cut.
fn cuts_make_no_difference(stream: &[u8], chunks: &[Bytes], repairs: Repairs, limit: usize) {
    let read = |chunks: &[Bytes]| {
        let mut decoder = Decoder::new().with_repairs(repairs).with_limit(limit);
        let mut read = Vec::new();
        for chunk in chunks {
            decoder.push(chunk.clone());
            while let Ok(Some(event)) = decoder.next_event() {
                read.push(event.to_owned());
            }
        }
        decoder.finish(true);
        while let Ok(Some(event)) = decoder.next_event() {
            read.push(event.to_owned());
        }
        let retry = decoder.retry();
        (read, retry, decoder.next_event().is_err())
    };
    assert_eq!(read(chunks), read(&[Bytes::copy_from_slice(stream)]));
}

/// The repairs whose bits are set.
fn choose(bits: u16) -> Repairs {
    let chosen = BY_BYTES.into_iter().enumerate().filter(|(bit, _)| bits & (1 << bit) != 0);
    chosen.map(|(_, repair)| repair).collect()
}
