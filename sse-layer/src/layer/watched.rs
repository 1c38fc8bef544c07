use std::fmt;

use tokio::time::Instant;

use super::count::Counter;
use super::request::Asked;
use crate::feed::Notices;
use crate::observe::{CloseReason, Closed, Observer, Opened};

/// Tells the observers of one stream what happens to it; at the latest when it is dropped, that
/// it is over. Without observers it costs nothing.
pub(super) struct Watched(Option<Box<Inner>>);

struct Inner {
    observers: Vec<Box<dyn Observer>>,
    /// None for bodies whose events cannot be seen.
    counter: Option<Counter>,
    /// What a response made of feeds has to tell beside its bytes.
    notices: Option<Notices>,
    asked: Instant,
    opened: Instant,
    /// The figures so far.
    closed: Closed,
}

impl Watched {
    pub(super) const NOBODY: Self = Self(None);

    /// Tells `observers` of a stream that begins with `opened`.
    pub(super) fn open(
        mut observers: Vec<Box<dyn Observer>>,
        asked: &Asked,
        opened: &Opened<'_>,
        is_readable: bool,
        notices: Option<Notices>,
    ) -> Self {
        for observer in &mut observers {
            observer.open(opened);
        }
        let closed = Closed {
            reason: CloseReason::ClientLeft,
            open_for: std::time::Duration::ZERO,
            first_event_after: None,
            events: 0,
            bytes: 0,
            keep_alives: 0,
        };
        let counter = is_readable.then(Counter::default);
        let (asked, opened) = (asked.at, Instant::now());
        Self(Some(Box::new(Inner { observers, counter, notices, asked, opened, closed })))
    }

    /// The handler's next bytes.
    #[inline]
    pub(super) fn sent(&mut self, bytes: &[u8]) {
        if let Some(inner) = &mut self.0 {
            inner.sent(bytes);
        }
    }

    /// Bytes of the layer's own.
    pub(super) fn added(&mut self, bytes: &[u8]) {
        if let Some(inner) = &mut self.0 {
            inner.closed.bytes += bytes.len() as u64;
        }
    }

    /// A comment in silence.
    pub(super) fn keep_alive(&mut self, bytes: &[u8]) {
        self.added(bytes);
        if let Some(inner) = &mut self.0 {
            inner.closed.keep_alives += 1;
            inner.observers.iter_mut().for_each(|observer| observer.keep_alive());
        }
    }

    /// The stream is over. Only the first reason counts.
    pub(super) fn close(&mut self, reason: CloseReason) {
        if let Some(mut inner) = self.0.take() {
            let has_lagged = inner.tell_notices();
            let reason = match reason {
                CloseReason::Ended if has_lagged => CloseReason::Lagged,
                _ => reason,
            };
            let closed = Closed { reason, open_for: inner.opened.elapsed(), ..inner.closed };
            inner.observers.into_iter().for_each(|mut observer| observer.close(&closed));
        }
    }
}

impl Inner {
    fn sent(&mut self, bytes: &[u8]) {
        let events = self.counter.as_mut().map_or(0, |counter| counter.count(bytes));
        self.closed.events += events;
        self.closed.bytes += bytes.len() as u64;
        let first =
            (events > 0 && self.closed.first_event_after.is_none()).then(|| self.asked.elapsed());
        self.closed.first_event_after = self.closed.first_event_after.or(first);
        for observer in &mut self.observers {
            if let Some(after) = first {
                observer.first_event(after);
            }
            observer.sent(events, bytes.len() as u64);
        }
        self.tell_notices();
    }

    /// Tells what a feed's stream has noted, and returns whether it has ended because of lag.
    fn tell_notices(&mut self) -> bool {
        let Some(notices) = &self.notices else { return false };
        let notice = notices.take();
        for observer in &mut self.observers {
            (0..notice.gaps).for_each(|_| observer.gap());
            notice.missed.into_iter().for_each(|missed| observer.lag(missed));
        }
        notice.has_ended
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let has_panicked = std::thread::panicking();
        self.close(if has_panicked { CloseReason::Failed } else { CloseReason::ClientLeft });
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watched").field(&self.0.as_ref().map(|inner| inner.closed)).finish()
    }
}
