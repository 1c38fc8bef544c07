//! The latency of each fiftieth of a second by itself.
//!
//! Where processors are not the machine's own, it is halted now and then for milliseconds, and so is
//! everything on it: of a short run, the 99th percentile tells how often that was, whatever the
//! server. Short slices of time mostly go without, and their 99th percentiles tell servers apart.
//! What befalls a server itself less often than that is only in the latency of all events.

use serde::{Deserialize, Serialize};

use super::clock::SECOND;
use super::histogram::Times;

const SLICE: u64 = SECOND / 50;

/// The 99th percentiles of the latencies of fiftieths of a second.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Slices {
    /// One for each that is over.
    pub p99: Times,
    /// The latencies of the one that is not.
    #[serde(skip)]
    current: Times,
    /// When it is.
    #[serde(skip)]
    end: u64,
}

impl Slices {
    /// Counts the latency of an event that came at `now`.
    pub fn add(&mut self, now: u64, latency: u64) {
        if now >= self.end {
            self.end = now - now % SLICE + SLICE;
            if self.current.count() > 0 {
                self.p99.add(self.current.quantile(0.99));
                self.current.clear();
            }
        }
        self.current.add(latency);
    }

    /// Those that are over, which are forgotten.
    pub fn take(&mut self) -> Self {
        Self { p99: self.p99.take(), ..Self::default() }
    }

    /// Adds those that others have counted.
    pub fn merge(&mut self, other: &Self) {
        self.p99.merge(&other.p99);
    }
}

#[cfg(test)]
mod tests {
    use super::{SLICE, Slices};

    #[test]
    fn a_stall_is_only_in_its_own_slice() {
        let mut slices = Slices::default();
        for event in 0..1001 {
            let latency = if (500..550).contains(&event) { 1500 } else { 20 };
            slices.add(7 * SLICE + event * SLICE / 100, latency);
        }
        let taken = slices.take();
        assert_eq!(taken.p99.count(), 10);
        assert_eq!([taken.p99.quantile(0.5), taken.p99.longest()], [20, 1500]);
        assert_eq!(slices.take().p99.count(), 0);
    }
}
