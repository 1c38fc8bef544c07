//! Which [`Writer`] has which private streams: as few writers as can do it.
//!
//! A writer that is woken finds the more to do, and so is woken the less often for each event, the
//! more streams it has. So streams go to the first writer that has time for them, and one that
//! comes to have too much to do hands some over.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::mailbox::{Letter, Mailbox};
use super::slot::{Newcomer, Place, Slot};
use super::timers::{Moment, millis};
use super::writer::Writer;

/// How long a writer's load is measured for.
const SPAN: Duration = Duration::from_millis(100);

/// The share of its time, in thousandths, up to which a writer gets more streams, and takes them
/// from others; and from which it hands some over.
const CALM: u32 = 400;
const BUSY: u32 = 700;

/// The part of its streams that it hands over at once.
const PART: usize = 8;

/// How busy a writer is.
pub(super) struct Load {
    since: Instant,
    slept: Duration,
}

impl Load {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), slept: Duration::ZERO }
    }

    /// Notes that the writer has slept from one moment to another. Returns its load in thousandths
    /// when a span is over.
    pub(super) fn slept(&mut self, from: Instant, to: Instant) -> Option<u32> {
        self.slept += to.saturating_duration_since(from);
        let span = to.saturating_duration_since(self.since);
        if span < SPAN {
            return None;
        }
        let asleep = self.slept.as_secs_f64() / span.as_secs_f64();
        *self = Self { since: to, slept: Duration::ZERO };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 1000"
        )]
        let load = ((1.0 - asleep).clamp(0.0, 1.0) * 1000.0) as u32;
        Some(load)
    }
}

/// The first of the writers that has time, else the one that has most of it.
pub(super) fn with_time(writers: &[Arc<Mailbox>]) -> Option<&Arc<Mailbox>> {
    let calm = writers.iter().find(|writer| writer.load() < CALM);
    calm.or_else(|| writers.iter().min_by_key(|writer| writer.load()))
}

impl Writer {
    /// Until when it may sleep instead: one that has told that it is busy has to tell when it is no
    /// longer.
    pub(super) fn nap(&self, until: Option<Moment>, now: Moment) -> Option<Moment> {
        if self.mailbox.load() < CALM {
            return until;
        }
        let nap = now.saturating_add(millis(SPAN));
        Some(until.map_or(nap, |until| until.min(nap)))
    }

    /// Tells how busy it is, and hands some private streams over if that is too much.
    pub(super) fn tell_load(&mut self, load: u32) {
        self.mailbox.set_load(load);
        if load < BUSY {
            return;
        }
        let Some(other) = with_time(&self.writers).filter(|other| other.load() < CALM) else {
            return;
        };
        let other = Arc::clone(other);
        let is_private = |slot: &Slot| {
            let has_socket = slot.io.line().is_none();
            has_socket && matches!(slot.place, Place::Private(_)) && !slot.is_blocked()
        };
        let some = self.slots.len().div_ceil(PART);
        let private = self.slots.iter().filter(|(_, slot)| is_private(slot));
        let private: Vec<_> = private.map(|(number, _)| number).take(some).collect();
        for number in private {
            if let Some(newcomer) = self.give_away(number) {
                other.post(Letter::Adopt(Box::new(newcomer)));
            }
        }
    }

    fn give_away(&mut self, number: usize) -> Option<Newcomer> {
        let mut slot = self.slots.try_remove(number)?;
        let registry = self.selector.registry();
        slot.io.deregister(registry);
        slot.private()?.upstream.deregister(registry);
        slot.into_newcomer()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn load_is_the_time_that_is_not_slept() {
        let begun = Instant::now();
        let mut load = Load::new();
        let at = |ms| begun + Duration::from_millis(ms);
        assert_eq!(load.slept(at(10), at(40)), None);
        assert_eq!(load.slept(at(60), at(120)), Some(250), "90 of 120 ms");
        assert_eq!(load.slept(at(220), at(220)), Some(1000));
    }
}
