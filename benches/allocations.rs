//! How many allocations an event costs that is written or read.
//!
//!     cargo bench -p sse-layer --bench allocations
//!
//! Counts do not vary: the run fails if one is higher than it was meant to be.

use std::process::ExitCode;

use allocation_counter::measure;
use bytes::{Bytes, BytesMut};
use sse_layer::{Decoder, Event, Framer};

/// Events of one measurement.
const EVENTS: u64 = 1000;

/// What a decoder or framer may take beside its events, for a stream as a whole: room that grows
/// until it is enough.
const ONCE: u64 = 16;

fn main() -> ExitCode {
    let named = |data: String| {
        let event_type = "update".try_into().expect("no line break");
        Event::new().event(event_type).id(4711.into()).data(data)
    };
    let short = Event::new().data("x".repeat(100));
    let long = Event::new().data(vec!["x".repeat(100); 10].join("\n"));
    let named = named("x".repeat(100));
    let mut room = BytesMut::with_capacity(4096);

    println!("{:44} {:>11} {:>6}", "", "allocations", "goal");
    let rows = [
        ("to_bytes, 100 B", to_bytes(&short), 1),
        ("to_bytes, 100 B with type and id", to_bytes(&named), 1),
        ("encode into room that is there, 100 B", encode(&short, &mut room), 0),
        ("encode into room that is there, 10 lines", encode(&long, &mut room), 0),
        // Slices of what was read.
        ("frame, 100 B", frames(&short), 0),
        ("frame, 100 B with type and id", frames(&named), 0),
        // Lent, and where there are several lines, joined in room that is there.
        ("event, 100 B", events(&short), 0),
        ("event, 10 lines of 100 B", events(&long), 0),
        ("event, 100 B with type and id", events(&named), 0),
    ];
    let mut are_met = true;
    for (name, count, goal) in rows {
        let is_met = count <= goal * EVENTS + ONCE;
        are_met &= is_met;
        let mark = if is_met { "" } else { "  not met" };
        println!("{name:44} {:>7}.{:03} {goal:>6}{mark}", count / EVENTS, count % EVENTS);
    }
    if are_met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn to_bytes(event: &Event) -> u64 {
    measure(|| (0..EVENTS).for_each(|_| assert!(!event.to_bytes().is_empty()))).count_total
}

fn encode(event: &Event, room: &mut BytesMut) -> u64 {
    let encode = |room: &mut BytesMut| {
        room.clear();
        event.encode(room);
        assert!(!room.is_empty());
    };
    measure(|| (0..EVENTS).for_each(|_| encode(room))).count_total
}

fn frames(event: &Event) -> u64 {
    let wire = wire(event);
    let mut framer = Framer::new();
    let mut found = 0;
    let info = measure(|| {
        framer.push(wire);
        while framer.next_frame().expect("no frame is too long").is_some() {
            found += 1;
        }
    });
    assert_eq!(found, EVENTS);
    info.count_total
}

fn events(event: &Event) -> u64 {
    let wire = wire(event);
    let mut decoder = Decoder::new();
    let mut found = 0;
    let info = measure(|| {
        decoder.push(wire);
        while decoder.next_event().expect("no event is too long").is_some() {
            found += 1;
        }
    });
    assert_eq!(found, EVENTS);
    info.count_total
}

/// The event, over and over.
fn wire(event: &Event) -> Bytes {
    let mut out = BytesMut::new();
    (0..EVENTS).for_each(|_| event.encode(&mut out));
    out.freeze()
}
