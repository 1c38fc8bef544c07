//! [`Pace`]: keeps a feed's source from running away from the threads that write its events.
//!
//! An origin may send thousands of events at once, and one event may go to thousands of readers.
//! Read as fast as it comes, such a burst would push events out of history before any reader could
//! get them. So the source waits for our own writers, though never for a client's socket.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use slab::Slab;
use tokio::sync::Notify;
use tokio::time::timeout;

/// The longest that a source waits: an origin is to be heard, whatever may be wrong with a writer.
const PATIENCE: Duration = Duration::from_secs(1);

/// How far a feed's source and its writers have got.
pub(crate) struct Pace {
    /// How far the source may be ahead of a writer.
    most: Amount,
    events: AtomicU64,
    bytes: AtomicU64,
    /// How much each writer has taken.
    taken: Mutex<Slab<Amount>>,
    moved: Notify,
}

/// So much of a feed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Amount {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
}

/// One writer's part in the pace, for as long as it writes.
pub(crate) struct Pacer {
    pace: Arc<Pace>,
    key: usize,
}

impl Pace {
    /// For a feed that keeps `history`: at the most a quarter of it is yet to be written.
    pub(crate) fn new(history: Amount) -> Arc<Self> {
        let most = Amount { events: history.events / 4, bytes: history.bytes / 4 };
        Arc::new(Self {
            most,
            events: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            taken: Mutex::default(),
            moved: Notify::new(),
        })
    }

    /// The source publishes an event of this size.
    pub(crate) fn publish(&self, bytes: usize) {
        self.events.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Waits until no writer is too far behind.
    pub(crate) async fn keep(&self) {
        let kept = async {
            loop {
                let moved = self.moved.notified();
                if self.is_kept() {
                    return;
                }
                moved.await;
            }
        };
        let _ = timeout(PATIENCE, kept).await;
    }

    fn is_kept(&self) -> bool {
        let published = self.published();
        let mut taken = self.lock();
        taken.iter_mut().all(|(_, taken)| {
            published.events.saturating_sub(taken.events) <= self.most.events
                && published.bytes.saturating_sub(taken.bytes) <= self.most.bytes
        })
    }

    /// Begins to write the feed, from its newest event on.
    pub(crate) fn join(self: &Arc<Self>) -> Pacer {
        let key = self.lock().insert(self.published());
        Pacer { pace: Arc::clone(self), key }
    }

    fn published(&self) -> Amount {
        let (events, bytes) = (&self.events, &self.bytes);
        Amount { events: events.load(Ordering::Relaxed), bytes: bytes.load(Ordering::Relaxed) }
    }

    fn lock(&self) -> MutexGuard<'_, Slab<Amount>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pacer {
    /// The writer has written so much more.
    pub(crate) fn took(&self, more: Amount) {
        if let Some(taken) = self.pace.lock().get_mut(self.key) {
            taken.events += more.events;
            taken.bytes += more.bytes;
        }
        self.pace.moved.notify_waiters();
    }

    /// The writer has written all there is.
    pub(crate) fn took_all(&self) {
        let published = self.pace.published();
        if let Some(taken) = self.pace.lock().get_mut(self.key) {
            *taken = published;
        }
        self.pace.moved.notify_waiters();
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.pace.lock().try_remove(self.key);
        self.pace.moved.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_source_waits_for_the_slowest_writer_and_not_for_ever() {
        let pace = Pace::new(Amount { events: 40, bytes: 4000 });
        let (fast, slow) = (pace.join(), pace.join());
        for _ in 0..11 {
            pace.publish(1);
        }
        fast.took_all();
        assert!(!pace.is_kept());
        let begun = tokio::time::Instant::now();
        pace.keep().await;
        assert_eq!(begun.elapsed(), PATIENCE);
        slow.took(Amount { events: 1, bytes: 1 });
        assert!(pace.is_kept());
        pace.publish(1001);
        assert!(!pace.is_kept());
        drop(slow);
        fast.took_all();
        assert!(pace.is_kept());
    }
}
