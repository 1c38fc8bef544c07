//! [`Http2`]: a reader's stream on an HTTP/2 connection, without a task around it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::{Buf, Bytes};

use super::line::Line;
use super::mailbox::{Key, Letter, Mailbox};
use crate::http2;

/// A reader's stream on an HTTP/2 connection.
pub(crate) struct Http2 {
    /// Until it ends.
    stream: Option<http2::Http2>,
    line: Line,
    /// Once a writer has it.
    bell: Option<(Arc<Bell>, Waker)>,
}

/// Tells the writer that there is room again, or that the reader is gone.
struct Bell {
    mailbox: Arc<Mailbox>,
    slot: usize,
    /// Whether the writer looks by itself.
    is_muted: AtomicBool,
    has_rung: AtomicBool,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let had_rung = self.has_rung.swap(true, Ordering::AcqRel);
        if !had_rung && !self.is_muted.load(Ordering::Acquire) {
            self.mailbox.post(Letter::Due(Key::Stream(self.slot)));
        }
    }
}

impl Http2 {
    pub(crate) fn new(stream: http2::Http2, line: Line) -> Self {
        Self { stream: Some(stream), line, bell: None }
    }

    /// The connection that it is a stream of.
    pub(super) const fn line(&self) -> &Line {
        &self.line
    }

    /// Has the writer told what happens to it, which writes it as this slot.
    pub(super) fn register(&mut self, mailbox: &Arc<Mailbox>, slot: usize) -> io::Result<()> {
        let (is_muted, has_rung) = (AtomicBool::new(false), AtomicBool::new(false));
        let bell = Arc::new(Bell { mailbox: Arc::clone(mailbox), slot, is_muted, has_rung });
        let waker = Waker::from(Arc::clone(&bell));
        self.bell = Some((bell, waker));
        self.listen()
    }

    /// Goes on listening after the bell has rung. An error if the reader is gone.
    pub(super) fn listen(&mut self) -> io::Result<()> {
        let (Some((bell, waker)), Some(stream)) = (&self.bell, &mut self.stream) else {
            return Err(gone());
        };
        bell.has_rung.store(false, Ordering::Release);
        match guarded(|| stream.poll_closed(&mut Context::from_waker(waker)))? {
            Poll::Ready(()) => Err(gone()),
            Poll::Pending => Ok(()),
        }
    }

    /// Writes from the beginning of `bytes` what there is room for, and takes it away. Returns
    /// whether all has been written.
    pub(super) fn write(&mut self, bytes: &mut impl Buf) -> io::Result<bool> {
        loop {
            let (Some((bell, waker)), Some(stream)) = (&self.bell, &mut self.stream) else {
                return Err(gone());
            };
            // Asking for room rings where there is some, and ends the listening.
            bell.is_muted.store(true, Ordering::Release);
            let written = guarded(|| stream.poll_write(&mut Context::from_waker(waker), bytes));
            bell.is_muted.store(false, Ordering::Release);
            let has_rung = bell.has_rung.swap(false, Ordering::AcqRel);
            match written? {
                Poll::Ready(Err(_)) => return Err(gone()),
                Poll::Ready(Ok(())) if has_rung => return self.listen().map(|()| true),
                Poll::Ready(Ok(())) => return Ok(true),
                Poll::Pending if !has_rung => return Ok(false),
                Poll::Pending => {}
            }
        }
    }

    /// Ends the response in good order, with a `last` piece.
    pub(super) fn finish(mut self, last: Bytes) {
        if let Some(mut stream) = self.stream.take() {
            // The client may be gone by now, which is no news.
            let _ = guarded(move || stream.finish(last));
        }
    }

    /// Ends the response so that the client sees that something is missing, but gets what came
    /// before that.
    pub(super) fn break_off(mut self) {
        if let Some(stream) = self.stream.take() {
            self.line.runtime().spawn(stream.break_off());
        }
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            let _ = guarded(move || drop(stream));
        }
    }
}

/// Does something with a stream. Where the code of a connection has panicked, its lock is poisoned,
/// and so does whatever is done with its streams: that ends them, and not all that the writer has.
fn guarded<T>(work: impl FnOnce() -> T) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| gone())
}

fn gone() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}
