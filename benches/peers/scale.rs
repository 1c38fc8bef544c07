//! How cost grows: the same work with more and more of one thing.

use crate::figures::Figure;
use crate::rows::{FAN_OUT, Kind, Row, Wire};
use crate::servers::Server;

/// Work with more and more of one thing.
#[derive(Debug)]
pub struct Sweep {
    /// Its name on the command line.
    pub name: &'static str,
    /// What grows.
    pub what: &'static str,
    /// How much of it there is.
    pub values: &'static [usize],
    /// The row with so much of it.
    pub row: fn(usize) -> Row,
    /// Why it is no level line, where that is known.
    pub why: &'static str,
    /// What is shown.
    pub figure: Figure,
    /// Who is measured.
    pub servers: &'static [Server],
}

const BOTH: &[Server] = &[Server::Reference, Server::SseProxy];
const OURS: &[Server] = &[Server::SseProxy];

/// Streams of one process, beyond which HTTP/2 carries them.
const PLAIN_MOST: usize = 10_000;

/// All of them.
pub const SWEEPS: &[Sweep] = &[
    Sweep {
        name: "readers",
        what: "readers of one feed (over 10,000: on HTTP/2)",
        values: &[10, 100, 1000, 10_000, 50_000],
        row: |streams| {
            let wire = if streams > PLAIN_MOST { Wire::H2 } else { Wire::Plain };
            Row { streams, wire, ..FAN_OUT }
        },
        why: "An event is read, decoded and handed from the task that reads to the thread that writes, \
              once for all its readers: with ten of them that is a good quarter of the work.",
        figure: Figure::CPU,
        servers: BOTH,
    },
    Sweep {
        name: "feeds",
        what: "feeds that 10,000 readers share (over 1,000: on HTTP/2)",
        values: &[1, 10, 100, 1000, 10_000],
        row: |feeds| {
            // Each feed takes a connection to its origin, which leaves few for readers.
            let wire = if feeds > 1000 { Wire::H2 } else { Wire::Plain };
            Row { kind: Kind::Many, feeds, streams: 10_000, wire, ..FAN_OUT }
        },
        why: "With as many feeds as readers, reading, decoding and keeping an event is shared by nobody, \
              and each goes out in a record of TLS and a write of its own.",
        figure: Figure::CPU,
        servers: OURS,
    },
    Sweep {
        name: "mux-feeds",
        what: "feeds on each of 100 streams",
        values: &[1, 4, 16, 64, 256],
        row: |feeds| Row { kind: Kind::Mux, feeds, streams: 100, ..FAN_OUT },
        why: "Events that are due together share a write, the more the more feeds there are.",
        figure: Figure::CPU,
        servers: OURS,
    },
    Sweep {
        name: "size",
        what: "bytes of an event, 100 readers",
        values: &[64, 1 << 10, 16 << 10, 128 << 10, 1 << 20],
        row: |size| Row { size, streams: 100, ..FAN_OUT },
        why: "Up to some 16 KiB it is the write that costs, beyond it the bytes.",
        figure: Figure::CPU,
        servers: BOTH,
    },
    Sweep {
        name: "history",
        what: "events that a feed keeps, 1,000 readers",
        values: &[16, 256, 4096, 65_536],
        row: |history| Row { history, ..FAN_OUT },
        why: "",
        figure: Figure::CPU,
        servers: OURS,
    },
];

impl Sweep {
    /// The name of a run with so much.
    pub fn run(&self, value: usize) -> String {
        format!("{}@{value}", self.name)
    }
}
