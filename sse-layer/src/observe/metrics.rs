use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};

use super::{Closed, Observe, Opened};

/// Keeps figures of streams with the [`metrics`] crate (cargo feature `metrics`):
///
/// | name | kind | what |
/// | --- | --- | --- |
/// | `sse_streams` | gauge | streams that are open |
/// | `sse_events_total` | counter | events sent |
/// | `sse_bytes_total` | counter | bytes that handlers sent, before compression |
/// | `sse_keep_alives_total` | counter | comments sent in silence |
/// | `sse_gaps_total` | counter | clients that asked for events which no longer exist |
/// | `sse_lagged_total` | counter | times that a client was too slow for its feed |
/// | `sse_closed_total` | counter | streams that are over, by `reason`: see [`CloseReason::as_str`](super::CloseReason::as_str) |
/// | `sse_refused_total` | counter | streams that were refused |
/// | `sse_time_to_first_event_seconds` | histogram | from the request to the first event |
///
/// Install the recorder before this is made: the figures of one that is made earlier go nowhere.
#[derive(Clone, Debug)]
#[must_use]
pub struct Metrics {
    streams: Gauge,
    events: Counter,
    bytes: Counter,
    keep_alives: Counter,
    gaps: Counter,
    lagged: Counter,
    refused: Counter,
    time_to_first_event: Histogram,
}

impl Metrics {
    /// Registers the figures with the recorder that is installed.
    pub fn new() -> Self {
        describe_gauge!("sse_streams", Unit::Count, "Event streams that are open");
        describe_counter!("sse_events_total", Unit::Count, "Events sent");
        describe_counter!("sse_bytes_total", Unit::Bytes, "Bytes that handlers sent");
        describe_counter!("sse_keep_alives_total", Unit::Count, "Comments sent in silence");
        describe_counter!("sse_gaps_total", Unit::Count, "Resumes that have missed events");
        describe_counter!("sse_lagged_total", Unit::Count, "Times that a client was too slow");
        describe_counter!("sse_closed_total", Unit::Count, "Event streams that are over");
        describe_counter!("sse_refused_total", Unit::Count, "Event streams that were refused");
        describe_histogram!(
            "sse_time_to_first_event_seconds",
            Unit::Seconds,
            "Time from the request to the first event"
        );
        Self {
            streams: gauge!("sse_streams"),
            events: counter!("sse_events_total"),
            bytes: counter!("sse_bytes_total"),
            keep_alives: counter!("sse_keep_alives_total"),
            gaps: counter!("sse_gaps_total"),
            lagged: counter!("sse_lagged_total"),
            refused: counter!("sse_refused_total"),
            time_to_first_event: histogram!("sse_time_to_first_event_seconds"),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Observe for Metrics {
    fn open(&mut self, _: &Opened<'_>) {
        self.streams.increment(1.0);
    }

    fn first_event(&mut self, after: Duration) {
        self.time_to_first_event.record(after.as_secs_f64());
    }

    fn sent(&mut self, events: u64, bytes: u64) {
        self.events.increment(events);
        self.bytes.increment(bytes);
    }

    fn gap(&mut self) {
        self.gaps.increment(1);
    }

    fn lag(&mut self, _: u64) {
        self.lagged.increment(1);
    }

    fn keep_alive(&mut self) {
        self.keep_alives.increment(1);
    }

    fn close(&mut self, stream: &Closed) {
        self.streams.decrement(1.0);
        counter!("sse_closed_total", "reason" => stream.reason.as_str()).increment(1);
    }

    fn refused(&mut self, _: &Opened<'_>) {
        self.refused.increment(1);
    }
}
