//! Readers that do not read while much is published, under each policy.

use super::*;

const EVENTS: u64 = 100_000;
const KEYS: u64 = 10;

/// A feed to which 100,000 events have been published, about ten things in turn, and what its two
/// readers got: one that read after each event, and one that did not read before the last.
///
/// That publishing came to an end shows that nobody waits for who does not read.
fn readers_of_many(policy: LagPolicy, history: HistoryLimits) -> (Feed, Vec<String>) {
    let feed = Log::new().feed(FeedOptions::default().history(history));
    let lag = Lag::default().events(100).policy(policy);
    let (mut quick, mut stalled) = (Reader::new(lag), Reader::new(lag));
    quick.subscribe(&feed, Start::Live);
    stalled.subscribe(&feed, Start::Live);
    drain(&mut quick);
    for n in 1..=EVENTS {
        feed.publish_keyed((n % KEYS).to_string(), Event::new().id(n.into()).data("x"));
        assert_eq!(drain(&mut quick), [frame(n)]);
    }
    let state = lock(&feed.0.state);
    assert!(state.history.len() <= history.events, "{}", state.history.len());
    drop(state);
    let mut items = Vec::new();
    let got = match poll(&mut stalled, &mut items) {
        Poll::Ready(Err(lagged)) => vec![lagged.to_string()],
        _ => items.drain(..).map(text).chain(drain(&mut stalled)).collect(),
    };
    (feed, got)
}

fn frame(n: u64) -> String {
    format!("id: {n}\ndata: x\n\n")
}

fn told(count: u64) -> String {
    format!("{:?}", Missed { count, first: Bytes::from_static(b"1") })
}

#[test]
fn to_resume_is_to_be_given_up() {
    let (_, got) = readers_of_many(LagPolicy::Resume, HistoryLimits::default());
    assert_eq!(got, ["the reader is too far behind its feed"]);
}

#[test]
fn to_skip_is_to_go_on_with_the_newest_and_to_be_told() {
    let (_, got) = readers_of_many(LagPolicy::Skip, HistoryLimits::default());
    let newest = (EVENTS - 99..=EVENTS).map(frame);
    let told = [told(EVENTS - 100), "Open".to_owned()];
    assert_eq!(got, told.into_iter().chain(newest).collect::<Vec<_>>());
}

#[test]
fn to_conflate_is_to_get_the_newest_of_each_key() {
    let (feed, got) = readers_of_many(LagPolicy::Conflate, HistoryLimits::default());
    let newest: Vec<_> = (EVENTS - KEYS + 1..=EVENTS).map(frame).collect();
    assert_eq!(got, [&["Open".to_owned()], &newest[..]].concat());
    assert_eq!(lock(&feed.0.state).history.keys(), 10);
}

#[test]
fn what_conflating_cannot_save_is_told() {
    let history = HistoryLimits::default().events(4);
    let (feed, got) = readers_of_many(LagPolicy::Conflate, history);
    let newest = (EVENTS - 3..=EVENTS).map(frame);
    let told = [told(EVENTS - 4), "Open".to_owned()];
    assert_eq!(got, told.into_iter().chain(newest).collect::<Vec<_>>());
    assert_eq!(lock(&feed.0.state).history.keys(), 4);
}

fn skipping(lag: Lag) -> (Feed, Reader) {
    let feed = Log::new().feed(FeedOptions::default());
    let mut reader = Reader::new(lag.policy(LagPolicy::Skip));
    reader.subscribe(&feed, Start::Live);
    drain(&mut reader);
    (feed, reader)
}

#[test]
fn bytes_bound_what_is_skipped_but_never_the_newest() {
    let (feed, mut reader) = skipping(Lag::default().bytes(100));
    for n in 1..=20_u64 {
        feed.publish(Event::new().id(n.into()).data("0123456789"));
    }
    let got = drain(&mut reader);
    assert_eq!(got[0], told(16));
    assert_eq!(got.len(), 5, "24 bytes each: {got:?}");
    feed.publish(Event::new().id(21.into()).data("small"));
    feed.publish(Event::new().id(22.into()).data("x".repeat(1000)));
    let got = drain(&mut reader);
    assert_eq!(got[0], format!("{:?}", Missed { count: 1, first: Bytes::from_static(b"21") }));
    assert!(got[1].starts_with("id: 22\n"), "{got:?}");
}

#[test]
fn a_bound_of_nothing_still_lets_one_event_through() {
    let (feed, mut reader) = skipping(Lag::default().events(0));
    for n in 1..=3_u64 {
        feed.publish(Event::new().id(n.into()).data("x"));
    }
    assert_eq!(drain(&mut reader), [told(2), frame(3)]);
}

/// Half a batch is left behind in history, and the place after it is passed over: the first
/// missed is the first that was not handed out.
#[test]
fn the_first_missed_is_the_first_that_found_no_room() {
    let log = Log::new();
    let feeds = [log.feed(FeedOptions::default()), log.feed(FeedOptions::default())];
    let mut reader = Reader::new(Lag::default().policy(LagPolicy::Skip));
    for feed in &feeds {
        reader.subscribe(feed, Start::Live);
    }
    for n in 1..=50_u64 {
        feeds.iter().for_each(|feed| feed.publish(Event::new().id(n.into()).data("x")));
    }
    let mut items = Vec::new();
    assert!(poll(&mut reader, &mut items).is_ready());
    assert_eq!(items.len(), 2 + 64, "that they are open, and a batch of events");
    for n in 51..=2000_u64 {
        feeds[0].publish(Event::new().id(n.into()).data("x"));
    }
    let got = drain(&mut reader);
    let first = Missed { count: 2000 - 256 - 32, first: Bytes::from_static(b"33") };
    assert_eq!(got[0], format!("{first:?}"));
}

#[tokio::test(start_paused = true)]
async fn what_has_grown_too_old_counts_as_missed() {
    let (feed, mut reader) = skipping(Lag::default());
    feed.publish(Event::new().id(1.into()).data("x"));
    advance(Duration::from_secs(301)).await;
    feed.publish(Event::new().id(2.into()).data("x"));
    assert_eq!(drain(&mut reader), [told(1), frame(2)]);
}

#[test]
fn the_feed_can_tell_what_an_event_is_about() {
    let options = FeedOptions::default()
        .key(|frame| frame.has_data().then(|| Bytes::copy_from_slice(frame.event_type())));
    let feed = Log::new().feed(options);
    let mut reader = Reader::new(Lag::default().events(1).policy(LagPolicy::Conflate));
    reader.subscribe(&feed, Start::Live);
    drain(&mut reader);
    let event = |id: u64, name: &'static str| {
        feed.publish(Event::new().event(name.try_into().unwrap()).id(id.into()).data(""));
    };
    event(1, "a");
    event(2, "b");
    feed.publish(Event::new().id(3.into()));
    event(4, "a");
    feed.publish(Event::new().id(5.into()));
    let got = drain(&mut reader);
    assert_eq!(
        got,
        ["event: b\nid: 2\ndata: \n\n", "id: 3\n\n", "event: a\nid: 4\ndata: \n\n", "id: 5\n\n"]
    );
}

/// A reader that keeps up gets every event, whatever the policy.
#[test]
fn nothing_is_conflated_within_the_bounds() {
    let feed = Log::new().feed(FeedOptions::default());
    let mut reader = Reader::new(Lag::default().events(3).policy(LagPolicy::Conflate));
    reader.subscribe(&feed, Start::Live);
    drain(&mut reader);
    for n in 1..=3_u64 {
        feed.publish_keyed("k", Event::new().id(n.into()).data("x"));
    }
    assert_eq!(drain(&mut reader), [frame(1), frame(2), frame(3)]);
}

#[tokio::test]
async fn who_is_never_given_up_is_never_called_lagging() {
    let (feed, mut reader) = skipping(Lag::default().events(1));
    for _ in 0..10 {
        feed.publish(Event::new().data("x"));
    }
    let mut lagging = std::pin::pin!(reader.lagged());
    let polled = lagging.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(polled, Poll::Pending);
}

#[test]
fn a_reader_may_treat_its_feeds_differently() {
    let log = Log::new();
    let feeds = [log.feed(FeedOptions::default()), log.feed(FeedOptions::default())];
    let mut reader = Reader::new(Lag::default().events(1));
    reader.subscribe(&feeds[0], Start::Live);
    reader.set_lag(Lag::default().events(1).policy(LagPolicy::Skip));
    reader.subscribe(&feeds[1], Start::Live);
    drain(&mut reader);
    for id in 1..=2_u64 {
        feeds[1].publish(Event::new().id(id.into()).data("x"));
    }
    assert_eq!(drain(&mut reader), [told(1), frame(2)]);
    for id in 1..=2_u64 {
        feeds[0].publish(Event::new().id(id.into()).data("x"));
    }
    {
        let lagged = std::pin::pin!(reader.lagged());
        let polled = lagged.poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(polled, Poll::Ready(Lagged { feed: 0 }));
    }
    assert_eq!(drain(&mut reader), [frame(1), frame(2)], "it may still have what is there");
}
