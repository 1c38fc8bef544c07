//! [`Clock`]: wakes a writer when the next of its alarms is due.

use std::io;
use std::time::Duration;

use mio::Registry;

use super::timers::Moment;

/// Wakes a writer when the next of its alarms is due.
///
/// A selector that is told how long to wait sets a timer of the system each time that it begins to
/// wait, and takes it back when it is woken: an event of a private stream costs 5 % more with that.
/// So on Linux there is one timer beside it, which is set again only when it has rung, or has to
/// ring sooner.
#[derive(Debug)]
pub(super) struct Clock {
    timer: timer::Timer,
    /// When it rings next, or has rung last.
    set_for: Moment,
}

impl Clock {
    pub(super) fn new(registry: &Registry) -> io::Result<Self> {
        Ok(Self { timer: timer::Timer::new(registry)?, set_for: 0 })
    }

    /// The writer is about to sleep, until `moment` if there is one. Returns how long the selector
    /// is to wait; it may be woken sooner.
    pub(super) fn set(
        &mut self,
        moment: Option<Moment>,
        now: Moment,
    ) -> io::Result<Option<Duration>> {
        let Some(moment) = moment else { return Ok(None) };
        if moment <= now {
            return Ok(Some(Duration::ZERO));
        }
        let is_set = now < self.set_for && self.set_for <= moment;
        if is_set && timer::RINGS {
            return Ok(None);
        }
        self.set_for = moment;
        self.timer.set(Duration::from_millis(moment - now))
    }
}

/// Elsewhere the selector itself waits as long.
#[cfg(not(target_os = "linux"))]
mod timer {
    use std::io;
    use std::time::Duration;

    use mio::Registry;

    /// Whether the selector is woken by it, once it is set.
    pub(super) const RINGS: bool = false;

    #[derive(Debug)]
    pub(super) struct Timer;

    impl Timer {
        pub(super) fn new(_: &Registry) -> io::Result<Self> {
            Ok(Self)
        }

        pub(super) fn set(&self, wait: Duration) -> io::Result<Option<Duration>> {
            Ok(Some(wait))
        }
    }
}

#[cfg(target_os = "linux")]
mod timer {
    use std::io;
    use std::os::fd::{AsFd, AsRawFd};
    use std::time::Duration;

    use mio::unix::SourceFd;
    use mio::{Interest, Registry};
    use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

    use crate::hub::token::CLOCK;

    /// Whether the selector is woken by it, once it is set.
    pub(super) const RINGS: bool = true;

    #[derive(Debug)]
    pub(super) struct Timer(TimerFd);

    impl Timer {
        pub(super) fn new(registry: &Registry) -> io::Result<Self> {
            let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC)?;
            // Never read: the selector tells of it anew each time that it rings.
            let source = timer.as_fd().as_raw_fd();
            registry.register(&mut SourceFd(&source), CLOCK, Interest::READABLE)?;
            Ok(Self(timer))
        }

        pub(super) fn set(&self, wait: Duration) -> io::Result<Option<Duration>> {
            self.0.set(Expiration::OneShot(wait.into()), TimerSetTimeFlags::empty())?;
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use mio::{Events, Poll as Selector};
    use tokio::time::Instant;

    use super::*;

    /// Sleeps, and panics if nothing wakes it.
    fn sleep(selector: &mut Selector, wait: Option<Duration>) {
        let mut events = Events::with_capacity(4);
        let begun = Instant::now();
        let long = Duration::from_secs(30);
        selector.poll(&mut events, Some(wait.unwrap_or(long))).expect("polls");
        assert!(begun.elapsed() < long, "it has not rung");
    }

    #[test]
    fn it_rings_for_the_sooner_of_two_moments_and_again() {
        let mut selector = Selector::new().expect("a selector");
        let mut clock = Clock::new(selector.registry()).expect("a clock");
        clock.set(Some(3_600_000), 0).expect("set");
        for now in [0, 20, 40] {
            let wait = clock.set(Some(now + 20), now).expect("set");
            // What rings later changes nothing.
            let wait = clock.set(Some(now + 600_000), now).expect("set").min(wait);
            sleep(&mut selector, wait);
        }
    }

    #[test]
    fn a_moment_that_has_come_is_not_waited_for() {
        let selector = Selector::new().expect("a selector");
        let mut clock = Clock::new(selector.registry()).expect("a clock");
        assert_eq!(clock.set(Some(5), 5).expect("set"), Some(Duration::ZERO));
        assert_eq!(clock.set(None, 5).expect("set"), None);
    }
}
