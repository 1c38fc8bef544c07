//! The jobs that are counted. Each does its work so many times, and checks what comes of it.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::{Bytes, BytesMut};
use sse_layer::feed::{Feed, FeedOptions, Item, Lag, Log, Reader, Start};
use sse_layer::mux::wire::Encoder;
use sse_layer::{Decoder, Event, Frame, Framer, Repairs};

pub(crate) type Job = fn(u64);

pub(crate) const ALL: &[(&str, Job)] = &[
    ("encode", encode),
    ("decode-1000", decode),
    ("repair-1000", repair),
    ("append", append),
    ("wake-100", wake),
    ("mux-50", mux),
    ("resume-1000", resume),
];

/// Events of one stream, or of one feed.
const MANY: u64 = 1000;

const READERS: usize = 100;

const FEEDS: usize = 50;

fn event(id: u64) -> Event {
    Event::new().id(id.into()).data("{\"user\":\"someone\",\"text\":\"what they said: a thing\"}")
}

fn encode(rounds: u64) {
    let event = event(7);
    for _ in 0..rounds {
        assert!(black_box(&event).to_bytes().starts_with(b"id: 7\n"));
    }
}

fn decode(rounds: u64) {
    let wire: Bytes = (0..MANY).flat_map(|id| event(id).to_bytes()).collect();
    for _ in 0..rounds {
        let mut decoder = Decoder::new();
        decoder.push(wire.clone());
        let mut found = 0;
        while let Some(event) = decoder.next_event().expect("short") {
            found += u64::from(!black_box(event).data.is_empty());
        }
        assert_eq!(found, MANY);
    }
}

/// Of a server that writes `ID` and `Data`.
fn repair(rounds: u64) {
    let block = |id: u64| format!("ID: {id}\r\nData: what they said: a thing\r\n\r\n");
    let wire = Bytes::from((0..MANY).map(block).collect::<String>());
    for _ in 0..rounds {
        let mut framer = Framer::new().with_repairs(Repairs::LEGACY);
        framer.push(wire.clone());
        let mut found = 0;
        while let Some(frame) = framer.next_frame().expect("short") {
            found += u64::from(frame.has_data());
        }
        assert_eq!(found, MANY);
    }
}

fn append(rounds: u64) {
    let feed = Log::new().feed(FeedOptions::default());
    let frame = Frame::from(event(7));
    (0..rounds).for_each(|_| feed.publish(frame.clone()));
    assert_eq!(feed.last_event_id(), "7");
}

/// One event for readers that wait.
fn wake(rounds: u64) {
    let feed = Log::new().feed(FeedOptions::default());
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut items = Vec::new();
    let mut readers: Vec<_> = (0..READERS).map(|_| reader(&feed, Start::Live)).collect();
    readers.iter_mut().for_each(|reader| while take(reader, &waker, &mut items) > 0 {});
    for id in 0..rounds {
        feed.publish(event(id));
        assert_eq!(wakes.0.swap(0, Ordering::Relaxed), READERS);
        for reader in &mut readers {
            assert_eq!(take(reader, &waker, &mut items), 1);
            assert_eq!(take(reader, &waker, &mut items), 0);
        }
    }
}

/// An event of each feed, on one stream.
fn mux(rounds: u64) {
    let log = Log::new();
    let (mut reader, mut encoder) = (Reader::new(Lag::default()), Encoder::new());
    let feeds: Vec<Feed> = (0..FEEDS)
        .map(|n| {
            let feed = log.feed(FeedOptions::default());
            reader.subscribe(&feed, Start::Live);
            encoder.add(format!("/feeds/{n}").try_into().expect("a name"), "");
            feed
        })
        .collect();
    let mut items = Vec::new();
    while take(&mut reader, Waker::noop(), &mut items) > 0 {}
    for id in 0..rounds {
        feeds.iter().for_each(|feed| feed.publish(event(id)));
        assert_eq!(take(&mut reader, Waker::noop(), &mut items), FEEDS);
        let mut out = BytesMut::new();
        items.iter().for_each(|item| encoder.encode(&mut out, item));
        assert!(out.starts_with(b"event: /feeds/0\nid: "));
    }
}

/// A client that comes back and has missed all but the first.
fn resume(rounds: u64) {
    let feed = Log::new().feed(FeedOptions::default());
    (0..=MANY).for_each(|id| feed.publish(event(id)));
    let mut items = Vec::new();
    for _ in 0..rounds {
        let mut reader = reader(&feed, Start::Id(b"0"));
        let mut found = 0;
        while take(&mut reader, Waker::noop(), &mut items) > 0 {
            found += items.iter().filter(|item| matches!(item, Item::Event { .. })).count() as u64;
        }
        assert_eq!(found, MANY);
    }
}

fn reader(feed: &Feed, start: Start<'_>) -> Reader {
    let mut reader = Reader::new(Lag::default());
    reader.subscribe(feed, start);
    reader
}

/// Replaces `items` by what is due now, and tells how much that is. If it is nothing, the reader
/// waits to be woken.
fn take(reader: &mut Reader, waker: &Waker, items: &mut Vec<Item>) -> usize {
    items.clear();
    if let Poll::Ready(result) = reader.poll_next(&mut Context::from_waker(waker), items) {
        result.expect("no reader is behind");
    }
    items.len()
}

/// Counts how often readers are woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
