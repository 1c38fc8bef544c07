//! [`Log`]: the single sequence of events over all feeds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::cursor::{Cursor, Epoch};
use super::{Feed, FeedOptions};

/// The node's single sequence of events over all its feeds.
///
/// Every event gets the next number of the one log when it is published, whatever its feed. So
/// one short [`Cursor`] says how far a reader of any set of feeds has got.
///
/// Cheap to clone; clones share the log.
#[derive(Clone, Debug)]
pub struct Log(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    epoch: Epoch,
    /// The number given last. Held while an event is put into its feed, so that numbers become
    /// visible in order.
    last: Mutex<u64>,
    /// Every event up to this number is in its feed. A reader of several feeds goes no further
    /// than this, or he might be shown a number before a smaller one is in place.
    visible: AtomicU64,
}

impl Log {
    /// An empty log with a new epoch.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            epoch: Epoch::random(),
            last: Mutex::new(0),
            visible: AtomicU64::new(0),
        }))
    }

    /// A new feed in this log. Nothing from before its creation can be resumed from it.
    #[must_use]
    pub fn feed(&self, options: FeedOptions) -> Feed {
        // The feed's creation takes a number of its own. A reader whose cursor is older knew an
        // earlier feed of that name, if any, and must be told of the gap in between.
        self.append(|birth| Feed::new(self.clone(), options, birth.seq))
    }

    /// The position of the newest event.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor { epoch: self.0.epoch, seq: self.visible() }
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.0.epoch
    }

    pub(super) fn visible(&self) -> u64 {
        self.0.visible.load(Ordering::Acquire)
    }

    /// Gives the next number to `put`, which puts an event in its place.
    pub(super) fn append<T>(&self, put: impl FnOnce(Cursor) -> T) -> T {
        let mut last = lock(&self.0.last);
        *last += 1;
        let result = put(Cursor { epoch: self.0.epoch, seq: *last });
        self.0.visible.store(*last, Ordering::Release);
        result
    }
}

impl Default for Log {
    fn default() -> Self {
        Self::new()
    }
}

/// Locks without regard to poisoning: nothing that runs under these locks can panic half way
/// through a change.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
