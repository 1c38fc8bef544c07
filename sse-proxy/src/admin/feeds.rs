//! The feeds as JSON.

use serde::Serialize;

use crate::record::{Records, Snapshot};

/// A feed, as operators and their tools get it.
#[derive(Serialize)]
pub(super) struct Feed {
    /// The route's path, with its host if it has one.
    route: String,
    /// Without the values of its query. What is private is told of as one feed per path.
    path: String,
    stream: &'static str,
    readers: usize,
    /// Events a second, of the last seconds.
    rate: f64,
    events: u64,
    /// How often a reader fell too far behind.
    lag: u64,
    /// How often a reader was told that events it asked for are gone.
    gaps: u64,
    /// `connecting`, `open`, `closed` for good, or `gone`: nobody reads it any more.
    origin: &'static str,
    last_error: Option<String>,
    /// The repairs made.
    repairs: Vec<&'static str>,
    /// Repairs that are off, and would have changed something.
    hints: Vec<&'static str>,
    /// The value of `repair` that makes these too.
    set: Option<String>,
}

/// All feeds, as a JSON array.
pub(super) fn json(records: &Records) -> Vec<u8> {
    // Invariant: strings and finite numbers are always JSON.
    serde_json::to_vec(&all(records)).unwrap_or_default()
}

pub(super) fn all(records: &Records) -> Vec<Feed> {
    records.snapshots().into_iter().map(Feed::from).collect()
}

impl From<Snapshot> for Feed {
    fn from(snapshot: Snapshot) -> Self {
        Self {
            route: snapshot.route,
            path: snapshot.path,
            stream: if snapshot.shared { "shared" } else { "private" },
            readers: snapshot.readers,
            rate: (snapshot.rate * 10.0).round() / 10.0,
            events: snapshot.events,
            lag: snapshot.lagged,
            gaps: snapshot.gaps,
            origin: snapshot.origin,
            last_error: snapshot.findings.error,
            repairs: snapshot.findings.made.iter().collect(),
            hints: snapshot.findings.hints.iter().collect(),
            set: snapshot.set,
        }
    }
}
