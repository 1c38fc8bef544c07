//! A number and a time in each event's data.

use std::sync::LazyLock;
use std::time::Duration;

use tokio::time::Instant;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The data of event number `seq`, sent now: two decimal numbers.
pub fn stamp(seq: u64) -> String {
    format!("{seq} {}", START.elapsed().as_nanos())
}

/// The number in an event's data, and how long ago it was sent. `None` if it is no stamp.
pub fn read(data: &str) -> Option<(u64, Duration)> {
    let (seq, sent) = data.split_once(' ')?;
    let sent = Duration::from_nanos(sent.parse().ok()?);
    Some((seq.parse().ok()?, START.elapsed().saturating_sub(sent)))
}
