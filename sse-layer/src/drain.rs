//! [`Drain`]: ending all streams before the process goes.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use slab::Slab;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::instant::StdInstant;

/// Ends all streams, spread over a window, so that clients do not all come back in one instant.
///
/// Servers wait at shutdown until every response is complete, and an event stream never is. So
/// give a drain to the [layer](crate::SseLayer::drain), and [start](Self::start) it when the
/// server is to stop. Each stream then ends at a random moment of the window, between two events,
/// with a last `retry:`; one that is opened later ends at once, in the same way.
///
/// Clones are handles to the same drain. It cannot be taken back.
///
#[cfg_attr(feature = "axum", doc = "```no_run")]
#[cfg_attr(not(feature = "axum"), doc = "```ignore")]
/// use std::time::Duration;
/// use sse_layer::{Drain, SseLayer};
///
/// # async fn serve(app: axum::Router) -> std::io::Result<()> {
/// let drain = Drain::new();
/// let app = app.layer(SseLayer::new().drain(drain.clone()));
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
/// axum::serve(listener, app)
///     .with_graceful_shutdown(async move {
///         tokio::signal::ctrl_c().await.ok();
///         drain.start(Duration::from_secs(10));
///     })
///     .await
/// # }
/// ```
///
/// A client that does not read keeps its stream, since nothing can be sent to it: put a limit
/// around the wait for the server, or for [`finished`](Self::finished).
#[derive(Clone, Default)]
#[must_use]
pub struct Drain(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// How often the window was set. Lets streams see, without a lock, that nothing has changed.
    starts: AtomicUsize,
    state: Mutex<State>,
    none_active: Notify,
}

#[derive(Default)]
struct State {
    window: Option<Window>,
    active: usize,
    waiting: Slab<Waker>,
}

#[derive(Clone, Copy)]
struct Window {
    start: Instant,
    length: Duration,
}

impl Window {
    /// What is longer than this is taken as this, so that its end is a point in time.
    const MAX: Duration = Duration::from_secs(365 * 86_400);

    fn end(self) -> Instant {
        self.start + self.length
    }
}

impl Drain {
    /// One that has not begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins the drain: every stream ends within `window`, at a moment drawn at random.
    ///
    /// Called again, it brings the end forward, but never puts it off.
    pub fn start(&self, window: Duration) {
        let window = Window { start: Instant::now(), length: window.min(Window::MAX) };
        let mut state = self.0.state();
        if state.window.is_some_and(|old| old.end() <= window.end()) {
            return;
        }
        state.window = Some(window);
        self.0.starts.fetch_add(1, Ordering::Release);
        let waiting: Vec<Waker> = state.waiting.iter().map(|(_, waker)| waker.clone()).collect();
        let is_done = state.active == 0;
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
        if is_done {
            self.0.none_active.notify_waiters();
        }
    }

    /// Whether the drain has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.0.starts.load(Ordering::Acquire) > 0
    }

    /// How many streams there are.
    #[must_use]
    pub fn active(&self) -> usize {
        self.0.state().active
    }

    /// Resolves when the drain has begun and no stream is left.
    ///
    /// A stream has left when the server has dropped its body. Its last bytes may then still be
    /// on their way to the socket, so wait for the server as well.
    pub async fn finished(&self) {
        loop {
            let mut notified = std::pin::pin!(self.0.none_active.notified());
            notified.as_mut().enable();
            if self.has_begun() && self.active() == 0 {
                return;
            }
            notified.await;
        }
    }

    /// Something that takes part in the drain, such as a stream; the layer does this for its own.
    pub fn join(&self) -> Draining {
        let mut state = self.0.state();
        state.active += 1;
        let late = state.window.map(|_| Instant::now());
        drop(state);
        Draining {
            drain: self.clone(),
            share: fastrand::f64(),
            late,
            seen: 0,
            turn: None,
            waker: None,
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is complete before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One participant of a [`Drain`], which counts as active while this lives.
#[must_use]
pub struct Draining {
    drain: Drain,
    /// How much of the window goes before its turn, from 0 to 1.
    share: f64,
    /// When it joined, if the drain had begun by then.
    late: Option<Instant>,
    /// The value of `starts` that `turn` was made for.
    seen: usize,
    turn: Option<Turn>,
    /// What is registered with the drain, and where.
    waker: Option<(usize, Waker)>,
}

struct Turn {
    sleep: Pin<Box<Sleep>>,
    end: Instant,
}

impl Draining {
    /// Resolves when it is this one's turn to end, and tells by when it must have ended.
    ///
    /// Cancel safe; needs a tokio runtime with timers.
    pub async fn turn(&mut self) -> StdInstant {
        std::future::poll_fn(|cx| self.poll_turn(cx)).await
    }

    /// As [`turn`](Self::turn), for use in a `poll` function.
    ///
    /// # Panics
    ///
    /// When the drain has begun, outside of a tokio runtime with timers.
    pub fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<StdInstant> {
        if let Some(joined) = self.late {
            return Poll::Ready(joined.into_std());
        }
        self.register(cx.waker());
        let starts = self.drain.0.starts.load(Ordering::Acquire);
        if starts != self.seen {
            self.seen = starts;
            self.turn = self.drain.0.state().window.map(|window| Turn {
                sleep: Box::pin(sleep_until(window.start + window.length.mul_f64(self.share))),
                end: window.end(),
            });
        }
        let Some(turn) = &mut self.turn else { return Poll::Pending };
        ready!(turn.sleep.as_mut().poll(cx));
        Poll::Ready(turn.end.into_std())
    }

    fn register(&mut self, waker: &Waker) {
        if self.waker.as_ref().is_some_and(|(_, old)| old.will_wake(waker)) {
            return;
        }
        let mut state = self.drain.0.state();
        let mine = self.waker.take();
        let known = mine.as_ref().and_then(|(key, _)| Some((*key, state.waiting.get_mut(*key)?)));
        let (key, old) = match known {
            Some((key, slot)) => (key, Some(std::mem::replace(slot, waker.clone()))),
            None => (state.waiting.insert(waker.clone()), None),
        };
        drop(state);
        drop((old, mine)); // may run a task's drop code, which must not meet the lock
        self.waker = Some((key, waker.clone()));
    }
}

impl Drop for Draining {
    fn drop(&mut self) {
        let mut state = self.drain.0.state();
        state.active -= 1;
        let waker = self.waker.take().and_then(|(key, _)| state.waiting.try_remove(key));
        let is_last = state.active == 0;
        drop(state);
        drop(waker); // may run a task's drop code, which must not meet the lock
        if is_last {
            self.drain.0.none_active.notify_waiters();
        }
    }
}

impl fmt::Debug for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain")
            .field("has_begun", &self.has_begun())
            .field("active", &self.active())
            .finish()
    }
}

impl fmt::Debug for Draining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draining").field("share", &self.share).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[tokio::test(start_paused = true)]
    async fn participants_end_one_after_the_other_within_the_window() {
        let drain = Drain::new();
        let start = Instant::now();
        let tasks: Vec<_> = (0..1000)
            .map(|_| {
                let mut one = drain.join();
                tokio::spawn(async move {
                    let end = one.turn().await;
                    assert_eq!(end - start.into_std(), secs(40));
                    start.elapsed()
                })
            })
            .collect();
        tokio::time::sleep(secs(10)).await;
        assert!(tasks.iter().all(|task| !task.is_finished()));
        drain.start(secs(30));
        drain.finished().await;
        assert!(start.elapsed() <= secs(41), "{:?}", start.elapsed());

        let mut per_third = [0; 3];
        for task in tasks {
            let third = (task.await.unwrap() - secs(10)).as_secs() / 10;
            per_third[usize::try_from(third).unwrap().min(2)] += 1;
        }
        assert!(per_third.iter().all(|n| (250..420).contains(n)), "{per_third:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_finished_when_the_last_has_left_and_not_before_it_has_begun() {
        let drain = Drain::new();
        assert!(timeout(secs(1), drain.finished()).await.is_err(), "has not begun");
        let held = drain.join();
        assert_eq!(drain.active(), 1);
        drain.start(secs(1));
        assert!(timeout(secs(100), drain.finished()).await.is_err(), "one is left");
        drop(held);
        timeout(secs(1), drain.finished()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_waits_for_the_finish_sees_a_start_without_streams() {
        let drain = Drain::new();
        let waiting = tokio::spawn({
            let drain = drain.clone();
            async move { drain.finished().await }
        });
        tokio::task::yield_now().await;
        drain.start(secs(1));
        timeout(secs(1), waiting).await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_joins_late_ends_at_once() {
        let drain = Drain::new();
        drain.start(secs(1000));
        let start = Instant::now();
        drain.join().turn().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_start_brings_the_end_forward_and_never_puts_it_off() {
        let drain = Drain::new();
        let mut one = drain.join();
        one.share = 0.5;
        let task = tokio::spawn(async move { one.turn().await });
        tokio::task::yield_now().await;
        let start = Instant::now();
        drain.start(secs(1000));
        tokio::task::yield_now().await;
        drain.start(Duration::MAX);
        drain.start(secs(10));
        assert_eq!(task.await.unwrap() - start.into_std(), secs(10));
        assert!((5..=6).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_moves_to_another_task_is_still_told() {
        let drain = Drain::new();
        let mut one = drain.join();
        assert!(timeout(secs(1), one.turn()).await.is_err());
        let task = tokio::spawn(async move { one.turn().await });
        tokio::task::yield_now().await;
        drain.start(Duration::ZERO);
        timeout(secs(1), task).await.unwrap().unwrap();
        assert_eq!(drain.0.state().waiting.len(), 0);
    }
}
