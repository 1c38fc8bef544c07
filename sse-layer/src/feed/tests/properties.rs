//! Any interleaving of publishing, subscribing, lagging and leaving gives each reader exactly the
//! events that it is due, in order, or tells it what it does not get.

use proptest::prelude::*;

use super::*;

/// What a step does to the log.
#[derive(Clone, Debug)]
enum Step {
    /// Publishes to a feed, with an id of the source's own or without, about something or not.
    Publish { feed: usize, with_id: bool, key: Option<u8> },
    /// A new reader of some feeds, live or after some event that was published before.
    Subscribe { feeds: [bool; 3], after: Option<prop::sample::Index>, policy: LagPolicy },
    /// A reader takes what is there.
    Read(prop::sample::Index),
    /// A reader goes away.
    Leave(prop::sample::Index),
}

const HISTORY: usize = 8;
const LAG: usize = 5;

fn step() -> impl Strategy<Value = Step> {
    let policy =
        prop_oneof![Just(LagPolicy::Resume), Just(LagPolicy::Skip), Just(LagPolicy::Conflate)];
    prop_oneof![
        8 => (0..3_usize, any::<bool>(), prop::option::weighted(0.8, 0..4_u8))
            .prop_map(|(feed, with_id, key)| Step::Publish { feed, with_id, key }),
        2 => (any::<[bool; 3]>(), any::<Option<prop::sample::Index>>(), policy)
            .prop_map(|(feeds, after, policy)| Step::Subscribe { feeds, after, policy }),
        4 => any::<prop::sample::Index>().prop_map(Step::Read),
        1 => any::<prop::sample::Index>().prop_map(Step::Leave),
    ]
}

/// The plain truth about one event.
#[derive(Clone, Debug)]
struct Known {
    seq: u64,
    name: String,
    key: Option<u8>,
}

/// The plain truth about one feed: all that was ever published to it.
struct Truth {
    feed: Feed,
    birth: u64,
    all: Vec<Known>,
    last_id: String,
}

impl Truth {
    fn publish(&mut self, log: &Log, with_id: bool, key: Option<u8>) -> u64 {
        let event = Event::new().data("x");
        let id = log.cursor().seq + 1;
        let event = if with_id { event.id(id.into()) } else { event };
        match key {
            Some(key) => self.feed.publish_keyed(vec![key], event),
            None => self.feed.publish(event),
        }
        let cursor = log.cursor();
        if with_id {
            self.last_id = id.to_string();
        }
        let name = if self.last_id.is_empty() { cursor.to_string() } else { self.last_id.clone() };
        self.all.push(Known { seq: cursor.seq, name, key });
        cursor.seq
    }

    /// The place of a reader that begins after the event with this number, or live.
    fn place(&self, feed: usize, after: Option<u64>) -> Place {
        let lost = self.all.len().saturating_sub(HISTORY);
        let floor = if lost > 0 { self.all[lost - 1].seq } else { self.birth };
        let kept = self.all[lost..].iter().map(|known| known.seq);
        let due: Vec<u64> = kept.filter(|seq| after.is_some_and(|after| *seq > after)).collect();
        Place { feed, old: due.len(), due, gap: after.is_some_and(|after| after < floor) }
    }

    fn at(&self, seq: u64) -> usize {
        self.all.iter().position(|known| known.seq == seq).unwrap()
    }

    /// Whether one of the next `within` events stands for this one.
    fn is_superseded(&self, seq: u64, within: usize) -> bool {
        let at = self.at(seq);
        let key = self.all[at].key;
        key.is_some() && self.all[at + 1..].iter().take(within).any(|later| later.key == key)
    }
}

/// The plain truth about one reader.
struct Expected {
    reader: Reader,
    policy: LagPolicy,
    places: Vec<Place>,
}

/// The plain truth about its place in one feed.
struct Place {
    feed: usize,
    /// Events that it is due and has not had.
    due: Vec<u64>,
    /// How many of those were published before it came.
    old: usize,
    /// Whether a gap must be told.
    gap: bool,
}

impl Place {
    fn is_too_far(&self) -> bool {
        self.due.len() - self.old > LAG
    }

    /// Behind by more than there is history.
    fn is_lost(&self) -> bool {
        self.due.len() > HISTORY
    }

    /// Behind by more live events than allowed, or by more than there is history.
    fn is_lagging(&self) -> bool {
        self.is_too_far() || self.is_lost()
    }

    /// Takes from what is due whatever the policy takes, and says what the reader must be told.
    fn give_way(&mut self, truth: &Truth, policy: LagPolicy) -> Option<Missed> {
        if !self.is_lagging() {
            return None;
        }
        let most = if policy == LagPolicy::Skip && self.is_too_far() { LAG } else { HISTORY };
        let gone: Vec<u64> = self.due.drain(..self.due.len().saturating_sub(most)).collect();
        self.old = self.old.saturating_sub(gone.len());
        let mut is_loss = !gone.is_empty();
        if policy == LagPolicy::Conflate {
            is_loss = gone.iter().any(|seq| !truth.is_superseded(*seq, HISTORY));
            self.due.retain(|seq| !truth.is_superseded(*seq, usize::MAX));
        }
        let first = || truth.all[truth.at(gone[0])].name.clone().into();
        is_loss.then(|| Missed { count: gone.len() as u64, first: first() })
    }
}

fn is_lagging(reader: &mut Reader) -> bool {
    let lagged = std::pin::pin!(reader.lagged());
    lagged.poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

/// A log, and the plain truth about it.
struct Model {
    log: Log,
    feeds: Vec<Truth>,
    published: Vec<u64>,
    readers: Vec<Expected>,
}

impl Model {
    fn new() -> Self {
        let log = Log::new();
        let options = FeedOptions::default().history(HistoryLimits::default().events(HISTORY));
        let truth = |birth| Truth {
            feed: log.feed(options.clone()),
            birth,
            all: Vec::new(),
            last_id: String::new(),
        };
        let feeds = (1..=3).map(truth).collect();
        Self { log, feeds, published: Vec::new(), readers: Vec::new() }
    }

    fn publish(&mut self, feed: usize, with_id: bool, key: Option<u8>) {
        let seq = self.feeds[feed].publish(&self.log, with_id, key);
        self.published.push(seq);
        let places = self.readers.iter_mut().flat_map(|reader| &mut reader.places);
        places.filter(|place| place.feed == feed).for_each(|place| place.due.push(seq));
    }

    fn subscribe(&mut self, wanted: [bool; 3], after: Option<u64>, policy: LagPolicy) {
        let mut reader = Reader::new(Lag::default().events(LAG).policy(policy));
        let mut places = Vec::new();
        for feed in (0..3).filter(|feed| wanted[*feed]) {
            let truth = &self.feeds[feed];
            let start = match after {
                Some(seq) => Start::After(Cursor { epoch: self.log.epoch(), seq }),
                None => Start::Live,
            };
            reader.subscribe(&truth.feed, start);
            places.push(truth.place(feed, after));
        }
        self.readers.push(Expected { reader, policy, places });
    }

    /// A reader takes what is there. One that has lost its place is told so, and is gone.
    fn read(&mut self, at: usize) -> Result<(), TestCaseError> {
        let Expected { reader, policy, places } = &mut self.readers[at];
        let mut items = Vec::new();
        let behind = is_lagging(reader);
        let polled = poll(reader, &mut items);
        let resumes = *policy == LagPolicy::Resume;
        prop_assert_eq!(behind, resumes && places.iter().any(Place::is_lagging));
        if resumes && places.iter().any(Place::is_lost) {
            prop_assert!(matches!(polled, Poll::Ready(Err(_))), "{polled:?}");
            self.readers.swap_remove(at);
            return Ok(());
        }
        prop_assert!(!matches!(polled, Poll::Ready(Err(_))), "{polled:?}");
        let give_way = |place: &mut Place| place.give_way(&self.feeds[place.feed], *policy);
        let missed = places.iter_mut().map(give_way).collect();
        are_due(items, places, missed)
    }

    /// Each feed knows how many read it.
    fn are_counted(&self) -> Result<(), TestCaseError> {
        for (number, truth) in self.feeds.iter().enumerate() {
            let places = self.readers.iter().flat_map(|reader| &reader.places);
            let expected = places.filter(|place| place.feed == number).count();
            prop_assert_eq!(truth.feed.readers().count(), expected);
        }
        Ok(())
    }
}

/// Whether these items are just what a reader is due, and to be told.
fn are_due(
    items: Vec<Item>,
    places: &mut [Place],
    mut missed: Vec<Option<Missed>>,
) -> Result<(), TestCaseError> {
    let mut last = 0;
    for item in items {
        let feed = item.feed();
        let place = &mut places[feed];
        match item {
            Item::Gap { .. } => {
                prop_assert!(std::mem::take(&mut place.gap), "a gap for nothing");
            }
            Item::Lagged { missed: told, .. } => {
                prop_assert_eq!(missed[feed].take(), Some(told));
            }
            Item::Event { entry, .. } => {
                prop_assert!(!place.gap, "an event before its gap");
                prop_assert_eq!(&missed[feed], &None, "an event before it");
                prop_assert!(entry.seq > last, "out of log order");
                last = entry.seq;
                prop_assert_eq!(place.due.first(), Some(&entry.seq));
                place.due.remove(0);
            }
            Item::Status { .. } => {}
        }
    }
    for (place, missed) in places.iter_mut().zip(missed) {
        prop_assert!(place.due.is_empty(), "held back: {:?}", place.due);
        prop_assert!(!place.gap, "a gap was not told");
        prop_assert_eq!(missed, None, "not told");
        place.old = 0;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn readers_get_what_they_are_due_or_are_told(steps in prop::collection::vec(step(), 0..120)) {
        let mut model = Model::new();
        for step in steps {
            let readers = model.readers.len();
            match step {
                Step::Publish { feed, with_id, key } => model.publish(feed, with_id, key),
                Step::Subscribe { feeds, after, policy } => {
                    let published = &model.published;
                    let after = after.filter(|_| !published.is_empty());
                    let after = after.map(|index| published[index.index(published.len())]);
                    model.subscribe(feeds, after, policy);
                }
                Step::Read(index) if readers > 0 => model.read(index.index(readers))?,
                Step::Leave(index) if readers > 0 => {
                    model.readers.swap_remove(index.index(readers));
                }
                Step::Read(_) | Step::Leave(_) => {}
            }
        }
        model.are_counted()?;
    }
}
