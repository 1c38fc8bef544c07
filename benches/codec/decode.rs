//! From bytes to events.

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use simdutf8::basic::from_utf8;
use sse_layer::MessageEvent;

use crate::peers::{EventsourceStream, Peer, SseCodec, SseLayer, SseLayerOwned, SseStream, cut};
use crate::streams::{Shape, Stream};

/// What is known of events without keeping them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    events: usize,
    bytes: usize,
    last_bytes: usize,
}

impl Tally {
    fn add(&mut self, event_type: &str, data: &str, id: &str) {
        self.events += 1;
        self.bytes += event_type.len() + data.len() + id.len();
        self.last_bytes += data.bytes().next_back().map_or(0, usize::from);
    }
}

#[divan::bench(types = [SseLayer, SseLayerOwned, SseStream, EventsourceStream, SseCodec], args = Shape::ALL)]
fn events<P: Peer>(bencher: Bencher<'_, '_>, shape: Shape) {
    let stream = shape.stream();
    let mut events = Vec::new();
    P::read(&stream, |event_type, data, id| {
        events.push(MessageEvent {
            event_type: event_type.to_owned(),
            data: data.to_owned(),
            last_event_id: id.to_owned(),
        });
    });
    assert!(events == stream.events, "not what was sent");

    let mut expected = Tally::default();
    for event in &events {
        expected.add(&event.event_type, &event.data, &event.last_event_id);
    }
    counted(bencher, &stream).bench_local(|| {
        let mut tally = Tally::default();
        P::read(&stream, |event_type, data, id| tally.add(event_type, data, id));
        assert_eq!(tally, expected);
    });
}

#[divan::bench(args = Shape::ALL)]
fn frames(bencher: Bencher<'_, '_>, shape: Shape) {
    let stream = shape.stream();
    let expected = (stream.events.len(), stream.wire.len());
    counted(bencher, &stream).bench_local(|| assert_eq!(cut(&stream), expected));
}

/// What no decoder can do without, where each event is known to be one line of data: to find its
/// end, check its encoding, and copy it.
#[divan::bench(args = Shape::ALL.into_iter().filter(|shape| shape.is_lone_line()))]
fn floor(bencher: Bencher<'_, '_>, shape: Shape) {
    let stream = shape.stream();
    counted(bencher, &stream).bench_local(|| {
        let mut events = stream.events.iter();
        let mut rest = stream.wire.as_ref();
        while let Some(end) = memchr::memchr2(b'\n', b'\r', rest) {
            let (line, tail) = rest.split_at(end);
            let data = line.strip_prefix(b"data: ").and_then(|data| from_utf8(data).ok());
            let data = black_box(data.expect("a line of data").to_owned());
            let expected = events.next().expect("no event more");
            assert_eq!(data.len(), expected.data.len());
            rest = tail.strip_prefix(b"\n\n").expect("a blank line");
        }
        assert!(events.next().is_none(), "no event less");
    });
}

fn counted<'a, 'b>(bencher: Bencher<'a, 'b>, stream: &Stream) -> Bencher<'a, 'b> {
    bencher
        .counter(BytesCount::new(stream.wire.len()))
        .counter(ItemsCount::new(stream.events.len()))
}
