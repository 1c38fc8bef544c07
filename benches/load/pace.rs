//! Tells the source what readers have got, so that it sends as fast as they get it and no faster.
//!
//! A round is one event of each feed. The source sends the next when half of the one before has
//! come to the readers (of the slowest process, if there are several). So the server, which is
//! still at the other half, always has something to do, and never two events to send as one.

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

    /// Tells how many rounds are half done or more.
    ///
    /// # Errors
    ///
    /// If the source is gone.
    pub fn tell(&mut self, tally: &mut Tally) -> io::Result<()> {
        let events = u64::try_from(i128::from(tally.paced()) - self.base).unwrap_or(0);
        let half = self.round / 2;
        let mut rounds = (events + half) / self.round;
        if rounds <= self.told {
            let now = clock::now();
            if now - self.changed < PATIENCE {
                return Ok(());
            }
            tally.fault("half a round did not come within a second");
            let missing = (self.told + 1) * self.round - half - events;
            self.base -= i128::from(missing);
            rounds = self.told + 1;
        }
        self.told = rounds;
        self.changed = clock::now();
        self.source.write_all(format!("{rounds}\n").as_bytes())
    }
}
