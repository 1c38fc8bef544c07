//! Feeds and their readers, seen from inside. What readers are due in general is in `properties`.

mod catch_up;
mod lag;
mod properties;
mod stream;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::advance;

use super::*;
use crate::Event;

fn poll(reader: &mut Reader, items: &mut Vec<Item>) -> Poll<Result<(), Lagged>> {
    reader.poll_next(&mut Context::from_waker(Waker::noop()), items)
}

fn drain(reader: &mut Reader) -> Vec<String> {
    let mut all = Vec::new();
    let mut items = Vec::new();
    while poll(reader, &mut items).is_ready() {
        all.extend(items.drain(..).map(text));
    }
    all
}

fn text(item: Item) -> String {
    match item {
        Item::Event { entry, .. } => String::from_utf8(entry.frame().bytes().to_vec()).unwrap(),
        Item::Gap { .. } => "gap".to_owned(),
        Item::Lagged { missed, .. } => format!("{missed:?}"),
        Item::Status { status, .. } => format!("{status:?}"),
    }
}

fn after(feed: &Feed, id: &str) -> Vec<String> {
    let mut reader = Reader::new(Lag::default());
    reader.subscribe(feed, Start::Id(id.as_bytes()));
    let mut all = drain(&mut reader);
    all.retain(|item| item != "Open");
    all
}

#[test]
fn a_reader_goes_on_after_the_sources_own_id() {
    let feed = Log::new().feed(FeedOptions::default());
    for id in ["a", "b", "c"] {
        feed.publish(Event::new().id(id.try_into().unwrap()).data(id));
    }
    assert_eq!(after(&feed, "a"), ["id: b\ndata: b\n\n", "id: c\ndata: c\n\n"]);
    assert_eq!(after(&feed, "c"), Vec::<String>::new());
    assert_eq!(after(&feed, "x"), ["gap"]);
}

#[test]
fn events_without_ids_get_their_cursor() {
    let feed = Log::new().feed(FeedOptions::default());
    feed.publish(Event::new().data("a"));
    let first = feed.0.log.cursor().to_string();
    feed.publish(Event::new().data("b"));
    let second = feed.0.log.cursor().to_string();
    assert_eq!(after(&feed, &first), [format!("id: {second}\ndata: b\n\n")]);
}

#[test]
fn a_source_that_numbers_only_its_checkpoints_is_resumed_from_there() {
    let feed = Log::new().feed(FeedOptions::default());
    feed.publish(Event::new().id(1.into()).data("a"));
    feed.publish(Event::new().data("b"));
    feed.publish(Event::new().id(2.into()).data("c"));
    assert_eq!(after(&feed, "1"), ["data: b\n\n", "id: 2\ndata: c\n\n"]);
}

#[test]
fn an_event_that_comes_again_is_known_by_its_id_and_what_it_says() {
    let feed = Log::new().feed(FeedOptions::default());
    let event = |id: u64, data: &'static str| Event::new().id(id.into()).data(data);
    feed.publish(event(1, "a"));
    feed.publish(event(2, "b"));
    feed.publish(Event::new().retry(Duration::from_secs(1)));
    assert!(feed.has(event(1, "a")) && feed.has(event(2, "b")));
    assert!(!feed.has(event(2, "a")) && !feed.has(event(3, "a")), "another event");
    assert!(!feed.has(Event::new().data("b")), "without an id it may be one more of the kind");
    feed.publish(event(2, "c"));
    assert!(!feed.has(event(2, "b")), "an id that several events have tells nothing");
}

#[test]
fn what_changes_nothing_is_not_kept() {
    let feed = Log::new().feed(FeedOptions::default());
    let before = feed.0.log.cursor();
    feed.publish(Event::new().comment("hello"));
    assert_eq!(feed.0.log.cursor(), before);
    feed.publish(Event::new().id(7.into()));
    feed.publish(Event::new().retry(Duration::from_secs(9)));
    assert_eq!(feed.0.log.cursor().seq, before.seq + 2);
    assert_eq!(feed.last_event_id(), "7");
    assert_eq!(feed.retry(), Some(Duration::from_secs(9)));
}

#[test]
fn a_feed_that_was_opened_anew_tells_of_the_gap() {
    let log = Log::new();
    let old = log.feed(FeedOptions::default());
    old.publish(Event::new().data("a"));
    let cursor = log.cursor().to_string();
    let new = log.feed(FeedOptions::default());
    assert_eq!(after(&new, &cursor), ["gap"]);
}

#[tokio::test(start_paused = true)]
async fn history_grows_old() {
    let feed = Log::new().feed(FeedOptions::default());
    feed.publish(Event::new().id(1.into()).data("a"));
    advance(Duration::from_secs(200)).await;
    feed.publish(Event::new().id(2.into()).data("b"));
    assert_eq!(after(&feed, "1").len(), 1);
    advance(Duration::from_secs(101)).await;
    assert_eq!(after(&feed, "1"), ["gap"]);
    assert_eq!(after(&feed, "2"), Vec::<String>::new());
}

#[test]
fn history_is_bounded_in_bytes_but_keeps_the_newest() {
    let limits = HistoryLimits::default().bytes(100);
    let feed = Log::new().feed(FeedOptions::default().history(limits));
    for id in 1..=20_u64 {
        feed.publish(Event::new().id(id.into()).data("0123456789"));
    }
    assert_eq!(after(&feed, "17").len(), 3);
    assert_eq!(after(&feed, "2"), ["gap"]);
    feed.publish(Event::new().id(21.into()).data("x".repeat(1000)));
    assert_eq!(feed.0.state.lock().unwrap().history.len(), 1);
}

#[test]
fn a_large_history_is_handed_out_in_batches_and_is_no_lag() {
    let feed = Log::new().feed(FeedOptions::default());
    for id in 1..=1000_u64 {
        feed.publish(Event::new().id(id.into()).data("x"));
    }
    let mut reader = Reader::new(Lag::default());
    reader.subscribe(&feed, Start::Id(b"1"));
    let mut items = Vec::new();
    assert!(poll(&mut reader, &mut items).is_ready());
    assert!(items.len() < 100);
    drop(items);
    assert_eq!(drain(&mut reader).iter().filter(|item| item.starts_with("id")).count(), 999 - 64);
}

#[test]
fn each_of_many_feeds_has_its_next_event_handed_out_at_once() {
    let log = Log::new();
    let feeds: Vec<_> = (0..200).map(|_| log.feed(FeedOptions::default())).collect();
    let mut reader = Reader::new(Lag::default());
    for feed in &feeds {
        reader.subscribe(feed, Start::Live);
    }
    drain(&mut reader);
    feeds.iter().for_each(|feed| feed.publish(Event::new().data("x")));
    let mut items = Vec::new();
    assert!(poll(&mut reader, &mut items).is_ready());
    assert_eq!(items.len(), feeds.len());
}

#[test]
fn that_a_feed_is_open_comes_before_its_events() {
    let connecting = Status::Connecting { reason: "".into(), retry: Duration::ZERO };
    let feed = Log::new().feed(FeedOptions::default().status(connecting));
    let mut reader = Reader::new(Lag::default());
    reader.subscribe(&feed, Start::Live);
    feed.set_status(Status::Open);
    feed.publish(Event::new().id(1.into()).data("a"));
    assert_eq!(drain(&mut reader), ["Open", "id: 1\ndata: a\n\n"]);
}

#[test]
fn a_change_of_state_comes_after_the_events_before_it() {
    let feed = Log::new().feed(FeedOptions::default());
    let mut reader = Reader::new(Lag::default());
    reader.subscribe(&feed, Start::Live);
    assert_eq!(drain(&mut reader), ["Open"]);
    feed.publish(Event::new().id(1.into()).data("a"));
    feed.set_status(Status::Closed { status: 204 });
    assert_eq!(drain(&mut reader), ["id: 1\ndata: a\n\n", "Closed { status: 204 }"]);
}

#[test]
fn the_frame_for_multiplexed_readers_begins_with_their_name_for_the_feed() {
    let feed = Log::new().feed(FeedOptions::default());
    let mut reader = Reader::new(Lag::default());
    reader.subscribe(&feed, Start::Live);
    feed.publish(Event::new().event("update".try_into().unwrap()).id(7.into()).data("a\nb"));
    feed.publish(Event::new().data(""));
    feed.publish(Event::new().id(8.into()));
    let mut items = Vec::new();
    assert!(poll(&mut reader, &mut items).is_ready());
    let tails: Vec<_> = items
        .iter()
        .filter_map(|item| match item {
            Item::Event { entry, .. } => Some((entry.cursor(), entry.mux_tail().cloned())),
            _ => None,
        })
        .collect();
    let (first, second) = (tails[0].0, tails[1].0);
    assert_eq!(
        tails[0].1.as_ref().unwrap(),
        &format!("#update\nid: {first} 7\ndata: a\ndata: b\n\n")
    );
    assert_eq!(tails[1].1.as_ref().unwrap(), &format!("\nid: {second} 7\ndata: \n\n"));
    assert_eq!(tails[2].1, None, "ids ride on events with data alone");
}

/// Publishers on several threads, and a reader of all their feeds: no number is passed over.
#[test]
fn numbers_become_visible_in_order_under_contention() {
    const EACH: usize = 20_000;
    let log = Log::new();
    let limits = HistoryLimits::default().events(EACH).bytes(usize::MAX);
    let feeds: Vec<Feed> =
        (0..3).map(|_| log.feed(FeedOptions::default().history(limits))).collect();
    let mut reader = Reader::new(Lag::default().events(EACH).bytes(u64::MAX));
    for feed in &feeds {
        reader.subscribe(feed, Start::Live);
    }
    let frame: Frame = Event::new().id(1.into()).data("x").into();
    let publishers: Vec<_> = feeds
        .iter()
        .map(|feed| {
            let (feed, frame) = (feed.clone(), frame.clone());
            std::thread::spawn(move || (0..EACH).for_each(|_| feed.publish(frame.clone())))
        })
        .collect();
    let mut expected = 4; // after the three feeds' own numbers
    let mut items = Vec::new();
    while expected < 4 + 3 * EACH as u64 {
        let _ = poll(&mut reader, &mut items);
        for item in items.drain(..) {
            if let Item::Event { entry, .. } = item {
                assert_eq!(entry.seq, expected);
                expected += 1;
            }
        }
    }
    for publisher in publishers {
        publisher.join().unwrap();
    }
}

#[tokio::test]
async fn a_reader_is_woken_by_what_it_waits_for() {
    let feed = Log::new().feed(FeedOptions::default());
    let mut reader = Reader::new(Lag::default());
    reader.subscribe(&feed, Start::Live);
    let mut items = Vec::new();
    reader.next(&mut items).await.unwrap();
    items.clear();
    let waiting = tokio::spawn(async move {
        reader.next(&mut items).await.unwrap();
        items.len()
    });
    tokio::task::yield_now().await;
    feed.publish(Event::new().data("x"));
    assert_eq!(waiting.await.unwrap(), 1);
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_told_that_it_lags() {
    let feed = Log::new().feed(FeedOptions::default());
    let mut reader = Reader::new(Lag::default().events(3));
    reader.subscribe(&feed, Start::Live);
    let lagging = tokio::spawn(async move { reader.lagged().await });
    for _ in 0..4 {
        feed.publish(Event::new().data("x"));
        tokio::task::yield_now().await;
    }
    assert_eq!(lagging.await.unwrap(), Lagged { feed: 0 });
    assert_eq!(Arc::strong_count(&feed.0), 1);
}
