//! Streams that come in pieces, and what is made of them.

use bytes::Bytes;
use sse_layer::{Decoder, Frame, Framer, Repairs};

use super::naive::Parsed;

/// The repairs that a framer makes.
pub(crate) const BY_BYTES: [Repairs; 16] = [
    Repairs::NORMALISE_EOL,
    Repairs::FIELD_CASE,
    Repairs::FIELD_SPACE,
    Repairs::STRAY_BOM,
    Repairs::BLANK_LINES,
    Repairs::FINAL_BLANK_LINE,
    Repairs::LINE_PER_EVENT,
    Repairs::CRCRLF,
    Repairs::JSON_CONTINUATION,
    Repairs::TEXT_CONTINUATION,
    Repairs::TRIM_TYPE,
    Repairs::EMPTY_DATA,
    Repairs::RETRY_UNIT,
    Repairs::RETRY_FLOOR,
    Repairs::RETRY_CEILING,
    Repairs::CESU8,
];

/// What a decoder makes of a stream that comes in these chunks and then ends.
pub(crate) fn decode(chunks: &[Bytes], repairs: Repairs) -> Parsed {
    let mut decoder = Decoder::new().with_repairs(repairs);
    let mut events = Vec::new();
    let mut take = |decoder: &mut Decoder| {
        while let Some(event) = decoder.next_event().expect("within the limit") {
            events.push(event.to_owned());
        }
    };
    for chunk in chunks {
        decoder.push(chunk.clone());
        take(&mut decoder);
    }
    decoder.finish(true);
    take(&mut decoder);
    Parsed { events, retry: decoder.retry(), last_event_id: decoder.last_event_id().to_owned() }
}

/// The frames of a stream that comes in these chunks, and the framer after it.
pub(crate) fn frames(mut framer: Framer, chunks: &[Bytes]) -> (Vec<Frame>, Framer) {
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
pub(crate) fn cut(bytes: &[u8], sizes: &[usize]) -> Vec<Bytes> {
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
