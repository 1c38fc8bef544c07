//! [`Mailbox`]: what a writer is told by others.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use mio::Registry;
use tokio::time::Instant;

use super::asking::Asking;
use super::door::{Caller, Door};
use super::line::Move;
use super::slot::Newcomer;
use super::token::LETTERS;

/// What a writer is told.
pub(super) enum Letter {
    /// There is one more reader.
    Adopt(Box<Newcomer>),
    /// There is one more address to listen on.
    Door(Box<Door>),
    /// Somebody has come in at another writer's door.
    Caller(Box<Caller>),
    /// The origin of somebody who has come in at another writer's door is to be asked.
    Ask(Box<(Caller, Box<Asking>)>),
    /// There may be somebody at the door with this number.
    Knock(usize),
    /// There is one more HTTP/2 connection to drive.
    Line(Move),
    /// There is something new for a group, or for a slot that reads for itself.
    Due(Key),
    /// The process is going: every stream ends at a moment of its own up to `last_turn`.
    Drain { last_turn: Instant },
    /// The process has gone.
    Stop,
}

/// What a waker is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Group(usize),
    Slot(usize),
    /// There is room in a slot's stream of HTTP/2, or it is closed.
    Stream(usize),
}

/// Letters to a writer. There are never more than one per connection, two per stream and two per feed
/// waiting: a waker is spent by its letter, and set again when that has been read.
pub(super) struct Mailbox {
    post: Mutex<Post>,
    waker: mio::Waker,
    /// How busy the writer is, in thousandths of its time.
    load: AtomicU32,
}

/// What has come for a writer.
#[derive(Default)]
struct Post {
    letters: Vec<Letter>,
    /// The HTTP/2 connections for which there is something to be done.
    lines: Vec<usize>,
    /// Whether the writer has to be woken for what comes.
    is_asleep: bool,
}

impl Mailbox {
    pub(super) fn new(registry: &Registry) -> io::Result<Arc<Self>> {
        let waker = mio::Waker::new(registry, LETTERS)?;
        Ok(Arc::new(Self { post: Mutex::default(), waker, load: AtomicU32::new(0) }))
    }

    pub(super) fn post(&self, letter: Letter) {
        self.put(|post| post.letters.push(letter));
    }

    /// Tells that there is something to be done for a connection.
    pub(super) fn post_line(&self, line: usize) {
        self.put(|post| post.lines.push(line));
    }

    fn put(&self, put: impl FnOnce(&mut Post)) {
        let mut post = self.lock();
        put(&mut post);
        if std::mem::take(&mut post.is_asleep) {
            drop(post);
            // Fails only where the writer is gone.
            let _ = self.waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Post> {
        self.post.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The writer is about to sleep. Returns whether it may, as there is nothing for it.
    pub(super) fn sleep(&self) -> bool {
        let mut post = self.lock();
        post.is_asleep = post.letters.is_empty() && post.lines.is_empty();
        post.is_asleep
    }

    pub(super) fn load(&self) -> u32 {
        self.load.load(Ordering::Relaxed)
    }

    pub(super) fn set_load(&self, load: u32) {
        self.load.store(load, Ordering::Relaxed);
    }

    /// Takes all letters, leaving `empty` in their place.
    pub(super) fn take(&self, empty: &mut Vec<Letter>) {
        let mut post = self.lock();
        post.is_asleep = false;
        std::mem::swap(&mut post.letters, empty);
    }

    /// The same for the connections for which there is something to be done.
    pub(super) fn take_lines(&self, empty: &mut Vec<usize>) {
        std::mem::swap(&mut self.lock().lines, empty);
    }

    /// A waker for a group's or a slot's reader.
    pub(super) fn waker(self: &Arc<Self>, key: Key) -> Waker {
        Arc::new(Alarm { mailbox: Arc::clone(self), key }).into()
    }
}

struct Alarm {
    mailbox: Arc<Mailbox>,
    key: Key,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.mailbox.post(Letter::Due(self.key));
    }
}
