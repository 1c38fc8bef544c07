//! [`Live`]: how everything does, once a second, for whoever watches the page.

use std::time::Duration;

use serde::Serialize;
use sse_layer::feed::{Feed, FeedOptions, FeedStream, HistoryLimits, Log};
use sse_layer::{Event, LastEventId};

use super::feeds;
use crate::drain::Drain;
use crate::record::Records;

/// A feed of our own.
#[derive(Clone)]
pub(super) struct Live {
    feed: Feed,
    records: Records,
    drain: Drain,
}

/// How everything does at one moment.
#[derive(Serialize)]
struct State {
    draining: bool,
    readers: i64,
    feeds: Vec<feeds::Feed>,
}

impl Live {
    pub(super) fn new(records: Records, drain: Drain) -> Self {
        // Yesterday's state is of no use to anybody.
        let history = HistoryLimits::default().events(2);
        let feed = Log::new().feed(FeedOptions::default().history(history));
        Self { feed, records, drain }
    }

    /// A client's stream.
    pub(super) fn stream(&self, last: Option<&LastEventId>) -> FeedStream {
        self.feed.stream(last)
    }

    /// Keeps rates, and publishes the state if somebody watches.
    pub(super) async fn run(self) {
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        loop {
            seconds.tick().await;
            self.records.tick();
            if self.feed.readers().count() > 0 {
                self.feed.publish(Event::new().data(self.state()));
            }
        }
    }

    fn state(&self) -> String {
        let state = State {
            draining: self.drain.has_begun(),
            readers: self.records.metrics().readers(),
            feeds: feeds::all(&self.records),
        };
        // Invariant: strings and finite numbers are always JSON.
        serde_json::to_string(&state).unwrap_or_default()
    }
}
