//! The codec against the corpus, against an obvious implementation, and against itself.

#![expect(clippy::indexing_slicing, reason = "a panic fails the test")]

#[path = "codec/by_name.rs"]
mod by_name;
#[path = "codec/corpus.rs"]
mod corpus;
#[path = "codec/framer.rs"]
mod framer;
#[path = "codec/legacy.rs"]
mod legacy;
#[path = "codec/naive.rs"]
mod naive;
#[path = "codec/pieces.rs"]
mod pieces;
#[path = "codec/properties.rs"]
mod properties;
#[path = "codec/repairs.rs"]
mod repairs;

use pieces::{BY_BYTES, cut, decode, frames};
use sse_layer::{Frame, Framer, Repairs};

/// The frames of a stream that comes at once, as text, and the framer after it.
fn mended(bytes: &str, repairs: Repairs) -> (Vec<String>, Framer) {
    let framer = Framer::new().with_repairs(repairs);
    let (frames, framer) = frames(framer, &cut(bytes.as_bytes(), &[usize::MAX]));
    let text = |frame: &Frame| String::from_utf8_lossy(frame.bytes()).into_owned();
    (frames.iter().map(text).collect(), framer)
}

/// The frames that are left when the stream ends.
fn rest(framer: &mut Framer, is_meant: bool) -> Vec<Frame> {
    framer.finish(is_meant);
    let mut frames = Vec::new();
    while let Some(frame) = framer.next_frame().expect("within the limit") {
        frames.push(frame);
    }
    frames
}
