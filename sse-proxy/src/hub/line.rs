//! [`Line`]: an HTTP/2 connection, which is driven by whoever writes its streams.
//!
//! What is written to a stream of HTTP/2 is sent by its connection. As long as that is a task of the
//! runtime, each event wakes one thread to frame it, and another to send it. So the connection goes
//! to a writer as soon as that has one of its streams: it is looked after when all that came at once
//! has been framed, and sends it together.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use tokio::runtime::Handle;
use tokio::sync::SetOnce;

use super::mailbox::{Letter, Mailbox};
use super::writer::Writer;

/// What has to be done for a connection, until it ends.
type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An HTTP/2 connection. Clones are the same.
#[derive(Clone)]
pub(crate) struct Line(Arc<Shared>);

struct Shared {
    /// The writer that drives it, or is about to.
    writer: SetOnce<Arc<Mailbox>>,
    runtime: Handle,
}

/// A connection on its way to a writer.
pub(super) struct Move {
    work: Work,
    runtime: Handle,
}

/// A connection that a writer drives.
pub(super) struct Driven {
    work: Work,
    runtime: Handle,
    due: Arc<Due>,
    waker: Waker,
}

/// Tells the writer that there is something to be done.
struct Due {
    mailbox: Arc<Mailbox>,
    number: usize,
    is_told: AtomicBool,
}

impl Line {
    pub(crate) fn new(runtime: Handle) -> Self {
        Self(Arc::new(Shared { writer: SetOnce::new(), runtime }))
    }

    /// Does the connection's `work` until it ends, or goes to a writer.
    pub(crate) async fn serve(self, work: impl Future<Output = ()> + Send + 'static) {
        let mut work: Work = Box::pin(work);
        tokio::select! {
            biased;
            writer = self.0.writer.wait() => {
                let runtime = self.0.runtime.clone();
                writer.post(Letter::Line(Move { work, runtime }));
            }
            () = &mut work => {}
        }
    }

    /// Where tasks can be spawned that the connection needs.
    pub(super) fn runtime(&self) -> &Handle {
        &self.0.runtime
    }

    /// The writer that drives it, which is the `next` if none does yet.
    pub(super) fn writer<'w>(
        &'w self,
        next: impl FnOnce() -> Option<&'w Arc<Mailbox>>,
    ) -> Option<&'w Arc<Mailbox>> {
        if self.0.writer.get().is_none() {
            // Fails where another has just done the same.
            let _ = self.0.writer.set(Arc::clone(next()?));
        }
        self.0.writer.get()
    }
}

impl Wake for Due {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_told.swap(true, Ordering::AcqRel) {
            self.mailbox.post_line(self.number);
        }
    }
}

impl Writer {
    /// Begins to drive a connection.
    pub(super) fn drive(&mut self, Move { work, runtime }: Move) {
        let place = self.lines.vacant_entry();
        let (mailbox, number) = (Arc::clone(&self.mailbox), place.key());
        let due = Arc::new(Due { mailbox, number, is_told: AtomicBool::new(false) });
        let waker = Waker::from(Arc::clone(&due));
        place.insert(Driven { work, runtime, due, waker });
        self.mailbox.post_line(number);
    }

    /// Does for each connection what there is to be done.
    pub(super) fn run_lines(&mut self) {
        let mut due = std::mem::take(&mut self.due_lines);
        self.mailbox.take_lines(&mut due);
        for number in due.drain(..) {
            let Some(line) = self.lines.get_mut(number) else { continue };
            // Sees what was done by whoever found it told already.
            line.due.is_told.swap(false, Ordering::AcqRel);
            // A panic is a bug, but none of the other connections'.
            let ended = catch_unwind(AssertUnwindSafe(|| line.run()));
            if ended.unwrap_or(true) {
                self.lines.remove(number);
            }
        }
        self.due_lines = due;
    }
}

impl Driven {
    /// Returns whether the connection has ended.
    fn run(&mut self) -> bool {
        let _entered = self.runtime.enter();
        self.work.as_mut().poll(&mut Context::from_waker(&self.waker)).is_ready()
    }
}
