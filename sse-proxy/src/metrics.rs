//! [`Metrics`]: what is counted, under the names that monitoring knows.
//!
//! Whoever counts holds plain handles, looked up once per stream or feed, and adds to them once
//! per batch.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabelSet, prometheus_text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use sse_layer::Repairs;

/// Upper bounds, in seconds: from what a busy loopback takes to what a person would call broken.
const DELIVERY: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// Upper bounds, in seconds: a model may think for minutes.
const FIRST_EVENT: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0];

/// All that is counted. Clones are the same.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<All>);

struct All {
    registry: Registry,
    handles: Handles,
    events: Family<RouteDirection, Counter>,
    bytes: Family<RouteDirection, Counter>,
    repairs: Family<RouteRepair, Counter>,
    resumes: Family<ByResult, Counter>,
    closed: Family<ByReason, Counter>,
}

/// What is counted without labels.
#[derive(Clone)]
pub(crate) struct Handles {
    /// Client streams open now.
    pub(crate) readers: Gauge,
    /// Origin streams that are open, or being opened.
    pub(crate) feeds: Gauge,
    /// From the last byte of a batch at our socket to its last byte in the client's, in seconds.
    pub(crate) delivery: Histogram,
    /// From a client's request to the first event written to it, in seconds.
    pub(crate) first_event: Histogram,
    /// Times that a reader fell too far behind.
    pub(crate) lagged: Counter,
    /// Times that a reader was told that events it asked for are gone.
    pub(crate) gaps: Counter,
    /// Times that an origin was connected to again for a feed that had been open.
    pub(crate) reconnects: Counter,
}

/// What is counted of one route.
pub(crate) struct RouteMetrics {
    route: String,
    all: Metrics,
    /// What is counted without labels.
    pub(crate) total: Handles,
    /// From origins.
    pub(crate) events_in: Counter,
    pub(crate) bytes_in: Counter,
    /// To clients: an event counts for each reader.
    pub(crate) events_out: Counter,
    pub(crate) bytes_out: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteDirection {
    route: String,
    direction: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteRepair {
    route: String,
    repair: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByResult {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    reason: &'static str,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let handles = Handles {
            readers: Gauge::default(),
            feeds: Gauge::default(),
            delivery: Histogram::new(DELIVERY),
            first_event: Histogram::new(FIRST_EVENT),
            lagged: Counter::default(),
            gaps: Counter::default(),
            reconnects: Counter::default(),
        };
        let mut all = All {
            registry: Registry::default(),
            handles,
            events: Family::default(),
            bytes: Family::default(),
            repairs: Family::default(),
            resumes: Family::default(),
            closed: Family::default(),
        };
        all.register();
        Self(Arc::new(all))
    }

    /// The handles for one route, by the name that it has in labels.
    pub(crate) fn route(&self, route: &dyn fmt::Display) -> RouteMetrics {
        let route = route.to_string();
        let of = |family: &Family<RouteDirection, Counter>, direction| {
            family.get_or_create_owned(&RouteDirection { route: route.clone(), direction })
        };
        let (events, bytes) = (&self.0.events, &self.0.bytes);
        RouteMetrics {
            events_in: of(events, "in"),
            bytes_in: of(bytes, "in"),
            events_out: of(events, "out"),
            bytes_out: of(bytes, "out"),
            total: self.0.handles.clone(),
            all: self.clone(),
            route,
        }
    }

    /// How many client streams are open.
    pub(crate) fn readers(&self) -> i64 {
        self.0.handles.readers.get()
    }

    /// All of it as Prometheus reads it (text format 0.0.4).
    pub(crate) fn render(&self) -> String {
        let mut out = String::new();
        // Invariant: a string takes whatever is written to it.
        let _ = prometheus_text::encode(&mut out, &self.0.registry);
        out
    }
}

impl RouteMetrics {
    /// The route's name in labels.
    pub(crate) fn route(&self) -> &str {
        &self.route
    }

    /// Counts repairs that were made to one frame, or to one head.
    pub(crate) fn repaired(&self, repairs: Repairs) {
        for repair in repairs.iter() {
            let labels = RouteRepair { route: self.route.clone(), repair };
            self.all.0.repairs.get_or_create(&labels).inc();
        }
    }

    /// Counts a reader that came back with the id of its last event, by where what it missed came
    /// from: `history`, `origin`, or `gap` if it is gone.
    pub(crate) fn resumed(&self, result: &'static str) {
        self.all.0.resumes.get_or_create(&ByResult { result }).inc();
    }

    /// Counts a client's stream that has ended.
    pub(crate) fn closed(&self, reason: &'static str) {
        self.all.0.closed.get_or_create(&ByReason { reason }).inc();
    }
}

impl All {
    fn register(&mut self) {
        let Self { registry, handles, events, bytes, repairs, resumes, closed } = self;
        registry.register("sse_readers", "Client streams open now", handles.readers.clone());
        registry.register("sse_feeds", "Origin streams open now", handles.feeds.clone());
        let help = "Events from origins (in) and to clients (out)";
        registry.register("sse_events", help, events.clone());
        let help = "Bytes of streams from origins (in) and to clients (out)";
        registry.register("sse_bytes", help, bytes.clone());
        let help = "From an event's last byte here to its last byte in the client's socket";
        registry.register("sse_delivery_seconds", help, handles.delivery.clone());
        let help = "From a client's request to its first event";
        registry.register("sse_time_to_first_event_seconds", help, handles.first_event.clone());
        let help = "Times that a reader fell too far behind";
        registry.register("sse_lagged", help, handles.lagged.clone());
        let help = "Times that a reader was told that events it asked for are gone";
        registry.register("sse_gaps", help, handles.gaps.clone());
        let help = "Readers that came back with a last event ID";
        registry.register("sse_resumes", help, resumes.clone());
        let help = "Repairs made to heads and frames of streams";
        registry.register("sse_repairs", help, repairs.clone());
        let help = "Times that an origin was connected to again";
        registry.register("sse_origin_reconnects", help, handles.reconnects.clone());
        registry.register("sse_closed", "Client streams that have ended", closed.clone());
    }
}

impl fmt::Debug for RouteMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RouteMetrics").field(&self.route).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_labels_are_those_of_the_contract() {
        let metrics = Metrics::new();
        let route = metrics.route(&"/feed/*");
        route.events_in.inc_by(2);
        route.repaired(Repairs::FIELD_CASE | Repairs::STRAY_BOM);
        route.resumed("history");
        route.closed("left");
        route.total.readers.inc();
        route.total.delivery.observe(0.002);
        let text = metrics.render();
        for line in [
            "sse_readers 1",
            "sse_feeds 0",
            "sse_events_total{route=\"/feed/*\",direction=\"in\"} 2",
            "sse_events_total{route=\"/feed/*\",direction=\"out\"} 0",
            "sse_delivery_seconds_bucket{le=\"0.0025\"} 1",
            "sse_time_to_first_event_seconds_count 0",
            "sse_lagged_total 0",
            "sse_gaps_total 0",
            "sse_resumes_total{result=\"history\"} 1",
            "sse_repairs_total{route=\"/feed/*\",repair=\"field-case\"} 1",
            "sse_repairs_total{route=\"/feed/*\",repair=\"stray-bom\"} 1",
            "sse_origin_reconnects_total 0",
            "sse_closed_total{reason=\"left\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
        }
    }
}
