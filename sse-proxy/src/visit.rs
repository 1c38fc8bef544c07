//! [`Visit`]: one client's stream, counted, and logged when it opens and when it closes.

use std::sync::Arc;

use tokio::time::Instant;

use crate::metrics::RouteMetrics;
use crate::record::Record;
use crate::request::Request;
use crate::stream::End;

/// One client's stream, from its head to its end. Dropped without a word, the client has left.
pub(crate) struct Visit {
    counts: Arc<RouteMetrics>,
    /// The feed, if it is a single one.
    record: Option<Arc<Record>>,
    path: String,
    arrived: Instant,
    events: u64,
    bytes: u64,
    /// It came back with the id of its last event, and has been told nothing since.
    is_resuming: bool,
    end: End,
}

impl Visit {
    /// A client's request is being answered with a stream.
    pub(crate) fn open(
        counts: Arc<RouteMetrics>,
        record: Option<Arc<Record>>,
        request: &Request,
    ) -> Self {
        let path = request.without_values();
        let client = request.client.map(tracing::field::display);
        let method = &request.method;
        tracing::info!(
            route = counts.route(), %method, path, client, version = ?request.version,
            "stream opened"
        );
        counts.total.readers.inc();
        let arrived = request.arrived;
        let (events, bytes, is_resuming, end) = (0, 0, false, End::Left);
        Self { counts, record, path, arrived, events, bytes, is_resuming, end }
    }

    /// The client has come back, and what it missed is being looked up in history.
    pub(crate) const fn resumes(&mut self) {
        self.is_resuming = true;
    }

    /// Counts a batch that has been written. `came`: when the origin had sent it.
    pub(crate) fn wrote(&mut self, events: u64, bytes: usize, came: Option<Instant>) {
        let bytes = bytes as u64;
        self.took(events, bytes);
        self.counts.events_out.inc_by(events);
        self.counts.bytes_out.inc_by(bytes);
        // What is older than the visit was late before it began.
        if let Some(came) = came.filter(|came| *came >= self.arrived) {
            self.counts.total.delivery.observe(came.elapsed().as_secs_f64());
        }
    }

    /// Notes a batch that has been written, and is counted by whoever wrote it to many.
    pub(crate) fn took(&mut self, events: u64, bytes: u64) {
        if self.is_resuming {
            self.resumed("history");
        }
        if self.events == 0 && events > 0 {
            self.counts.total.first_event.observe(self.arrived.elapsed().as_secs_f64());
        }
        self.events += events;
        self.bytes += bytes;
    }

    /// What is counted of its route.
    pub(crate) const fn counts(&self) -> &Arc<RouteMetrics> {
        &self.counts
    }

    /// The record of its feed, if that is a single one.
    pub(crate) const fn record(&self) -> Option<&Arc<Record>> {
        self.record.as_ref()
    }

    /// Counts that the client was told of a gap.
    pub(crate) fn gap(&mut self) {
        self.resumed("gap");
        self.counts.total.gaps.inc();
        self.record.iter().for_each(|record| record.gap());
    }

    /// The client gets what it missed from its origin.
    pub(crate) fn caught_up(&mut self) {
        self.resumed("origin");
    }

    fn resumed(&mut self, result: &'static str) {
        if std::mem::take(&mut self.is_resuming) {
            self.counts.resumed(result);
        }
    }

    /// Counts that the client has fallen too far behind.
    pub(crate) fn lagged(&self) {
        self.counts.total.lagged.inc();
        self.record.iter().for_each(|record| record.lagged());
    }

    /// How it ends.
    pub(crate) fn end(mut self, end: End) {
        if end == End::Lagged {
            self.lagged();
        }
        self.end = end;
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let reason = self.end.name();
        self.resumed("history");
        self.counts.total.readers.dec();
        self.counts.closed(reason);
        tracing::info!(
            route = self.counts.route(), path = self.path, events = self.events, bytes = self.bytes,
            duration = ?self.arrived.elapsed(), reason, "stream closed"
        );
    }
}
