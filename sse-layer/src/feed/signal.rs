//! [`Signal`]: wakes one reader, once per batch.

use std::sync::Mutex;
use std::task::Waker;

use super::log::lock;

/// Wakes one reader. Many wakes before it looks cost one.
#[derive(Debug, Default)]
pub(super) struct Signal(Mutex<Option<Waker>>);

impl Signal {
    /// What is to be woken, if it has looked since the last time.
    pub(super) fn take(&self) -> Option<Waker> {
        lock(&self.0).take()
    }

    /// To be called before looking: what happens after the look wakes.
    pub(super) fn register(&self, waker: &Waker) {
        let mut slot = lock(&self.0);
        if slot.as_ref().is_some_and(|old| old.will_wake(waker)) {
            return;
        }
        let old = slot.replace(waker.clone());
        drop(slot);
        drop(old); // may run a task's drop code, which must not meet the lock
    }
}
