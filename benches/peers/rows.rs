//! What is measured: the rows of the table.

use crate::figures::Figure;

/// A row: work that every server which can do it is given.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its name in the table.
    pub title: &'static str,
    /// What the server does with the source's feeds.
    pub kind: Kind,
    /// What carries the streams.
    pub wire: Wire,
    /// Streams.
    pub streams: usize,
    /// Feeds of the source, where it has more than one and fewer than streams.
    pub feeds: usize,
    /// Bytes of an event.
    pub size: usize,
    /// Events that a feed keeps.
    pub history: usize,
    /// Connections made all at once while the others are measured, for a feed that is silent.
    pub stampede: usize,
    /// How the source sends.
    pub beat: Beat,
    /// How long it is measured, as a multiple of what was asked for.
    pub length: f64,
    /// How often, as a multiple of what was asked for: where servers differ by less than a machine
    /// does from one run to the next.
    pub rounds: u32,
    /// What is told of it.
    pub figures: &'static [Figure],
}

impl Row {
    /// Whether it tells how late events come, at a rate that leaves the machine time.
    pub fn tells_latency(&self) -> bool {
        self.figures.iter().any(|figure| figure.title == Figure::P99.title)
    }
}

/// What the server does with the source's feeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One feed for all.
    Shared,
    /// A stream of the source for each client.
    Private,
    /// All feeds on each stream.
    Mux,
    /// Each feed on a share of the streams.
    Many,
}

/// What carries the streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// HTTP/1.1.
    Plain,
    /// HTTP/1.1 on TLS 1.3.
    Tls,
    /// HTTP/2 on TLS 1.3, a hundred streams a connection.
    H2,
}

/// How the source sends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Beat {
    /// As fast as the readers get it.
    Paced,
    /// So many events a second in each feed.
    Rate(f64),
}

/// A rate at which streams are at rest.
const REST: Beat = Beat::Rate(0.05);

/// One event for all, as fast as they get it.
pub const FAN_OUT: Row = Row {
    name: "",
    title: "",
    kind: Kind::Shared,
    wire: Wire::Plain,
    streams: 1000,
    feeds: 1,
    size: 128,
    history: 1024,
    stampede: 0,
    beat: Beat::Paced,
    length: 1.0,
    rounds: 1,
    figures: &[Figure::DELIVERIES, Figure::CPU, Figure::JOINED],
};

const PASS: Row = Row {
    kind: Kind::Private,
    beat: Beat::Rate(10.0),
    length: 2.0,
    rounds: 3,
    figures: &[Figure::CPU, Figure::P50, Figure::P99, Figure::P99_OF_SLICES],
    ..FAN_OUT
};

const IDLE: Row = Row {
    streams: 5000,
    beat: REST,
    // What is told of it is over before.
    length: 0.3,
    figures: &[Figure::MEMORY, Figure::OPEN_CPU, Figure::OPENED],
    ..FAN_OUT
};

/// All rows.
pub const ROWS: &[Row] = &[
    Row { name: "fan-1k", title: "fan-out, 1,000 readers", ..FAN_OUT },
    Row { name: "fan-10k", title: "fan-out, 10,000 readers", streams: 10_000, ..FAN_OUT },
    Row { name: "fan-tls-1k", title: "fan-out, TLS, 1,000 readers", wire: Wire::Tls, ..FAN_OUT },
    Row {
        name: "fan-tls-10k",
        title: "fan-out, TLS, 10,000 readers",
        wire: Wire::Tls,
        streams: 10_000,
        ..FAN_OUT
    },
    Row { name: "fan-h2-1k", title: "fan-out, H2, 1,000 readers", wire: Wire::H2, ..FAN_OUT },
    Row {
        name: "beat-10k",
        title: "10,000 readers, 10 events/s",
        streams: 10_000,
        beat: Beat::Rate(10.0),
        figures: &[Figure::TO_LAST, Figure::CPU],
        ..FAN_OUT
    },
    Row { name: "pass-plain", title: "1,000 private streams x 10 events/s", ..PASS },
    Row { name: "pass-tls", title: "the same, TLS", wire: Wire::Tls, ..PASS },
    Row { name: "pass-h2", title: "the same, H2", wire: Wire::H2, ..PASS },
    Row { name: "idle-shared-plain", title: "5,000 idle shared readers", ..IDLE },
    Row { name: "idle-shared-tls", title: "the same, TLS", wire: Wire::Tls, ..IDLE },
    Row { name: "idle-shared-h2", title: "the same, H2", wire: Wire::H2, ..IDLE },
    Row {
        name: "idle-private-plain",
        title: "5,000 idle private streams",
        kind: Kind::Private,
        ..IDLE
    },
    Row {
        name: "idle-private-tls",
        title: "the same, TLS",
        kind: Kind::Private,
        wire: Wire::Tls,
        ..IDLE
    },
    Row {
        name: "idle-50k-h2",
        title: "50,000 idle shared readers, H2",
        wire: Wire::H2,
        streams: 50_000,
        length: 1.0,
        figures: &[Figure::MEMORY, Figure::OPENED, Figure::BUSY],
        ..IDLE
    },
    Row {
        name: "calm-1k",
        title: "1,000 readers, 10 events/s, alone",
        figures: &[Figure::P50, Figure::P99],
        beat: Beat::Rate(10.0),
        rounds: 3,
        ..FAN_OUT
    },
    Row {
        name: "stampede-1k",
        title: "the same while 10,000 more connect at once",
        figures: &[Figure::P50, Figure::P99, Figure::CROWD],
        beat: Beat::Rate(10.0),
        stampede: 10_000,
        rounds: 3,
        ..FAN_OUT
    },
    Row {
        name: "mux",
        title: "50 feeds on each of 200 streams",
        kind: Kind::Mux,
        streams: 200,
        feeds: 50,
        ..FAN_OUT
    },
    Row {
        name: "unmuxed",
        title: "the same events on 50 x 200 streams",
        kind: Kind::Many,
        streams: 200 * 50,
        feeds: 50,
        ..FAN_OUT
    },
];
