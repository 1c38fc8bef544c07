//! Ending all streams before the process goes: spread over a window, so that clients do not all
//! come back in the same instant.
//!
//! The layer's `Drain` does the same for tasks, each of which has its turn drawn and told, and who
//! joins late ends at once. Here most streams are the hub's, which draws their turns itself and has
//! to know no more than the last; so a reader keeps a few words for the drain, and takes no lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// The time between the ends of two streams, where the window is long enough for that: so few at
/// once are no stampede, and a few streams need not take the whole window.
const PACE: Duration = Duration::from_millis(50);

/// Starts the drain, and knows when it is done. Clones are the same.
#[derive(Clone)]
pub(crate) struct Drain(Arc<Shared>);

struct Shared {
    /// The end of the window, once there is one.
    window: watch::Sender<Option<Instant>>,
    active: AtomicUsize,
    none_active: Notify,
}

impl Drain {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared {
            window: watch::Sender::new(None),
            active: AtomicUsize::new(0),
            none_active: Notify::new(),
        }))
    }

    /// Something that the process should not go without having ended.
    pub(crate) fn join(&self) -> Draining {
        self.0.active.fetch_add(1, Ordering::Relaxed);
        Draining { window: self.0.window.subscribe(), turn: None, drain: self.clone() }
    }

    /// Resolves when the drain begins.
    pub(crate) async fn begun(&self) {
        self.last_turn().await;
    }

    /// Resolves when the drain begins, with the moment by which the last stream is to end.
    pub(crate) async fn last_turn(&self) -> Instant {
        let mut window = self.0.window.subscribe();
        // The sender lives as long as we do.
        let window = window.wait_for(Option::is_some).await.ok().and_then(|window| *window);
        window.unwrap_or_else(Instant::now)
    }

    /// Whether the drain has begun.
    pub(crate) fn has_begun(&self) -> bool {
        self.0.window.borrow().is_some()
    }

    /// Begins the drain, and returns when everything has ended or the window is over.
    pub(crate) async fn run(&self, window: Duration) {
        let active = u32::try_from(self.0.active.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
        let now = Instant::now();
        let end = now + window;
        let spread = PACE.checked_mul(active).map_or(window, |spread| spread.min(window / 2));
        self.0.window.send_replace(Some(now + spread));
        let done = async {
            loop {
                let notified = self.0.none_active.notified();
                if self.0.active.load(Ordering::Acquire) == 0 {
                    return;
                }
                notified.await;
            }
        };
        let _ = tokio::time::timeout_at(end, done).await;
    }
}

/// One participant of the drain: counted while it lives.
pub(crate) struct Draining {
    window: watch::Receiver<Option<Instant>>,
    /// When this one's turn is, drawn once.
    turn: Option<Instant>,
    drain: Drain,
}

impl Draining {
    /// Resolves when it is this one's turn to end.
    ///
    /// Cancel safe.
    pub(crate) async fn turn(&mut self) {
        if self.turn.is_none() {
            let Ok(window) = self.window.wait_for(Option::is_some).await else { return };
            let now = Instant::now();
            let left = window.map_or(Duration::ZERO, |end| end.saturating_duration_since(now));
            self.turn = Some(now + left.mul_f64(fastrand::f64()));
        }
        if let Some(turn) = self.turn {
            tokio::time::sleep_until(turn).await;
        }
    }
}

impl Drop for Draining {
    fn drop(&mut self) {
        if self.drain.0.active.fetch_sub(1, Ordering::Release) == 1 {
            self.drain.0.none_active.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn participants_end_one_after_the_other_within_the_window() {
        let drain = Drain::new();
        let begun = Instant::now();
        let tasks: Vec<_> = (0..1000)
            .map(|_| {
                let mut one = drain.join();
                tokio::spawn(async move {
                    one.turn().await;
                    begun.elapsed()
                })
            })
            .collect();
        drain.run(Duration::from_secs(30)).await;
        assert!(begun.elapsed() <= Duration::from_millis(15_001), "{:?}", begun.elapsed());
        let mut ends = Vec::new();
        for task in tasks {
            ends.push(task.await.unwrap());
        }
        let early = ends.iter().filter(|end| **end < Duration::from_millis(7500)).count();
        assert!((300..700).contains(&early), "{early} of 1000 in the first half");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_does_not_end_is_waited_for_no_longer_than_the_window() {
        let drain = Drain::new();
        let _held = drain.join();
        let begun = Instant::now();
        drain.run(Duration::from_secs(5)).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
    }
}
