//! The figures that are told of a run.

/// A figure: where it is in a report of the load tester, and how it is written.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// Its name, with the unit.
    pub title: &'static str,
    /// Where it is in the report.
    pub pointer: &'static str,
    /// What it is divided by.
    pub unit: f64,
    /// How many digits it has after the point.
    pub digits: usize,
    /// Whether more is better; `None` if it is only to be known.
    pub more_is_better: Option<bool>,
}

/// The figures there are.
impl Figure {
    const fn new(title: &'static str, pointer: &'static str) -> Self {
        Self { title, pointer, unit: 1.0, digits: 2, more_is_better: Some(false) }
    }

    pub const DELIVERIES: Self = Self {
        unit: 1e3,
        digits: 0,
        more_is_better: Some(true),
        ..Self::new("1,000 deliveries/s", "/events_per_second")
    };
    pub const JOINED: Self =
        Self { more_is_better: None, ..Self::new("events a read", "/events_per_read") };
    pub const CPU: Self = Self::new("CPU s a million events", "/server/cpu_per_million");
    pub const TO_LAST: Self =
        Self { unit: 1e6, digits: 1, ..Self::new("ms to the last reader, median", "/to_last/p50") };
    pub const P50: Self = Self { unit: 1e6, ..Self::new("latency p50, ms", "/latency/p50") };
    pub const P99: Self = Self { unit: 1e6, ..Self::new("latency p99, ms", "/latency/p99") };
    pub const P99_OF_SLICES: Self =
        Self { unit: 1e6, ..Self::new("p99 of 20 ms, ms", "/p99_of_slices/p50") };
    pub const MEMORY: Self =
        Self { digits: 1, ..Self::new("KiB a stream", "/server/memory_per_stream") };
    pub const OPEN_CPU: Self =
        Self { digits: 3, ..Self::new("CPU ms to open one", "/server/cpu_per_open") };
    pub const BUSY: Self =
        Self { digits: 3, ..Self::new("processors busy at rest", "/server/cpu") };
    pub const CROWD: Self = Self {
        unit: 1e3,
        digits: 1,
        more_is_better: Some(true),
        ..Self::new("1,000 more opened/s", "/crowd/opened_per_second")
    };
    pub const OPENED: Self = Self {
        unit: 1e3,
        digits: 1,
        more_is_better: Some(true),
        ..Self::new("1,000 opened/s", "/opened_per_second")
    };

    /// A value as it is written.
    pub fn text(&self, value: f64) -> String {
        format!("{value:.*}", self.digits)
    }
}
