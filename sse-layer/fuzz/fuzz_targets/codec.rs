//! The codec against the obvious implementation, for any bytes, cuts and repairs.
//!
//! `cargo +nightly fuzz run codec` in `sse-layer`.

#![no_main]

#[path = "../../tests/codec/naive.rs"]
mod naive;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use naive::Parsed;
use sse_layer::{Decoder, Framer, Repairs};

fuzz_target!(|input: (u8, [u8; 3], &[u8])| {
    let (repairs, sizes, stream) = input;
    let chunks = cut(stream, sizes);
    decoder_agrees(stream, &chunks);
    nothing_is_lost(stream, &chunks);
    what_is_mended_stays(&chunks, choose(repairs));
});

fn decoder_agrees(stream: &[u8], chunks: &[Bytes]) {
    let mut decoder = Decoder::new();
    let mut events = Vec::new();
    for chunk in chunks {
        decoder.push(chunk.clone());
        while let Some(event) = decoder.next_event().expect("within the limit") {
            events.push(event);
        }
    }
    let last_event_id = decoder.last_event_id().to_owned();
    let parsed = Parsed { events, retry: decoder.retry(), last_event_id };
    assert_eq!(parsed, naive::parse(stream));
}

fn nothing_is_lost(stream: &[u8], chunks: &[Bytes]) {
    let (blocks, rest) = naive::blocks(stream);
    let (frames, framer) = frames(Framer::new(), chunks);
    assert_eq!(frames.len(), blocks.len());
    for (frame, block) in frames.iter().zip(&blocks) {
        // The LF of a last CR LF may come too late for its frame.
        let is_split = block.ends_with(b"\r\n") && !frame.ends_with(b"\n");
        assert_eq!(frame, &block[..block.len() - usize::from(is_split)]);
    }
    assert_eq!(framer.into_remainder(), rest);
}

fn what_is_mended_stays(chunks: &[Bytes], repairs: Repairs) {
    let framer = || Framer::new().with_repairs(repairs);
    let (once, _) = frames(framer(), chunks);
    let start = Bytes::from(":\n\n");
    let again: Vec<_> = std::iter::once(start).chain([once.concat().into()]).collect();
    let (twice, mut framer) = frames(framer(), &again);
    assert_eq!(twice[1..], once);
    assert_eq!(framer.take_repaired(), Repairs::NONE);
}

fn frames(mut framer: Framer, chunks: &[Bytes]) -> (Vec<Bytes>, Framer) {
    let mut frames = Vec::new();
    for chunk in chunks {
        framer.push(chunk.clone());
        while let Some(frame) = framer.next_frame().expect("within the limit") {
            frames.push(frame.into_bytes());
        }
    }
    (frames, framer)
}

/// Cuts the stream into chunks of these sizes, used round and round.
fn cut(stream: &[u8], sizes: [u8; 3]) -> Vec<Bytes> {
    let mut rest = Bytes::copy_from_slice(stream);
    let mut sizes = sizes.iter().cycle().map(|size| usize::from(*size).max(1));
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let size = sizes.next().map_or(1, |size| size.min(rest.len()));
        chunks.push(rest.split_to(size));
    }
    chunks
}

/// The repairs whose bits are set.
fn choose(bits: u8) -> Repairs {
    let all = [
        Repairs::NORMALISE_EOL,
        Repairs::FIELD_CASE,
        Repairs::FIELD_SPACE,
        Repairs::STRAY_BOM,
        Repairs::BLANK_LINES,
    ];
    let chosen = all.into_iter().enumerate().filter(|(bit, _)| bits & (1 << bit) != 0);
    chosen.map(|(_, repair)| repair).collect()
}
