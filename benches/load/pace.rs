//! Tells the source what readers have got, so that it sends as fast as they get it and no faster.
//!
//! A round is one event of each feed. The source may be so many rounds ahead of the slowest
//! process of readers. The server then always has an event to send, and never a heap of them.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};

use super::clock::{self, SECOND};
use super::tally::Tally;

/// How long a round may take before the next is asked for all the same.
const PATIENCE: u64 = SECOND;

/// What a source takes for a reader's pace, instead of a request.
pub const HELLO: &[u8] = b"PACE\n";

/// The way to the source.
#[derive(Debug)]
pub struct Pace {
    source: TcpStream,
    /// Events of a round.
    round: u64,
    /// Events before the first round, less those that were counted away.
    base: i128,
    told: u64,
    changed: u64,
}

impl Pace {
    /// Begins to count, from `seen` events, rounds of `round` events.
    ///
    /// # Errors
    ///
    /// If the source cannot be reached.
    pub fn new(source: SocketAddr, round: u64, seen: u64) -> io::Result<Self> {
        let mut source = TcpStream::connect(source)?;
        source.set_nodelay(true)?;
        source.write_all(HELLO)?;
        let (round, base) = (round.max(1), i128::from(seen));
        Ok(Self { source, round, base, told: 0, changed: clock::now() })
    }

    /// The tally, which has so many events, begins anew.
    pub fn counted(&mut self, events: u64) {
        self.base -= i128::from(events);
    }

    /// Tells how many rounds are complete.
    ///
    /// # Errors
    ///
    /// If the source is gone.
    pub fn tell(&mut self, tally: &mut Tally) -> io::Result<()> {
        let events = u64::try_from(i128::from(tally.events) - self.base).unwrap_or(0);
        let mut rounds = events / self.round;
        if rounds <= self.told {
            let now = clock::now();
            if now - self.changed < PATIENCE {
                return Ok(());
            }
            tally.fault("a round did not come to its end");
            let missing = (self.told + 1) * self.round - events;
            self.base -= i128::from(missing);
            rounds = self.told + 1;
        }
        self.told = rounds;
        self.changed = clock::now();
        self.source.write_all(format!("{rounds}\n").as_bytes())
    }
}
