use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::Draining;
use crate::observe::CloseReason;

/// When a stream that does not end by itself must end: in its turn of a drain, or when its
/// lifetime is over.
#[derive(Debug)]
pub(super) struct Ending(Option<Box<Inner>>);

#[derive(Debug)]
struct Inner {
    draining: Option<Draining>,
    life: Option<Life>,
    /// The clock for what is left after the turn, once it is needed.
    deadline: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug)]
struct Life {
    sleep: Pin<Box<Sleep>>,
    end: Instant,
}

/// It is time to end: at the next block's end, and by `deadline` wherever the stream stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    pub(super) reason: CloseReason,
    deadline: Instant,
}

/// How much of a lifetime is left to chance, so that what was opened together ends apart.
const LIFE_JITTER: f64 = 0.2;

impl Ending {
    pub(super) fn new(draining: Option<Draining>, lifetime: Option<Duration>) -> Self {
        let life = lifetime.map(|lifetime| {
            let now = Instant::now();
            let share = LIFE_JITTER.mul_add(-fastrand::f64(), 1.0);
            let sleep = Box::pin(sleep_until(now + lifetime.mul_f64(share)));
            Life { sleep, end: now + lifetime }
        });
        // Most streams have neither, and need no memory for it.
        let is_set = draining.is_some() || life.is_some();
        Self(is_set.then(|| Box::new(Inner { draining, life, deadline: None })))
    }

    /// Whether it is time to end. Wakes the task when that changes.
    #[inline]
    pub(super) fn poll_due(&mut self, cx: &mut Context<'_>) -> Option<Due> {
        self.0.as_mut()?.poll_due(cx)
    }

    /// Ready when what is `due` cannot wait any longer.
    pub(super) fn poll_deadline(&mut self, due: Due, cx: &mut Context<'_>) -> Poll<()> {
        // What is due is so because of what there is.
        self.0.as_mut().map_or(Poll::Ready(()), |inner| inner.poll_deadline(due, cx))
    }
}

impl Inner {
    fn poll_due(&mut self, cx: &mut Context<'_>) -> Option<Due> {
        if let Some(draining) = &mut self.draining {
            if let Poll::Ready(deadline) = draining.poll_turn(cx) {
                let deadline = deadline.into();
                return Some(Due { reason: CloseReason::Drained, deadline });
            }
        }
        let life = self.life.as_mut()?;
        let is_over = life.sleep.as_mut().poll(cx).is_ready();
        is_over.then_some(Due { reason: CloseReason::LifetimeOver, deadline: life.end })
    }

    fn poll_deadline(&mut self, due: Due, cx: &mut Context<'_>) -> Poll<()> {
        let new = || Box::pin(sleep_until(due.deadline));
        let sleep = self.deadline.get_or_insert_with(new);
        if sleep.deadline() != due.deadline {
            sleep.as_mut().reset(due.deadline);
        }
        sleep.as_mut().poll(cx)
    }
}
