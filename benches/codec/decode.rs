//! From bytes to events.

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use sse_layer::MessageEvent;

use crate::peers::{EventsourceStream, Peer, SseCodec, SseLayer, SseStream, cut};
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

#[divan::bench(types = [SseLayer, SseStream, EventsourceStream, SseCodec], args = Shape::ALL)]
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

fn counted<'a, 'b>(bencher: Bencher<'a, 'b>, stream: &Stream) -> Bencher<'a, 'b> {
    bencher
        .counter(BytesCount::new(stream.wire.len()))
        .counter(ItemsCount::new(stream.events.len()))
}
