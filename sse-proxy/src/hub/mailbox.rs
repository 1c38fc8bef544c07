//! [`Mailbox`]: what a writer is told by others.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

use mio::Registry;
use tokio::time::Instant;

use super::asking::Asking;
use super::door::{Caller, Door};
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
}

/// Letters to a writer. There are never more than one per connection and two per feed waiting: a waker
/// is spent by its letter, and set again when that has been read.
pub(super) struct Mailbox {
    letters: Mutex<Vec<Letter>>,
    waker: mio::Waker,
    /// How busy the writer is, in thousandths of its time.
    load: AtomicU32,
}

impl Mailbox {
    pub(super) fn new(registry: &Registry) -> io::Result<Arc<Self>> {
        let waker = mio::Waker::new(registry, LETTERS)?;
        Ok(Arc::new(Self { letters: Mutex::default(), waker, load: AtomicU32::new(0) }))
    }

    pub(super) fn post(&self, letter: Letter) {
        let mut letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        letters.push(letter);
        if letters.len() == 1 {
            // Fails only where the writer is gone.
            let _ = self.waker.wake();
        }
    }

    pub(super) fn load(&self) -> u32 {
        self.load.load(Ordering::Relaxed)
    }

    pub(super) fn set_load(&self, load: u32) {
        self.load.store(load, Ordering::Relaxed);
    }

    /// Takes all letters, leaving `empty` in their place.
    pub(super) fn take(&self, empty: &mut Vec<Letter>) {
        let mut letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut *letters, empty);
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
