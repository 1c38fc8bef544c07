//! What it costs to append to a feed, to hand out what was appended, and to resume.
//!
//!     cargo bench -p sse-layer --bench feed
//!
//! Every reader must get every event once and in order, or the run fails. A throughput in items
//! is that of events, for each reader that gets them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use divan::Bencher;
use divan::counter::ItemsCount;
use sse_layer::feed::{Entry, Feed, FeedOptions, Item, Lag, Log, Reader, Start};
use sse_layer::{Event, Frame};

/// Events that a reader missed before it came back.
const MISSED: usize = 1000;

fn main() {
    divan::main();
}

/// Appends to a feed that nobody reads.
#[divan::bench]
fn publish(bencher: Bencher<'_, '_>) {
    let feed = Log::new().feed(FeedOptions::default());
    let frame = frame(7);
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| feed.publish(frame.clone()));
    assert_eq!(feed.last_event_id(), "7");
}

/// Appends one event, wakes all readers, and has each of them take it.
#[divan::bench(args = [1, 100, 10_000])]
fn hand_out(bencher: Bencher<'_, '_>, readers: usize) {
    let feed = Log::new().feed(FeedOptions::default());
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut readers: Vec<_> = (0..readers).map(|_| Place::new(&feed, Start::Live)).collect();
    for reader in &mut readers {
        // Tells what becomes of the feed's source, and then waits.
        while !reader.take(&waker).is_empty() {}
    }
    let mut n = 0;
    bencher.counter(ItemsCount::new(readers.len())).bench_local(|| {
        n += 1;
        feed.publish(frame(n));
        assert_eq!(wakes.0.swap(0, Ordering::Relaxed), readers.len());
        for reader in &mut readers {
            let [Item::Event { entry, .. }] = reader.take(&waker) else { panic!("one event each") };
            assert_eq!(entry.cursor().seq, n + 1);
            assert!(reader.take(&waker).is_empty(), "and no more");
        }
    });
}

/// Comes back with an id, and takes all events since.
#[divan::bench]
fn resume(bencher: Bencher<'_, '_>) {
    let feed = Log::new().feed(FeedOptions::default());
    (0..=MISSED).for_each(|n| feed.publish(frame(n as u64)));
    bencher.counter(ItemsCount::new(MISSED)).bench_local(|| {
        let mut reader = Place::new(&feed, Start::Id(b"0"));
        let mut found = 0;
        while found < MISSED {
            for item in reader.take(Waker::noop()) {
                if let Item::Event { entry, .. } = item {
                    found += 1;
                    // The feed's creation took a number, and so did the event before.
                    assert_eq!(entry.cursor().seq, found as u64 + 2);
                }
            }
        }
        assert_eq!(found, MISSED);
    });
}

/// Encodes an event for multiplexed readers, which is done once for all of them.
#[divan::bench]
fn mux_tail(bencher: Bencher<'_, '_>) {
    let feed = Log::new().feed(FeedOptions::default());
    let mut reader = Place::new(&feed, Start::Live);
    let entry = || -> Arc<Entry> {
        feed.publish(frame(7));
        let items = reader.take(Waker::noop());
        let Some(Item::Event { entry, .. }) = items.last() else { panic!("an event") };
        Arc::clone(entry)
    };
    bencher.counter(ItemsCount::new(1_usize)).with_inputs(entry).bench_local_refs(|entry| {
        let tail = entry.mux_tail().expect("it has data");
        assert!(tail.starts_with(b"\nid: ") && tail.ends_with(b" 7\ndata: some news, as ever\n\n"));
    });
}

fn frame(id: u64) -> Frame {
    Event::new().id(id.into()).data("some news, as ever").into()
}

/// A reader, and the items it took last.
struct Place {
    reader: Reader,
    items: Vec<Item>,
}

impl Place {
    fn new(feed: &Feed, start: Start<'_>) -> Self {
        let mut reader = Reader::new(Lag::default());
        reader.subscribe(feed, start);
        Self { reader, items: Vec::new() }
    }

    /// What is due now. If that is nothing, the reader waits to be woken.
    fn take(&mut self, waker: &Waker) -> &[Item] {
        self.items.clear();
        let mut cx = Context::from_waker(waker);
        if let Poll::Ready(result) = self.reader.poll_next(&mut cx, &mut self.items) {
            result.expect("no reader is behind");
        }
        &self.items
    }
}

/// Counts how often readers are woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
