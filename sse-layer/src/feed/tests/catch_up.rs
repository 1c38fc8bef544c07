//! What a source sends again and what its feed still has come together without a seam, whatever
//! the ids are like; where they do not, that is told.

use std::collections::HashSet;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use super::*;

/// The id of an event at a source.
#[derive(Clone, Copy, Debug)]
enum Id {
    /// One that it has not given before.
    New,
    /// That of the event before.
    Again,
    /// One that it gave long ago.
    Old(u8),
    /// None: the one before stands.
    None,
}

fn id() -> impl Strategy<Value = Id> {
    prop_oneof![
        6 => Just(Id::New),
        1 => Just(Id::Again),
        1 => any::<u8>().prop_map(Id::Old),
        2 => Just(Id::None),
    ]
}

/// All that a source has ever sent: its own ids, and the id that stands after each event.
struct Source {
    own: Vec<Option<usize>>,
    stands: Vec<Option<usize>>,
}

impl Source {
    fn new(ids: &[Id]) -> Self {
        let (mut own, mut stands) = (Vec::new(), Vec::new());
        let mut given: Vec<usize> = Vec::new();
        for (at, id) in ids.iter().enumerate() {
            let id = match id {
                Id::New => Some(at),
                Id::Again => given.last().copied(),
                Id::Old(which) if !given.is_empty() => Some(given[*which as usize % given.len()]),
                Id::Old(_) | Id::None => None,
            };
            given.extend(id);
            own.push(id);
            stands.push(given.last().copied());
        }
        Self { own, stands }
    }

    fn event(&self, at: usize) -> Event {
        let event = Event::new().data(at.to_string());
        match self.own[at] {
            Some(id) => event.id((id as u64).into()),
            None => event,
        }
    }

    /// The last of the first `sent` events that brought this id.
    fn last(&self, id: usize, sent: usize) -> usize {
        self.own[..sent].iter().rposition(|own| *own == Some(id)).unwrap()
    }

    fn len(&self) -> usize {
        self.own.len()
    }
}

/// What a source does when it is asked to go on after an id.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// It begins after the last event that brought the id.
    Honest,
    /// It begins with its first event.
    Everything,
    /// It begins with what comes next.
    Live,
}

fn manner() -> impl Strategy<Value = Manner> {
    prop_oneof![4 => Just(Manner::Honest), 1 => Just(Manner::Everything), 1 => Just(Manner::Live)]
}

/// What a reader gets that comes back to `feed` with this id, if it can be caught up with: the
/// numbers of the events. `more` of what the source has is published while it is.
fn caught_up(
    source: &Source,
    feed: &Feed,
    id: usize,
    manner: Manner,
    mut published: usize,
    more: usize,
) -> Result<Vec<usize>, NotMet> {
    let id_text = id.to_string();
    let mut reader = Reader::new(Lag::default().events(1000));
    let number = reader.subscribe(feed, Start::Id(id_text.as_bytes()));
    let mut got = Vec::new();
    if reader.has_gap(number) {
        let begin = match manner {
            Manner::Honest => source.last(id, published) + 1,
            Manner::Everything => 0,
            Manner::Live => published,
        };
        let mut catch_up = CatchUp::new(feed, id_text.as_bytes(), 1 << 20);
        let mut met = None;
        for at in begin..source.len() {
            // Something happens meanwhile, and nothing is sent again before it has happened.
            while published < source.len().min((at + 1).max(published + usize::from(at % 3 < more)))
            {
                feed.publish(source.event(published));
                published += 1;
            }
            met = catch_up.push(source.event(at))?;
            if met.is_some() {
                break;
            }
        }
        let Some(met) = met.or_else(|| catch_up.rest()) else { return Err(NotMet::Hole) };
        reader.resubscribe(number, Start::After(met));
        got.extend(catch_up.into_frames().iter().map(number_of));
    }
    let mut items = Vec::new();
    loop {
        while has_more(&mut reader, &mut items) {}
        if published == source.len() {
            break;
        }
        feed.publish(source.event(published));
        published += 1;
    }
    for item in items {
        match item {
            Item::Event { entry, .. } => got.push(number_of(entry.frame())),
            Item::Gap { .. } => return Err(NotMet::Hole),
            Item::Lagged { .. } | Item::Status { .. } => {}
        }
    }
    Ok(got)
}

/// Takes what there is, and tells whether it was anything.
fn has_more(reader: &mut Reader, items: &mut Vec<Item>) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    matches!(reader.poll_next(&mut context, items), Poll::Ready(Ok(())))
}

fn number_of(frame: &Frame) -> usize {
    let data = frame.fields().find_map(|field| match field {
        crate::Field::Data(data) => std::str::from_utf8(data).unwrap().parse().ok(),
        _ => None,
    });
    data.unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_reader_that_is_caught_up_with_has_everything_once_and_in_order(
        ids in prop::collection::vec(id(), 2..16),
        manner in manner(),
        history in 1..10_usize,
        opened in any::<prop::sample::Index>(),
        known in any::<prop::sample::Index>(),
        now in any::<prop::sample::Index>(),
        more in 0..3_usize,
    ) {
        let source = Source::new(&ids);
        let opened = opened.index(source.len());
        let now = opened + now.index(source.len() - opened);
        let limits = HistoryLimits::default().events(history);
        let feed = Log::new().feed(FeedOptions::default().history(limits));
        for at in opened..now {
            feed.publish(source.event(at));
        }
        if now == 0 {
            return Ok(());
        }
        let Some(id) = source.stands[known.index(now)] else { return Ok(()) };
        let got = caught_up(&source, &feed, id, manner, now, more);
        let last = source.last(id, now);
        let first = source.own.iter().position(|own| *own == Some(id)).unwrap();
        let is_only_id = source.own.iter().filter(|own| **own == Some(id)).count() == 1;
        let ids: Vec<_> = source.own.iter().flatten().collect();
        let is_unique = ids.len() == ids.iter().collect::<HashSet<_>>().len();
        let has_id = |at: usize| source.own[at].is_some();
        let is_telling = is_unique && has_id(opened) && has_id(source.len() - 1);
        let mut runs = ids.clone();
        runs.dedup();
        // An id that comes again after others names another event, whatever the source means.
        let is_sane = runs.len() == runs.iter().collect::<HashSet<_>>().len();
        match got {
            Ok(got) => {
                prop_assert!(got.windows(2).all(|two| two[0] < two[1]), "twice or out of order: {got:?}");
                prop_assert_eq!(got.last().copied().unwrap_or(last), source.len() - 1);
                let run = got.windows(2).all(|two| two[0] + 1 == two[1]);
                prop_assert!(run || !is_sane, "a hole in {got:?}: {:?}, {opened} {now} {id}", source.own);
                let begin = got.first().copied().unwrap_or(source.len());
                // An id that was given several times stands for any of the events.
                // Where a feed begins with what the source sends, nobody can tell what was before.
                let is_blind = matches!(manner, Manner::Live)
                    && begin == now
                    && (opened == now || !is_unique || source.own[last + 1..now].iter().all(Option::is_none));
                prop_assert!(begin <= last + 1 || is_blind, "{begin} is after {last}: {got:?}, {:?}, {opened} {now}", source.own);
                // Of what the source sent before it gave ids, nobody can tell who has had it.
                let is_first = matches!(manner, Manner::Everything)
                    && begin == 0
                    && source.own[..first].iter().all(Option::is_none);
                prop_assert!(!is_only_id || !is_sane || begin == last + 1 || is_first || is_blind, "{got:?}");
            }
            // That is for who asks a source that does not go on, or not with ids that tell.
            Err(_) => prop_assert!(!is_telling || !matches!(manner, Manner::Honest), "not met: {:?}, {opened} {now} {id}", source.own),
        }
    }
}

#[test]
fn a_source_that_goes_on_with_what_comes_next_leaves_a_hole() {
    let feed = Log::new().feed(FeedOptions::default());
    let event = |n: u64| Event::new().id(n.into()).data("x");
    for n in 5..8 {
        feed.publish(event(n));
    }
    let mut catch_up = CatchUp::new(&feed, b"1", 1000);
    assert_eq!(catch_up.push(event(7)), Err(NotMet::Hole));
}

#[test]
fn no_more_is_kept_than_the_limit() {
    let feed = Log::new().feed(FeedOptions::default());
    let mut catch_up = CatchUp::new(&feed, b"0", 1000);
    let mut pushed = 0_u64;
    let end = loop {
        pushed += 1;
        match catch_up.push(Event::new().id(pushed.into()).data("x".repeat(100))) {
            Ok(met) => assert_eq!(met, None),
            Err(end) => break end,
        }
    };
    assert_eq!((end, pushed), (NotMet::TooMuch, 6));
}

#[test]
fn a_feed_that_has_never_had_an_event_begins_where_the_source_falls_silent() {
    let feed = Log::new().feed(FeedOptions::default());
    let mut catch_up = CatchUp::new(&feed, b"1", 1000);
    assert_eq!(catch_up.push(Event::new().id(2.into()).data("x")), Ok(None));
    let begin = catch_up.rest().expect("nothing has happened");
    feed.publish(Event::new().id(3.into()).data("x"));
    assert_eq!(catch_up.rest(), None, "the answer must come that far");
    let mut reader = Reader::new(Lag::default());
    let number = reader.subscribe(&feed, Start::After(begin));
    assert!(!reader.has_gap(number));
}

#[test]
fn the_newest_event_is_known_when_it_is_too_old_to_be_kept() {
    let limits = HistoryLimits::default().age(Duration::ZERO);
    let feed = Log::new().feed(FeedOptions::default().history(limits));
    for n in 1..=3_u64 {
        feed.publish(Event::new().id(n.into()).data("x"));
    }
    let mut reader = Reader::new(Lag::default());
    let current = reader.subscribe(&feed, Start::Id(b"3"));
    assert!(!reader.has_gap(current), "nothing has been missed");
    let old = reader.subscribe(&feed, Start::Id(b"1"));
    assert!(reader.has_gap(old));
    let mut catch_up = CatchUp::new(&feed, b"1", 1000);
    assert_eq!(catch_up.push(Event::new().id(2.into()).data("x")), Ok(None));
    let met = catch_up.push(Event::new().id(3.into()).data("x"));
    reader.resubscribe(old, Start::After(met.unwrap().unwrap()));
    assert!(!reader.has_gap(old));
    assert_eq!(catch_up.into_frames().len(), 2);
}
