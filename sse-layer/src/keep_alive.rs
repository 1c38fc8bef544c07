//! [`KeepAlive`]: the comments that fill a stream's silence, and [`Silence`], the clock for them.

use std::borrow::Cow;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::Event;
use crate::jitter::jitter;

/// What is sent when a stream has nothing to say, so that nobody on the way takes it for dead.
///
/// By default an empty comment after 15 seconds of silence. Clients ignore comments. A stream
/// with traffic gets none: each event starts the wait anew. Each wait is up to 10 % longer or
/// shorter, so that streams that were opened together do not send together.
///
/// ```
/// use std::time::Duration;
/// use sse_layer::{KeepAlive, SseLayer};
///
/// let layer = SseLayer::new()
///     .keep_alive(KeepAlive::new().every(Duration::from_secs(9)).comment("still here"));
/// let silent = SseLayer::new().keep_alive(KeepAlive::off());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct KeepAlive {
    /// How long a silence may last; none if it may last for ever.
    every: Option<Duration>,
    /// A whole frame. Without its last byte, the blank line, it is comment lines alone.
    frame: Bytes,
}

/// The frame of an empty comment.
const EMPTY: &[u8] = b":\n\n";

impl KeepAlive {
    /// An empty comment after 15 seconds of silence.
    ///
    /// The standard's advice, and less than the shortest idle limits in common use on the way to
    /// a browser (30 and 60 seconds).
    pub const fn new() -> Self {
        Self { every: Some(Duration::from_secs(15)), frame: Bytes::from_static(EMPTY) }
    }

    /// No comments, however long the silence.
    pub const fn off() -> Self {
        Self { every: None, frame: Bytes::from_static(EMPTY) }
    }

    /// Sets how long a silence may last before a comment is sent: at least a millisecond and at
    /// most a day; what is outside is taken as the nearest of these.
    pub fn every(mut self, silence: Duration) -> Self {
        self.every = Some(silence.clamp(Duration::from_millis(1), Duration::from_secs(86_400)));
        self
    }

    /// Sets the comment's text. Each of its lines becomes a comment line.
    pub fn comment(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.frame = Event::new().comment(text).to_bytes();
        self
    }

    /// The clock for one stream, from now on; none if no comments are wanted.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with timers, if comments are wanted.
    pub(crate) fn silence(&self) -> Option<Silence> {
        self.every.map(Silence::new)
    }

    /// The comment as a block of its own.
    pub(crate) fn block(&self) -> Bytes {
        self.frame.clone()
    }

    /// The comment as lines within a block, which it must not end.
    pub(crate) fn lines(&self) -> Bytes {
        self.frame.slice(..self.frame.len().saturating_sub(1))
    }
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self::new()
    }
}

/// Tells when a stream has been silent for too long.
#[derive(Debug)]
pub(crate) struct Silence {
    every: Duration,
    /// How long this silence may last: `every` with jitter, drawn anew for each comment.
    limit: Duration,
    since: Instant,
    /// Whether there was no poll since then.
    is_new: bool,
    /// Is set to the end of the present silence only when it fires or is about to. So most events
    /// cost a look at the clock and no work on the timer. Apart, so that its memory is not touched.
    sleep: Pin<Box<Sleep>>,
    /// When it fires.
    alarm: Instant,
    /// What it wakes then.
    waker: Option<Waker>,
}

impl Silence {
    /// How much of the wait is left to chance, so that streams opened together do not go on
    /// sending together.
    const JITTER: f64 = 0.1;

    fn new(every: Duration) -> Self {
        let (since, limit) = (Instant::now(), jitter(every, Self::JITTER));
        let alarm = since + limit;
        let sleep = Box::pin(sleep_until(alarm));
        Self { every, limit, since, is_new: false, sleep, alarm, waker: None }
    }

    /// Something has been sent: a new silence begins.
    pub(crate) fn broken(&mut self) {
        self.since = Instant::now();
        self.is_new = true;
    }

    /// Ready when the silence has lasted too long; then a new one begins.
    pub(crate) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let wakes_us = self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if mem::take(&mut self.is_new) && wakes_us {
            let left = self.alarm.saturating_duration_since(self.since);
            // It has not fired before that, and when it does the task is woken for another poll.
            if left > self.limit / 2 {
                return Poll::Pending;
            }
            // Where events come often it so never fires: that would wake the task for nothing.
            self.set_alarm();
        } else if wakes_us && !self.sleep.is_elapsed() {
            return Poll::Pending;
        }
        self.waker = Some(cx.waker().clone());
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            let now = Instant::now();
            if self.since + self.limit <= now {
                self.since = now;
                self.limit = jitter(self.every, Self::JITTER);
                return Poll::Ready(());
            }
            self.set_alarm();
        }
    }

    /// Sets it to the end of the present silence.
    fn set_alarm(&mut self) {
        self.alarm = self.since + self.limit;
        self.sleep.as_mut().reset(self.alarm);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_can_neither_end_a_block_nor_open_a_field() {
        let keep_alive = KeepAlive::new().comment("a\r\n\r\ndata: x\n");
        assert_eq!(keep_alive.block(), ": a\n: \n: data: x\n: \n\n");
        assert_eq!(keep_alive.lines(), ": a\n: \n: data: x\n: \n");
    }

    #[test]
    fn any_wait_is_taken() {
        for every in [Duration::ZERO, Duration::MAX] {
            assert_ne!(KeepAlive::off().every(every), KeepAlive::off());
            assert!(KeepAlive::new().every(every).every.is_some_and(|e| e.as_secs() <= 86_400));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_wait_is_a_point_in_time() {
        assert!(KeepAlive::new().every(Duration::MAX).silence().is_some());
    }
}
