//! [`Hub`]: writes the streams of readers, of shared feeds and of private ones.
//!
//! A task per reader would be woken for each event, look at the feed, and find there what all the
//! others find. So a few threads, one for each core, own the readers' sockets instead:
//!
//! ```text
//! feed --> Group (one Reader for all who have everything) --> one framed batch --> Slot, Slot, ...
//!     \--> Slot with a Reader of its own, until it has everything too
//! ```
//!
//! A [`Group`](group::Group) reads a feed once on behalf of all its members, and writes the same
//! bytes to each. A [`Slot`](slot::Slot) that comes back with a last id, or whose socket does not
//! take a batch whole, reads on by itself from just where it stands, and joins the group (again)
//! when there is nothing more for it and for the group.
//!
//! A private stream is a slot with a [`Private`] side: the socket of an origin of its own, which is
//! read from whenever the client's takes what has come. Between two events there is no buffer for it.
//!
//! Connections without TLS begin here, as callers at a `door`: who wants a feed that is open is
//! answered and becomes a slot at once, without a task, and so does who wants a stream of its own,
//! where `asking` for that takes no more than a socket.
//!
//! A slot of HTTP/2 is one of the streams of a [`Line`], its connection, which the same thread drives:
//! it sends in one go what was written to any of them at once.
//!
//! Nothing is queued for a reader but the batch that its socket did not take; how far it may fall
//! behind is the feed's bound on lag.

mod alarms;
mod asking;
mod balance;
mod batch;
mod clock;
mod deliver;
mod door;
mod group;
mod http2;
mod io;
mod line;
mod mailbox;
mod members;
mod pass;
mod private;
mod slot;
mod timers;
mod token;
mod upstream;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) use self::batch::Batch;
use self::door::Door;
pub(crate) use self::door::{Begun, Porter, Reply};
pub(crate) use self::http2::Http2;
pub(crate) use self::io::Io;
pub(crate) use self::line::Line;
use self::mailbox::{Letter, Mailbox};
pub(crate) use self::private::Private;
pub(crate) use self::slot::{Newcomer, Supply};
use self::writer::Writer;
use crate::drain::Drain;
use crate::start::StartError;

/// Writes the streams of many readers. Clones are the same; the threads end with the last one.
#[derive(Clone)]
pub(crate) struct Hub(Arc<Shared>);

struct Shared {
    writers: Vec<Arc<Mailbox>>,
    /// Whose turn it is to get a door, or a reader of a feed.
    next: AtomicUsize,
}

impl Hub {
    /// Starts `threads` writers.
    pub(crate) fn start(threads: usize) -> Result<Self, StartError> {
        let failed = |error| StartError::new("no writer thread can be started", &error);
        let made = (0..threads.max(1)).map(|_| Writer::new()).collect::<std::io::Result<Vec<_>>>();
        let made = made.map_err(failed)?;
        let writers: Vec<_> = made.iter().map(|(_, mailbox)| Arc::clone(mailbox)).collect();
        for (number, (writer, _)) in made.into_iter().enumerate() {
            let writer = writer.among(writers.clone());
            let thread = std::thread::Builder::new().name(format!("writer-{number}"));
            thread.spawn(move || writer.run()).map_err(failed)?;
        }
        Ok(Self(Arc::new(Shared { writers, next: AtomicUsize::new(0) })))
    }

    /// Listens, and leaves to `porter` what becomes of those who come.
    pub(crate) fn listen(&self, socket: std::net::TcpListener, porter: Arc<dyn Porter>) {
        if let Some(writer) = self.next() {
            writer.post(Letter::Door(Box::new(Door::new(socket, porter))));
        }
    }

    /// Takes a reader's stream over.
    pub(crate) fn adopt(&self, newcomer: Newcomer) {
        let writers = &self.0.writers;
        let writer = match (newcomer.io.line(), &newcomer.from) {
            (Some(line), _) => line.writer(|| self.next()),
            (None, Supply::Origin(_)) => balance::with_time(writers),
            (None, Supply::Feed { .. }) => self.next(),
        };
        if let Some(writer) = writer.map(Arc::clone) {
            writer.post(Letter::Adopt(Box::new(newcomer)));
        }
    }

    /// Ends the threads, and all that they have. A door holds the hub, which so does not end by
    /// itself.
    pub(crate) fn stop(&self) {
        self.0.stop();
    }

    /// The writer whose turn it is.
    fn next(&self) -> Option<&Arc<Mailbox>> {
        let writers = &self.0.writers;
        writers.get(self.0.next.fetch_add(1, Ordering::Relaxed) % writers.len())
    }

    /// Has the streams end when a drain begins, each at its turn.
    pub(crate) async fn end_with(self, drain: Drain) {
        let last_turn = drain.last_turn().await;
        for writer in &self.0.writers {
            writer.post(Letter::Drain { last_turn });
        }
    }
}

impl Shared {
    fn stop(&self) {
        for writer in &self.writers {
            writer.post(Letter::Stop);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop();
    }
}
