//! What a [`Writer`] does when it is time: for slots that have been silent for long, and, when the
//! process is going, for those whose turn it is to end.

use tokio::time::Instant;

use super::timers::{Alarm, What, millis};
use super::writer::Writer;
use crate::stream::{End, KEEP_ALIVE};

impl Writer {
    /// Looks at a slot again when it will have been silent for long.
    pub(super) fn watch_silence(&mut self, slot: usize) {
        let Some(it) = self.slots.get(slot) else { return };
        let Some(patience) = it.patience() else { return };
        let moment = it.quiet_since.saturating_add(patience).max(self.now + 1);
        self.timers.set(moment, Alarm::Slot { slot, born: it.born, what: What::Silence });
    }

    pub(super) fn ring(&mut self, alarm: Alarm) {
        match alarm {
            Alarm::Slot { slot, born, what } => {
                if self.slots.get(slot).is_some_and(|it| it.born == born) {
                    match what {
                        What::Silence => self.silent(slot),
                        What::Turn => self.end(slot, End::Drained),
                        What::Unheard => self.unheard(slot),
                    }
                }
            }
            Alarm::Unanswered { caller, born } => self.unanswered(caller, born),
            Alarm::Callers => self.sweep_callers(),
        }
    }

    /// A slot may have been silent for long.
    fn silent(&mut self, slot: usize) {
        let Some(it) = self.slots.get(slot) else { return };
        let keep_alive = millis(it.route.keep_alive);
        let silence = self.now.saturating_sub(it.quiet_since);
        let is_blocked = it.is_blocked();
        if it.is_given_up() && silence >= 2 * keep_alive {
            // It has not taken a byte for that long.
            return self.end(slot, End::Lagged);
        }
        // Within a tenth, as its patience is.
        if !is_blocked && silence >= keep_alive - keep_alive / 10 {
            self.keep_alive(slot, KEEP_ALIVE);
        }
        self.watch_silence(slot);
    }

    pub(super) fn drain(&mut self, last_turn: Instant) {
        self.last_turn = Some(last_turn);
        self.doors.clear();
        self.callers.retain(|_, waiting| waiting.asking.is_some());
        let slots: Vec<_> = self.slots.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            self.set_turn(slot);
        }
    }

    /// Whether nobody is let in any more.
    pub(super) const fn has_drained(&self) -> bool {
        self.last_turn.is_some()
    }

    /// Draws the moment at which a slot's stream ends, if all are to end.
    pub(super) fn set_turn(&mut self, slot: usize) {
        let (Some(last_turn), Some(it)) = (self.last_turn, self.slots.get(slot)) else { return };
        let last = self.timers.at(last_turn).max(self.now);
        let moment = fastrand::u64(self.now..=last);
        self.timers.set(moment, Alarm::Slot { slot, born: it.born, what: What::Turn });
    }
}
