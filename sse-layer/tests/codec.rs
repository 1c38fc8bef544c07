//! The codec against the corpus, against an obvious implementation, and against itself.

#[path = "codec/corpus.rs"]
mod corpus;
#[path = "codec/framer.rs"]
mod framer;
#[path = "codec/legacy.rs"]
mod legacy;
#[path = "codec/naive.rs"]
mod naive;
#[path = "codec/properties.rs"]
mod properties;

use bytes::Bytes;
use naive::Parsed;
use sse_layer::{Decoder, Frame, Framer, Repairs};

/// What a decoder makes of a stream that comes in these chunks.
fn decode(chunks: &[Bytes], repairs: Repairs) -> Parsed {
    let mut decoder = Decoder::new().with_repairs(repairs);
    let mut events = Vec::new();
    for chunk in chunks {
        decoder.push(chunk.clone());
        while let Some(event) = decoder.next_event().expect("within the limit") {
            events.push(event);
        }
    }
    Parsed { events, retry: decoder.retry(), last_event_id: decoder.last_event_id().to_owned() }
}

/// The frames of a stream that comes in these chunks, and the framer after it.
fn frames(mut framer: Framer, chunks: &[Bytes]) -> (Vec<Frame>, Framer) {
    let mut frames = Vec::new();
    for chunk in chunks {
        framer.push(chunk.clone());
        while let Some(frame) = framer.next_frame().expect("within the limit") {
            frames.push(frame);
        }
    }
    (frames, framer)
}

/// Cuts `bytes` into chunks of these sizes, used round and round.
fn cut(bytes: &[u8], sizes: &[usize]) -> Vec<Bytes> {
    let mut rest = Bytes::copy_from_slice(bytes);
    let mut chunks = Vec::new();
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        chunks.push(rest.split_to(rest.len().min((*size).max(1))));
    }
    chunks
}
