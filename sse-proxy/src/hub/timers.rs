//! [`Timers`]: when a slot is to be looked at again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use tokio::time::Instant;

/// When slots are to be looked at again. One heap for all: a slot has one entry, which is looked at
/// when it is due and put off if the slot has been written to meanwhile.
pub(super) struct Timers {
    begun: Instant,
    due: BinaryHeap<Reverse<(Moment, Alarm)>>,
}

/// Milliseconds since the writer began.
pub(super) type Moment = u64;

/// A duration in whole milliseconds.
pub(super) fn millis(duration: Duration) -> Moment {
    Moment::try_from(duration.as_millis()).unwrap_or(Moment::MAX)
}

/// What is to be looked at. `born` tells what has a number from what had the same before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Alarm {
    Slot {
        slot: usize,
        born: u32,
        what: What,
    },
    /// Whether a caller's origin has taken too long to answer.
    Unanswered {
        caller: usize,
        born: u32,
    },
    /// Whether there are callers that say nothing.
    Callers,
}

/// What is to be looked at of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// Whether it has been silent for long.
    Silence,
    /// It is its turn to end.
    Turn,
    /// Whether its own origin has been silent for too long.
    Unheard,
}

impl Timers {
    pub(super) fn new() -> Self {
        Self { begun: Instant::now(), due: BinaryHeap::new() }
    }

    pub(super) fn at(&self, instant: Instant) -> Moment {
        let since = instant.saturating_duration_since(self.begun);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn set(&mut self, moment: Moment, alarm: Alarm) {
        self.due.push(Reverse((moment, alarm)));
    }

    /// When the next one is due.
    pub(super) fn first(&self) -> Option<Moment> {
        self.due.peek().map(|Reverse((moment, _))| *moment)
    }

    /// The next one that is due.
    pub(super) fn next(&mut self, now: Moment) -> Option<Alarm> {
        let Reverse((moment, _)) = self.due.peek()?;
        if *moment > now {
            return None;
        }
        self.due.pop().map(|Reverse((_, alarm))| alarm)
    }
}
