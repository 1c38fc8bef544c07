//! Any interleaving of publishing, subscribing, lagging and leaving gives each reader exactly the
//! events that it is due, in order, or tells it of the gap.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::advance;

use super::*;
use crate::Event;

/// What a step does to the log.
#[derive(Clone, Debug)]
enum Step {
    /// Publishes to a feed, with an id of the source's own or without.
    Publish { feed: usize, with_id: bool },
    /// A new reader of some feeds, live or after some event that was published before.
    Subscribe { feeds: [bool; 3], after: Option<prop::sample::Index> },
    /// A reader takes what is there.
    Read(prop::sample::Index),
    /// A reader goes away.
    Leave(prop::sample::Index),
}

const HISTORY: usize = 8;
const LAG: usize = 5;

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3_usize, any::<bool>()).prop_map(|(feed, with_id)| Step::Publish { feed, with_id }),
        2 => (any::<[bool; 3]>(), any::<Option<prop::sample::Index>>())
            .prop_map(|(feeds, after)| Step::Subscribe { feeds, after }),
        4 => any::<prop::sample::Index>().prop_map(Step::Read),
        1 => any::<prop::sample::Index>().prop_map(Step::Leave),
    ]
}

/// The plain truth about one reader.
struct Expected {
    reader: Reader,
    /// Feeds by the reader's numbers.
    feeds: Vec<usize>,
    /// Per feed of the reader: events (by number in the log) that it is due and has not had.
    due: Vec<Vec<u64>>,
    /// Per feed: how many of those were published before it came.
    old: Vec<usize>,
    /// Per feed: whether a gap must be told.
    gap: Vec<bool>,
}

fn poll(reader: &mut Reader, items: &mut Vec<Item>) -> Poll<Result<(), Lagged>> {
    reader.poll_next(&mut Context::from_waker(Waker::noop()), items)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn readers_get_what_they_are_due_or_are_told(steps in prop::collection::vec(step(), 0..120)) {
        let log = Log::new();
        let limits = HistoryLimits::default().events(HISTORY);
        let options = FeedOptions::default().history(limits);
        let feeds: Vec<Feed> = (0..3).map(|_| log.feed(options.clone())).collect();
        let births: Vec<u64> = (1..=3).collect();
        // Every event, as (feed, number in the log).
        let mut published: Vec<(usize, u64)> = Vec::new();
        let mut readers: Vec<Expected> = Vec::new();
        for step in steps {
            match step {
                Step::Publish { feed, with_id } => {
                    let event = Event::new().data("x");
                    let id = (log.cursor().seq + 1).into();
                    feeds[feed].publish(if with_id { event.id(id) } else { event });
                    let seq = log.cursor().seq;
                    published.push((feed, seq));
                    for reader in &mut readers {
                        for (number, known) in reader.feeds.iter().enumerate() {
                            if *known == feed {
                                reader.due[number].push(seq);
                            }
                        }
                    }
                }
                Step::Subscribe { feeds: wanted, after } => {
                    let after = after.filter(|_| !published.is_empty())
                        .map(|index| published[index.index(published.len())].1);
                    let mut new = Expected {
                        reader: Reader::new(Lag::default().events(LAG)),
                        feeds: Vec::new(), due: Vec::new(), old: Vec::new(), gap: Vec::new(),
                    };
                    for feed in (0..3).filter(|feed| wanted[*feed]) {
                        let start = match after {
                            Some(seq) => Start::After(Cursor { epoch: log.epoch(), seq }),
                            None => Start::Live,
                        };
                        new.reader.subscribe(&feeds[feed], start);
                        let all: Vec<u64> = published.iter()
                            .filter(|(of, _)| *of == feed).map(|(_, seq)| *seq).collect();
                        let kept = all.len().min(HISTORY);
                        let lost = all.len() - kept;
                        let floor = if lost > 0 { all[lost - 1] } else { births[feed] };
                        let due: Vec<u64> = match after {
                            Some(after) => all[lost..].iter().copied().filter(|s| *s > after).collect(),
                            None => Vec::new(),
                        };
                        new.feeds.push(feed);
                        new.old.push(due.len());
                        new.due.push(due);
                        new.gap.push(after.is_some_and(|after| after < floor));
                    }
                    readers.push(new);
                }
                Step::Read(index) if !readers.is_empty() => {
                    let at = index.index(readers.len());
                    // Behind by more live events than allowed, or by more than there is history.
                    let lagged = {
                        let reader = &readers[at];
                        (0..reader.feeds.len()).any(|n| {
                            let live = reader.due[n].len() - reader.old[n];
                            live > LAG || reader.due[n].len() > HISTORY
                        })
                    };
                    let mut items = Vec::new();
                    let polled = poll(&mut readers[at].reader, &mut items);
                    if lagged {
                        prop_assert!(matches!(polled, Poll::Ready(Err(_))), "{polled:?}");
                        readers.swap_remove(at);
                        continue;
                    }
                    prop_assert!(!matches!(polled, Poll::Ready(Err(_))), "{polled:?}");
                    let reader = &mut readers[at];
                    let mut last = 0;
                    for item in items {
                        match item {
                            Item::Gap { feed } => {
                                prop_assert!(std::mem::take(&mut reader.gap[feed]), "a gap for nothing");
                            }
                            Item::Event { feed, entry } => {
                                prop_assert!(!reader.gap[feed], "an event before its gap");
                                prop_assert!(entry.seq > last, "out of log order");
                                last = entry.seq;
                                prop_assert_eq!(reader.due[feed].first(), Some(&entry.seq));
                                reader.due[feed].remove(0);
                                reader.old[feed] = reader.old[feed].saturating_sub(1);
                            }
                            Item::Status { .. } => {}
                        }
                    }
                    prop_assert!(reader.due.iter().all(Vec::is_empty), "held back: {:?}", reader.due);
                    prop_assert!(!reader.gap.contains(&true), "a gap was not told");
                }
                Step::Leave(index) if !readers.is_empty() => {
                    readers.swap_remove(index.index(readers.len()));
                }
                Step::Read(_) | Step::Leave(_) => {}
            }
        }
        for (number, feed) in feeds.iter().enumerate() {
            let expected = readers.iter().filter(|r| r.feeds.contains(&number)).count();
            prop_assert_eq!(*feed.readers().borrow(), expected);
        }
    }
}

fn drain(reader: &mut Reader) -> Vec<String> {
    let mut all = Vec::new();
    let mut items = Vec::new();
    while poll(reader, &mut items).is_ready() {
        all.extend(items.drain(..).map(|item| match item {
            Item::Event { entry, .. } => String::from_utf8(entry.frame().bytes().to_vec()).unwrap(),
            Item::Gap { .. } => "gap".to_owned(),
            Item::Status { status, .. } => format!("{status:?}"),
        }));
    }
    all
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
