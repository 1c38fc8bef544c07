//! [`Signal`]: wakes one reader, once per batch.

use std::sync::Mutex;
use std::task::Waker;

use super::log::lock;

/// Wakes one reader. Many wakes before it looks cost one.
#[derive(Debug, Default)]
pub(super) struct Signal(Mutex<Option<Waker>>);

impl Signal {
    pub(super) fn wake(&self) {
        let waker = lock(&self.0).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// To be called before looking: what happens after the look wakes.
    pub(super) fn register(&self, waker: &Waker) {
        let mut slot = lock(&self.0);
        if !slot.as_ref().is_some_and(|old| old.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
    }
}
