//! The decoders that are compared, all with one interface.

use std::convert::Infallible;

use bytes::Bytes;
use eventsource_stream::EventStream;
use futures_util::{FutureExt, StreamExt, stream};
use sse_codec::Event;
use sse_layer::{Decoder, Framer, MessageRef};
use sse_stream::SseByteStream;

use crate::streams::Stream;

/// Takes an event: its type, its data and its id.
pub(crate) trait See: FnMut(&str, &str, &str) {}

impl<F: FnMut(&str, &str, &str)> See for F {}

/// A decoder: reads a stream, and shows each of its events.
pub(crate) trait Peer {
    fn read(stream: &Stream, see: impl See);
}

pub(crate) struct SseLayer;
/// With strings of their own for all events, which the others cannot do without.
pub(crate) struct SseLayerOwned;
pub(crate) struct SseStream;
pub(crate) struct EventsourceStream;
pub(crate) struct SseCodec;

impl Peer for SseLayer {
    fn read(stream: &Stream, mut see: impl See) {
        let mut decoder = Decoder::new();
        for read in &stream.reads {
            decoder.push(read.clone());
            while let Some(event) = decoder.next_event().expect("no event is too long") {
                see(event.event_type, event.data, event.last_event_id);
            }
        }
    }
}

impl Peer for SseLayerOwned {
    fn read(stream: &Stream, mut see: impl See) {
        SseLayer::read(stream, |event_type, data, id| {
            let event = MessageRef { event_type, data, last_event_id: id }.to_owned();
            see(&event.event_type, &event.data, &event.last_event_id);
        });
    }
}

impl Peer for SseStream {
    fn read(stream: &Stream, mut see: impl See) {
        read_all(SseByteStream::new(reads(stream)), |event| {
            let event = event.expect("sound");
            let event_type = event.event.as_deref().unwrap_or("message");
            see(event_type, event.data.as_deref().unwrap_or(""), event.id.as_deref().unwrap_or(""));
        });
    }
}

impl Peer for EventsourceStream {
    fn read(stream: &Stream, mut see: impl See) {
        read_all(EventStream::new(reads(stream)), |event| {
            let event = event.expect("sound");
            see(&event.event, &event.data, &event.id);
        });
    }
}

impl Peer for SseCodec {
    fn read(stream: &Stream, mut see: impl See) {
        // Its reads are as long as it likes.
        read_all(sse_codec::decode_stream(stream.wire.as_ref()), |event| {
            if let Event::Message { id, event, data } = event.expect("sound") {
                see(&event, &data, id.as_deref().unwrap_or(""));
            }
        });
    }
}

fn reads(stream: &Stream) -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> + Unpin {
    stream::iter(stream.reads.iter().cloned().map(Ok))
}

/// Reads a stream whose bytes are all there.
fn read_all<S: futures_util::Stream>(events: S, see: impl FnMut(S::Item)) {
    let mut see = see;
    let read = events.for_each(|event| {
        see(event);
        std::future::ready(())
    });
    read.now_or_never().expect("it waits for nothing");
}

/// How many frames a framer cuts a stream into, and their length.
pub(crate) fn cut(stream: &Stream) -> (usize, usize) {
    let mut framer = Framer::new();
    let mut found = (0, 0);
    for read in &stream.reads {
        framer.push(read.clone());
        while let Some(frame) = framer.next_frame().expect("no frame is too long") {
            found = (found.0 + 1, found.1 + frame.bytes().len());
        }
    }
    found
}
