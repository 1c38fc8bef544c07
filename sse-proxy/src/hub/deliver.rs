//! What a [`Writer`] does for its readers: batches to groups, and what is missing to slots that
//! read for themselves.

use std::iter::from_fn;
use std::task::Poll;

use bytes::Bytes;

use super::batch::Batch;
use super::group::Joining;
use super::slot::{Place, Slot};
use super::writer::Writer;
use crate::stream::End;

/// How many members are written to before others have their turn.
const SLICE: u64 = 256;

impl Writer {
    /// Writes the batch at hand to some more members of a group, or begins the next.
    pub(super) fn run_group(&mut self, number: usize) {
        let Some(group) = self.groups.get_mut(number) else { return };
        group.is_queued = false;
        if group.batch.is_none() {
            if group.members.len() == 0 {
                group.rest();
                return self.let_in(number);
            }
            match group.poll() {
                Poll::Pending => return,
                Poll::Ready(Ok(())) => group.begin_batch(),
                Poll::Ready(Err(_)) => return self.end_all(number, End::Lagged),
            }
            self.let_in(number);
        }
        let Some(batch) = self.groups.get_mut(number).and_then(|group| group.batch.take()) else {
            return;
        };
        let mut written = 0;
        while written < SLICE
            && let Some(slot) = self.groups.get_mut(number).and_then(|group| group.members.next())
        {
            self.deliver(slot, &batch);
            written += 1;
        }
        let Some(group) = self.groups.get_mut(number) else { return };
        batch.count(&group.counts, written);
        if !group.members.is_done() {
            group.batch = Some(batch);
        } else {
            group.end_batch(&batch);
            if batch.is_last {
                return self.end_all(number, End::OriginEnded);
            }
        }
        self.enqueue(number);
    }

    /// Writes a batch to a member.
    fn deliver(&mut self, number: usize, batch: &Batch) {
        let Some(slot) = self.slots.get_mut(number) else { return };
        batch.note(&mut slot.visit);
        let mut rest = batch.framed(slot.framing);
        match slot.io.write(&mut rest) {
            Ok(true) => slot.quiet_since = self.now,
            Ok(false) => self.fall_behind(number, rest),
            Err(_) => self.end(number, End::Left),
        }
    }

    /// A member whose socket did not take the batch at hand whole goes on by itself.
    fn fall_behind(&mut self, number: usize, rest: Bytes) {
        let group = self.slots.get(number).and_then(|slot| slot.group);
        let Some(group) = group.and_then(|group| self.groups.get(group)) else { return };
        let mut alone = self.on_its_own(number, group);
        alone.rest = rest;
        alone.is_blocked = true;
        // From now on it is told when there is more.
        let has_lagged = alone.has_lagged();
        let Some(slot) = self.slots.get_mut(number) else { return };
        let Place::Member(place) = std::mem::replace(&mut slot.place, Place::Alone(alone)) else {
            return;
        };
        if let Some(group) = slot.group {
            self.give_up(group, place);
        }
        if has_lagged {
            return self.end(number, End::Lagged);
        }
        self.await_room(number, true);
    }

    /// Takes a slot from its group's members.
    pub(super) fn leave_group(&mut self, slot: &Slot) {
        if let (Place::Member(place), Some(group)) = (&slot.place, slot.group) {
            self.give_up(group, *place);
        }
    }

    fn give_up(&mut self, group: usize, place: usize) {
        let Some(group) = self.groups.get_mut(group) else { return };
        for moved in group.remove(place).into_iter().flatten() {
            if let Some(slot) = self.slots.get_mut(moved.slot) {
                slot.place = Place::Member(moved.place);
            }
        }
    }

    /// Lets those in who wait for nothing to be due to the group.
    fn let_in(&mut self, group: usize) {
        let Some(group) = self.groups.get_mut(group) else { return };
        for number in std::mem::take(&mut group.waiting) {
            if let Some(alone) = self.slots.get_mut(number).and_then(Slot::alone) {
                alone.is_waiting = false;
                self.catch_up(number);
            }
        }
    }

    fn end_all(&mut self, group: usize, end: End) {
        while let Some(slot) = self.groups.get(group).and_then(|group| group.members.any()) {
            self.end(slot, end);
        }
    }

    /// There may be more for a slot that reads for itself.
    pub(super) fn more_for(&mut self, number: usize) {
        let Some(alone) = self.slots.get_mut(number).and_then(Slot::alone) else { return };
        if !alone.is_blocked {
            self.catch_up(number);
        } else if alone.has_lagged() {
            self.end(number, End::Lagged);
        }
    }

    /// Gives a slot what it is missing, as far as its socket takes it, and has it join its group
    /// when that is all.
    pub(super) fn catch_up(&mut self, number: usize) {
        loop {
            let Some(slot) = self.slots.get_mut(number) else { return };
            let framing = slot.framing;
            let Place::Alone(alone) = &mut slot.place else { return };
            if alone.is_blocked {
                return;
            }
            if alone.is_last {
                return self.end(number, End::OriginEnded);
            }
            match alone.poll() {
                Poll::Ready(Err(_)) => return self.end(number, End::Lagged),
                Poll::Ready(Ok(())) => {
                    let batch = Batch::take(&mut from_fn(|| alone.due.pop_front()));
                    alone.is_last = batch.is_last;
                    batch.note_alone(&mut slot.visit);
                    alone.rest = batch.framed(framing);
                    self.flush(number);
                }
                Poll::Pending => {
                    if !self.join(number) {
                        return;
                    }
                }
            }
        }
    }

    /// Has a slot join its group that has got all there is. Returns whether there is more by now.
    fn join(&mut self, number: usize) -> bool {
        let Some(slot) = self.slots.get_mut(number) else { return false };
        let Place::Alone(alone) = &mut slot.place else { return false };
        let Some(number_of_group) = slot.group else { return false };
        let Some(group) = self.groups.get_mut(number_of_group) else { return false };
        match group.may_join(&mut alone.reader) {
            Joining::Joined => {
                slot.place = Place::Member(group.add(number));
                // The group's reader may be new to it, and has to be asked before it tells.
                self.enqueue(number_of_group);
                false
            }
            Joining::MoreIsDue => {
                self.enqueue(number_of_group);
                true
            }
            Joining::Wait => {
                if !std::mem::replace(&mut alone.is_waiting, true) {
                    group.waiting.push(number);
                }
                self.enqueue(number_of_group);
                false
            }
        }
    }

    /// There is room in a slot's socket.
    pub(super) fn write_rest(&mut self, number: usize) {
        let Some(slot) = self.slots.get_mut(number) else { return };
        let Place::Alone(alone) = &mut slot.place else { return self.write_private(number) };
        if !std::mem::replace(&mut alone.is_blocked, false) {
            return;
        }
        self.await_room(number, false);
        self.flush(number);
        self.catch_up(number);
    }

    /// Writes to a slot what it is to get next.
    fn flush(&mut self, number: usize) {
        let now = self.now;
        let Some(slot) = self.slots.get_mut(number) else { return };
        let Place::Alone(alone) = &mut slot.place else { return };
        let before = alone.rest.len();
        let written = slot.io.write(&mut alone.rest);
        if alone.rest.len() < before {
            slot.quiet_since = now;
        }
        match written {
            Ok(true) => {}
            Ok(false) => {
                alone.is_blocked = true;
                self.await_room(number, true);
            }
            Err(_) => self.end(number, End::Left),
        }
    }

    /// Writes a comment to a slot that has been silent for long.
    pub(super) fn keep_alive(&mut self, number: usize, comment: &'static [u8]) {
        let Some(slot) = self.slots.get_mut(number) else { return };
        let mut rest = slot.framing.frame(comment);
        slot.quiet_since = self.now;
        match slot.io.write(&mut rest) {
            Ok(true) => {}
            Ok(false) => match &mut slot.place {
                Place::Member(_) => self.fall_behind(number, rest),
                Place::Alone(alone) => {
                    alone.rest = rest;
                    alone.is_blocked = true;
                    self.await_room(number, true);
                }
                Place::Private(private) => {
                    private.rest = rest;
                    private.is_blocked = true;
                    private.is_rest_idle = true;
                    self.await_room(number, true);
                }
            },
            Err(_) => self.end(number, End::Left),
        }
    }
}
