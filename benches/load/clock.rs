//! Time that all processes of one machine share, and that never steps.

use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::time::{ClockId, clock_gettime};

/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;

/// `CLOCK_MONOTONIC` in nanoseconds.
pub fn now() -> u64 {
    // It cannot fail for this clock; 0 would be seen at once in every figure.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |time| nanoseconds(&time))
}

/// The processor time that this process has used, in nanoseconds.
pub fn own_cpu() -> u64 {
    getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| {
        let used = usage.user_time() + usage.system_time();
        u64::try_from(used.num_nanoseconds()).unwrap_or(0)
    })
}

/// The time until `due`, nothing if it has passed.
pub fn until(due: u64) -> Duration {
    Duration::from_nanos(due.saturating_sub(now()))
}

/// A moment as timers want it.
pub fn timespec(nanoseconds: u64) -> TimeSpec {
    TimeSpec::nanoseconds(i64::try_from(nanoseconds).unwrap_or(i64::MAX))
}

fn nanoseconds(time: &TimeSpec) -> u64 {
    u64::try_from(time.num_nanoseconds()).unwrap_or(0)
}
