//! [`KeepAlive`]: the comments that fill a stream's silence, and [`Silence`], the clock for them.

use std::borrow::Cow;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use pin_project_lite::pin_project;
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

pin_project! {
    /// Tells when a stream has been silent for too long.
    #[derive(Debug)]
    pub(crate) struct Silence {
        every: Duration,
        // How long this silence may last: `every` with jitter, drawn anew for each comment.
        limit: Duration,
        since: Instant,
        // Whether there was no poll since then.
        is_new: bool,
        // Is set to the end of the present silence only when it fires or is about to. So most
        // events cost a look at the clock and no work on the timer.
        #[pin]
        sleep: Sleep,
        // What it wakes when it fires.
        waker: Option<Waker>,
    }
}

impl Silence {
    /// How much of the wait is left to chance, so that streams opened together do not go on
    /// sending together.
    const JITTER: f64 = 0.1;

    fn new(every: Duration) -> Self {
        let (since, limit) = (Instant::now(), jitter(every, Self::JITTER));
        Self { every, limit, since, is_new: false, sleep: sleep_until(since + limit), waker: None }
    }

    /// Something has been sent: a new silence begins.
    #[inline]
    pub(crate) fn broken(self: Pin<&mut Self>) {
        let this = self.project();
        *this.since = Instant::now();
        *this.is_new = true;
    }

    /// Ready when the silence has lasted too long; then a new one begins.
    #[inline]
    pub(crate) fn poll_over(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.as_mut().project();
        let wakes_us = this.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if mem::take(this.is_new) && wakes_us {
            let left = this.sleep.deadline().saturating_duration_since(*this.since);
            // It has not fired before that, and when it does the task is woken for another poll.
            if left > *this.limit / 2 {
                return Poll::Pending;
            }
            // Where events come often it so never fires: that would wake the task for nothing.
            this.sleep.as_mut().reset(*this.since + *this.limit);
        } else if wakes_us && !this.sleep.is_elapsed() {
            return Poll::Pending;
        }
        self.poll_sleep(cx)
    }

    fn poll_sleep(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        *this.waker = Some(cx.waker().clone());
        loop {
            ready!(this.sleep.as_mut().poll(cx));
            let (now, end) = (Instant::now(), *this.since + *this.limit);
            if end <= now {
                *this.since = now;
                *this.limit = jitter(*this.every, Self::JITTER);
                return Poll::Ready(());
            }
            this.sleep.as_mut().reset(end);
        }
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
