//! Times of all sizes, to three digits, that can be added up and sent from process to process.

use hdrhistogram::Histogram;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::clock::SECOND;

/// The longest time that is told from longer ones.
const LONGEST: u64 = 600 * SECOND;

/// A histogram of times in nanoseconds.
#[derive(Clone, Debug)]
pub struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST, 3).expect("bounds that are right"))
    }
}

impl Times {
    /// Counts one time.
    pub fn add(&mut self, nanoseconds: u64) {
        self.0.saturating_record(nanoseconds);
    }

    /// Counts all that another has.
    pub fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("the same bounds");
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time that so large a share (0 to 1) does not exceed.
    pub fn quantile(&self, share: f64) -> u64 {
        self.0.value_at_quantile(share)
    }

    /// Shares, and the times that they do not exceed, from the fastest to the slowest.
    pub fn curve(&self) -> Vec<(f64, u64)> {
        let steps = self.0.iter_quantiles(4);
        steps.map(|step| (step.quantile_iterated_to(), step.value_iterated_to())).collect()
    }

    /// The longest.
    pub fn longest(&self) -> u64 {
        self.0.max()
    }

    /// What it was, which is left empty.
    pub fn take(&mut self) -> Self {
        let full = self.clone();
        self.clear();
        full
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.reset();
    }
}

impl Serialize for Times {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let times = self.0.iter_recorded();
        serializer.collect_seq(times.map(|it| (it.value_iterated_to(), it.count_at_value())))
    }
}

impl<'de> Deserialize<'de> for Times {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut times = Self::default();
        for (time, count) in Vec::<(u64, u64)>::deserialize(deserializer)? {
            times.0.record_n(time, count).map_err(D::Error::custom)?;
        }
        Ok(times)
    }
}
