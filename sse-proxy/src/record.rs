//! [`Record`]: what is known of one feed, for logs, metrics and whoever asks how it does.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sse_layer::Repairs;
use sse_layer::feed::{Feed, Status};

use crate::config::Route;
use crate::metrics::{Metrics, RouteMetrics};
use crate::origin::Oddity;
use crate::report;
use crate::request::Request;
use crate::told::Told;

/// How many feeds that are gone are remembered for what was wrong with them.
const REMEMBERED: usize = 64;

/// How much of a feed's rate is that of the last second.
const NEWEST: f64 = 0.2;

/// All feeds that are open. Clones are the same.
#[derive(Clone)]
pub(crate) struct Records(Arc<Shared>);

struct Shared {
    metrics: Metrics,
    routes: Mutex<HashMap<String, Arc<RouteMetrics>>>,
    told: Arc<ToldOf>,
    book: Mutex<Book>,
}

/// What the log has said.
#[derive(Default)]
struct ToldOf {
    repairs: Told,
    hints: Told,
}

#[derive(Default)]
struct Book {
    next: u64,
    open: BTreeMap<u64, Arc<Record>>,
    /// Feeds that had faults and are gone, the newest last.
    gone: VecDeque<Arc<Record>>,
}

/// What is known of one feed.
pub(crate) struct Record {
    /// What is counted of its route.
    pub(crate) counts: Arc<RouteMetrics>,
    /// Its path, and the names of what its query has.
    pub(crate) path: String,
    route: Arc<Route>,
    /// Whether it may have other readers than the one who opened it.
    shared: bool,
    /// The feed, if there is one: it knows its readers and its state.
    feed: Option<Feed>,
    /// Readers that have no reader of the feed of their own, but share one.
    sharing: AtomicUsize,
    events: AtomicU64,
    lagged: AtomicU64,
    gaps: AtomicU64,
    findings: Mutex<Findings>,
    told: Arc<ToldOf>,
}

/// What has been found out about a feed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    /// Repairs made, and repairs that are off but would have changed something.
    pub(crate) made: Repairs,
    pub(crate) hints: Repairs,
    /// The newest.
    pub(crate) error: Option<String>,
    /// Events a second, and what the count was when that was last looked at.
    rate: f64,
    counted: u64,
}

/// How a feed does at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) route: String,
    pub(crate) path: String,
    pub(crate) shared: bool,
    pub(crate) readers: usize,
    pub(crate) origin: &'static str,
    pub(crate) events: u64,
    pub(crate) lagged: u64,
    pub(crate) gaps: u64,
    pub(crate) rate: f64,
    /// What to set so that what is hinted at is mended.
    pub(crate) set: Option<String>,
    pub(crate) findings: Findings,
}

impl Records {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared {
            metrics: Metrics::new(),
            routes: Mutex::default(),
            told: Arc::default(),
            book: Mutex::default(),
        }))
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// What is counted of a route, or of the mux endpoint, by its name in labels.
    pub(crate) fn counts(&self, route: &str) -> Arc<RouteMetrics> {
        let mut routes = lock(&self.0.routes);
        if let Some(counts) = routes.get(route) {
            return Arc::clone(counts);
        }
        let counts = Arc::new(self.0.metrics.route(&route));
        routes.insert(route.to_owned(), Arc::clone(&counts));
        counts
    }

    /// Begins the record of a stream that is one client's.
    pub(crate) fn open(&self, route: &Arc<Route>, request: &Request) -> Recorded {
        self.begin(route, request, None, false)
    }

    /// Begins the record of a feed, which others may read too if it is shared.
    pub(crate) fn open_feed(
        &self,
        route: &Arc<Route>,
        request: &Request,
        feed: Feed,
        shared: bool,
    ) -> Recorded {
        self.begin(route, request, Some(feed), shared)
    }

    fn begin(
        &self,
        route: &Arc<Route>,
        request: &Request,
        feed: Option<Feed>,
        shared: bool,
    ) -> Recorded {
        let record = Arc::new(Record {
            counts: self.counts(&route.name()),
            path: request.without_values(),
            route: Arc::clone(route),
            shared,
            feed,
            sharing: AtomicUsize::new(0),
            events: AtomicU64::new(0),
            lagged: AtomicU64::new(0),
            gaps: AtomicU64::new(0),
            findings: Mutex::default(),
            told: Arc::clone(&self.0.told),
        });
        record.counts.total.feeds.inc();
        let mut book = lock(&self.0.book);
        let key = book.next;
        book.next += 1;
        book.open.insert(key, Arc::clone(&record));
        Recorded { records: self.clone(), key, record }
    }

    /// What hears why the answer to a request is no stream, if it looks like one.
    pub(crate) fn odd_for(&self, route: &Arc<Route>, request: &Request) -> impl FnOnce(Oddity) {
        |oddity| self.open(route, request).odd(&oddity)
    }

    /// How all feeds do, and those that are gone and had faults. Private ones of one path are told
    /// of as one.
    pub(crate) fn snapshots(&self) -> Vec<Snapshot> {
        let book = lock(&self.0.book);
        let mut shared = Vec::new();
        let mut private: BTreeMap<(String, String), Snapshot> = BTreeMap::new();
        let open = book.open.values().map(|record| record.snapshot(true));
        let gone = book.gone.iter().rev().map(|record| record.snapshot(false));
        for one in open.chain(gone) {
            if one.shared {
                shared.push(one);
                continue;
            }
            match private.get_mut(&(one.route.clone(), one.path.clone())) {
                Some(all) => all.add(one),
                None => _ = private.insert((one.route.clone(), one.path.clone()), one),
            }
        }
        shared.extend(private.into_values());
        shared
    }

    /// Brings the rates of all feeds up to date: to be called once a second.
    pub(crate) fn tick(&self) {
        let open: Vec<_> = lock(&self.0.book).open.values().map(Arc::clone).collect();
        for record in open {
            record.tick();
        }
    }

    fn close(&self, key: u64) {
        let mut book = lock(&self.0.book);
        let Some(record) = book.open.remove(&key) else { return };
        record.counts.total.feeds.dec();
        let findings = lock(&record.findings);
        if findings.error.is_none() && findings.hints.is_empty() {
            return;
        }
        drop(findings);
        book.gone.retain(|other| other.path != record.path || !record.is_of(&other.counts));
        book.gone.push_back(record);
        if book.gone.len() > REMEMBERED {
            book.gone.pop_front();
        }
    }
}

/// A record of a feed that is open. When it is dropped, the feed is gone.
pub(crate) struct Recorded {
    records: Records,
    key: u64,
    record: Arc<Record>,
}

impl Recorded {
    /// The record, for whoever reads the feed.
    pub(crate) const fn record(&self) -> &Arc<Record> {
        &self.record
    }
}

impl Deref for Recorded {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.record
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        self.records.close(self.key);
    }
}

impl Record {
    /// Counts a batch of what the origin sent.
    pub(crate) fn came(&self, events: u64, bytes: u64) {
        self.events.fetch_add(events, Ordering::Relaxed);
        self.counts.events_in.inc_by(events);
        self.counts.bytes_in.inc_by(bytes);
    }

    /// Counts repairs made to a frame or to the head, and tells of those that are new.
    pub(crate) fn repaired(&self, repairs: Repairs) {
        if repairs.is_empty() {
            return;
        }
        self.counts.repaired(repairs);
        {
            let mut findings = lock(&self.findings);
            if findings.made.contains(repairs) {
                return;
            }
            findings.made |= repairs;
        }
        let new = self.told.repairs.first(self.counts.route(), &self.path, repairs);
        if !new.is_empty() {
            report::repaired(&self.route, &self.path, new);
        }
    }

    /// Tells which repairs are off and would have changed something, once each.
    pub(crate) fn hint(&self, repairs: Repairs) {
        let repairs = repairs.without(self.route.repair);
        {
            let mut findings = lock(&self.findings);
            if findings.hints.contains(repairs) {
                return;
            }
            findings.hints |= repairs;
        }
        let new = self.told.hints.first(self.counts.route(), &self.path, repairs);
        if !new.is_empty() {
            report::hinted(&self.route, &self.path, new);
        }
    }

    /// Tells why an answer is no stream that could be read here.
    pub(crate) fn odd(&self, oddity: &Oddity) {
        match oddity {
            Oddity::Off(repairs) => self.hint(*repairs),
            Oddity::UnknownCoding => {
                self.failed(report::UNKNOWN_CODING);
                let (route, decode) = (self.counts.route(), Repairs::DECODE);
                if !self.told.hints.first(route, &self.path, decode).is_empty() {
                    report::unknown_coding(&self.route, &self.path);
                }
            }
        }
    }

    /// Remembers why the origin failed.
    pub(crate) fn failed(&self, why: &str) {
        lock(&self.findings).error = Some(why.to_owned());
    }

    /// One reader more has no reader of the feed of its own.
    pub(crate) fn shares_reader(&self) {
        self.sharing.fetch_add(1, Ordering::Relaxed);
    }

    /// One reader fewer has none.
    pub(crate) fn no_longer_shares(&self) {
        self.sharing.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a reader that fell too far behind.
    pub(crate) fn lagged(&self) {
        self.lagged.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a reader that was told of a gap.
    pub(crate) fn gap(&self) {
        self.gaps.fetch_add(1, Ordering::Relaxed);
    }

    fn is_of(&self, counts: &Arc<RouteMetrics>) -> bool {
        Arc::ptr_eq(&self.counts, counts)
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate is no exact figure")]
    fn tick(&self) {
        let events = self.events.load(Ordering::Relaxed);
        let mut findings = lock(&self.findings);
        let new = (events - findings.counted) as f64;
        findings.counted = events;
        findings.rate += NEWEST * (new - findings.rate);
    }

    fn snapshot(&self, is_open: bool) -> Snapshot {
        let findings = lock(&self.findings).clone();
        Snapshot {
            route: self.counts.route().to_owned(),
            path: self.path.clone(),
            shared: self.shared,
            readers: match &self.feed {
                Some(feed) if is_open => {
                    feed.readers().count() + self.sharing.load(Ordering::Relaxed)
                }
                _ => usize::from(is_open),
            },
            origin: match self.feed.as_ref().map(Feed::status) {
                _ if !is_open => "gone",
                None | Some(Status::Open) => "open",
                Some(Status::Closed { .. }) => "closed",
                Some(_) => "connecting",
            },
            events: self.events.load(Ordering::Relaxed),
            lagged: self.lagged.load(Ordering::Relaxed),
            gaps: self.gaps.load(Ordering::Relaxed),
            rate: if is_open { findings.rate } else { 0.0 },
            set: (!findings.hints.is_empty())
                .then(|| report::setting(self.route.repair, findings.hints)),
            findings,
        }
    }
}

impl Snapshot {
    /// Adds another private stream of the same path.
    fn add(&mut self, other: Self) {
        self.readers += other.readers;
        self.events += other.events;
        self.lagged += other.lagged;
        self.gaps += other.gaps;
        self.rate += other.rate;
        self.findings.made |= other.findings.made;
        self.findings.hints |= other.findings.hints;
        self.set = self.set.take().or(other.set);
        if self.findings.error.is_none() {
            self.findings.error = other.findings.error;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
