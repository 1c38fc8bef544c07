//! [`Members`]: the slots of a group, and which of them have yet to get the batch at hand.

/// The slots of a group. Those before `left` have yet to get the batch at hand.
#[derive(Debug, Default)]
pub(super) struct Members {
    slots: Vec<usize>,
    left: usize,
}

/// A member that has another place now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) slot: usize,
    pub(super) place: usize,
}

impl Members {
    /// Adds a slot, which is not due the batch at hand. Returns its place.
    pub(super) fn add(&mut self, slot: usize) -> usize {
        self.slots.push(slot);
        self.slots.len() - 1
    }

    /// Takes away the slot in this place. Returns those that have moved to fill it.
    pub(super) fn remove(&mut self, place: usize) -> [Option<Moved>; 2] {
        let mut hole = place;
        let mut first = None;
        if hole < self.left {
            // The last one that is due takes its place, so that it stays among the due.
            self.left -= 1;
            first = self.fill(hole, self.left);
            hole = self.left;
        }
        let last = self.slots.len().saturating_sub(1);
        let second = self.fill(hole, last);
        self.slots.truncate(last);
        [first, second]
    }

    fn fill(&mut self, hole: usize, from: usize) -> Option<Moved> {
        if hole == from {
            return None;
        }
        let slot = *self.slots.get(from)?;
        *self.slots.get_mut(hole)? = slot;
        Some(Moved { slot, place: hole })
    }

    /// There is a batch that all are due.
    pub(super) const fn begin(&mut self) {
        self.left = self.slots.len();
    }

    /// The next slot that is due the batch.
    pub(super) fn next(&mut self) -> Option<usize> {
        let last = self.left.checked_sub(1)?;
        self.left = last;
        self.slots.get(last).copied()
    }

    pub(super) const fn is_done(&self) -> bool {
        self.left == 0
    }

    pub(super) fn any(&self) -> Option<usize> {
        self.slots.last().copied()
    }

    pub(super) const fn len(&self) -> usize {
        self.slots.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whoever comes and goes meanwhile: each member gets each batch once that was begun after
        /// it came and that was not over when it went.
        #[test]
        fn every_member_gets_every_batch_once(steps in prop::collection::vec((0..5_u8, any::<prop::sample::Index>()), 0..300)) {
            let mut members = Members::default();
            let mut places = HashMap::new();
            let mut due = HashSet::new();
            let mut next = 0;
            for (step, index) in steps {
                match step {
                    0 | 1 => {
                        places.insert(next, members.add(next));
                        next += 1;
                    }
                    2 if !places.is_empty() => {
                        let mut slots: Vec<_> = places.keys().copied().collect();
                        slots.sort_unstable();
                        let slot = slots[index.index(slots.len())];
                        for moved in members.remove(places[&slot]).into_iter().flatten() {
                            prop_assert!(places.insert(moved.slot, moved.place).is_some());
                        }
                        places.remove(&slot);
                        due.remove(&slot);
                    }
                    3 if members.is_done() => {
                        prop_assert!(due.is_empty());
                        members.begin();
                        due = places.keys().copied().collect();
                    }
                    _ => match members.next() {
                        Some(slot) => prop_assert!(due.remove(&slot), "{slot} gets it again"),
                        None => prop_assert!(due.is_empty(), "{due:?} were passed over"),
                    },
                }
                prop_assert_eq!(members.len(), places.len());
            }
        }
    }
}
