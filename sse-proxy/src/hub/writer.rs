//! [`Writer`]: a thread that writes the streams of many readers.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use mio::event::Event;
use mio::{Events, Poll as Selector};
use slab::Slab;
use sse_layer::feed::Feed;
use tokio::time::Instant;

use super::balance::Load;
use super::clock::Clock;
use super::door::{Door, Waiting};
use super::group::Group;
use super::io::Presence;
use super::line::Driven;
use super::mailbox::{Key, Letter, Mailbox};
use super::slot::{Alone, Newcomer, Place, Slot, Supply};
use super::timers::{Moment, Timers};
use super::token::{Whose, of_token};
use crate::config::Route;
use crate::pace::Pace;
use crate::stream::End;
use crate::visit::Visit;

/// How many events of sockets are looked at in one go.
const EVENTS: usize = 1024;

/// How much is read at once from a private stream's origin.
const ROOM: usize = 64 << 10;

/// A thread that writes the streams of many readers. What it does for those of feeds is in
/// `deliver`, for private ones in `pass`, for who comes in in `door` and `asking`, and when it is
/// time in `alarms`.
pub(super) struct Writer {
    pub(super) selector: Selector,
    pub(super) mailbox: Arc<Mailbox>,
    /// Those of all writers, its own among them.
    pub(super) writers: Vec<Arc<Mailbox>>,
    load: Load,
    pub(super) slots: Slab<Slot>,
    pub(super) groups: Slab<Group>,
    group_of: HashMap<Feed, usize>,
    /// The groups that have something to write.
    pub(super) queue: VecDeque<usize>,
    /// The slots whose own origins have more to read.
    pub(super) unread: VecDeque<usize>,
    /// The connections of HTTP/2, and those for which there is something to be done.
    pub(super) lines: Slab<Driven>,
    pub(super) due_lines: Vec<usize>,
    pub(super) doors: Vec<Door>,
    pub(super) callers: Slab<Waiting>,
    /// The callers that have said something, and those whose origins have.
    pub(super) calling: VecDeque<Whose>,
    /// Whose turn it is to get a caller.
    pub(super) turn: usize,
    /// Where what comes from origins is read to, and what goes to their clients is framed.
    pub(super) room: Box<[u8]>,
    pub(super) framed: BytesMut,
    pub(super) timers: Timers,
    clock: Clock,
    /// When it was woken last.
    pub(super) woken: Instant,
    pub(super) now: Moment,
    /// How many slots and requests of callers there ever were, as far as it fits.
    born: u32,
    /// When the last stream ends, once there is a drain.
    pub(super) last_turn: Option<Instant>,
}

impl Writer {
    pub(super) fn new() -> io::Result<(Self, Arc<Mailbox>)> {
        let selector = Selector::new()?;
        let mailbox = Mailbox::new(selector.registry())?;
        let clock = Clock::new(selector.registry())?;
        let writer = Self {
            selector,
            mailbox: Arc::clone(&mailbox),
            writers: Vec::new(),
            load: Load::new(),
            slots: Slab::new(),
            groups: Slab::new(),
            group_of: HashMap::new(),
            queue: VecDeque::new(),
            unread: VecDeque::new(),
            lines: Slab::new(),
            due_lines: Vec::new(),
            doors: Vec::new(),
            callers: Slab::new(),
            calling: VecDeque::new(),
            turn: 0,
            room: vec![0; ROOM].into(),
            framed: BytesMut::new(),
            timers: Timers::new(),
            clock,
            woken: Instant::now(),
            now: 0,
            born: 0,
            last_turn: None,
        };
        Ok((writer, mailbox))
    }

    /// The same, among others that it can hand streams over to.
    pub(super) fn among(self, writers: Vec<Arc<Mailbox>>) -> Self {
        Self { writers, ..self }
    }

    /// Runs until it is told to stop.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        let mut letters = Vec::new();
        loop {
            let is_idle = self.is_idle();
            let before = Instant::now();
            let wait = if is_idle && self.mailbox.sleep() {
                let now = self.timers.at(before);
                self.clock.set(self.nap(self.timers.first(), now), now)
            } else {
                Ok(Some(Duration::ZERO))
            };
            if let Err(error) = wait.and_then(|wait| self.selector.poll(&mut events, wait))
                && error.kind() != io::ErrorKind::Interrupted
            {
                return tracing::error!(%error, "a writer thread cannot go on");
            }
            // First of all, so that nobody wakes it who is awake.
            self.mailbox.take(&mut letters);
            self.woken = Instant::now();
            self.now = self.timers.at(self.woken);
            events.iter().for_each(|event| self.notice(event));
            for letter in letters.drain(..) {
                if self.read(letter).is_break() {
                    return;
                }
            }
            // A part of each group at a time: the many readers of one feed do not hold up others.
            for _ in 0..self.queue.len() {
                if let Some(group) = self.queue.pop_front() {
                    self.run_group(group);
                }
            }
            for _ in 0..self.unread.len() {
                if let Some(slot) = self.unread.pop_front() {
                    self.pass(slot);
                }
            }
            self.answer();
            self.accept();
            while let Some(alarm) = self.timers.next(self.now) {
                self.ring(alarm);
            }
            self.run_lines();
            if let Some(load) = self.load.slept(before, self.woken) {
                self.tell_load(load);
            }
        }
    }

    /// Something has happened to a socket.
    fn notice(&mut self, event: &Event) {
        match of_token(event.token()) {
            Some(Whose::Client(slot)) => {
                self.look(slot, event.is_readable(), event.is_writable());
            }
            Some(Whose::Origin(slot)) => {
                self.hear(slot, event.is_read_closed() || event.is_error());
            }
            Some(whose @ (Whose::Caller(_) | Whose::Asked(_))) => self.calling.push_back(whose),
            Some(Whose::Door(door)) => self.knock(door),
            None => {}
        }
    }

    /// Does what it is told. Breaks when it is told to stop.
    fn read(&mut self, letter: Letter) -> ControlFlow<()> {
        match letter {
            Letter::Adopt(newcomer) => self.adopt(*newcomer, false),
            Letter::Door(door) => self.open_door(*door),
            Letter::Caller(caller) => self.welcome(*caller),
            Letter::Ask(letter) => {
                let (caller, asking) = *letter;
                self.ask_for(caller, asking);
            }
            Letter::Knock(door) => self.knock(door),
            Letter::Due(Key::Group(group)) => self.enqueue(group),
            Letter::Due(Key::Slot(slot)) => self.more_for(slot),
            Letter::Due(Key::Stream(slot)) => self.look(slot, true, true),
            Letter::Line(line) => self.drive(line),
            Letter::Drain { last_turn } => self.drain(last_turn),
            Letter::Stop => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    /// Something has happened to a slot's socket.
    fn look(&mut self, slot: usize, is_readable: bool, is_writable: bool) {
        let gone = is_readable
            && self.slots.get_mut(slot).is_some_and(|slot| slot.io.look() == Presence::Gone);
        if gone {
            self.end(slot, End::Left);
        } else if is_writable {
            self.write_rest(slot);
        }
    }

    /// Whether there is nothing to do but what it will be told of.
    fn is_idle(&self) -> bool {
        let is_quiet = self.queue.is_empty() && self.unread.is_empty();
        is_quiet && self.calling.is_empty() && !self.doors.iter().any(|door| door.is_open)
    }

    /// Makes a newcomer a slot. `is_watched`: it was a caller, whose sockets are known.
    pub(super) fn adopt(&mut self, newcomer: Newcomer, is_watched: bool) {
        let Newcomer { mut io, framing, from, route, seat, visit } = newcomer;
        let slot = self.slots.vacant_key();
        let registry = self.selector.registry();
        let watched = if is_watched {
            io.await_room(registry, slot, false)
        } else {
            io.register(registry, &self.mailbox, slot)
        };
        if let Err(error) = watched {
            if error.kind() == io::ErrorKind::BrokenPipe {
                // The reader of a stream of HTTP/2 has left meanwhile.
                return;
            }
            return tracing::warn!(%error, "a reader's socket cannot be watched");
        }
        let (group, place) = match from {
            Supply::Feed { feed, pace, reader } => {
                let group = self.group(&feed, &pace, &route, &visit);
                if let Some(group) = self.groups.get_mut(group) {
                    group.users += 1;
                }
                let alone = Alone::new(reader, self.mailbox.waker(Key::Slot(slot)));
                (Some(group), Place::Alone(alone))
            }
            Supply::Origin(private) => (None, Place::Private(private)),
        };
        let parts = (framing, route, seat, visit);
        let born = self.bear();
        self.slots.insert(Slot::new(io, parts, group, place, born, self.now));
        self.watch_silence(slot);
        self.set_turn(slot);
        if group.is_some() { self.catch_up(slot) } else { self.listen(slot, is_watched) }
    }

    /// What tells the next that may have the number of another from that one.
    pub(super) const fn bear(&mut self) -> u32 {
        self.born = self.born.wrapping_add(1);
        self.born
    }

    /// The group of a feed's readers.
    fn group(&mut self, feed: &Feed, pace: &Arc<Pace>, route: &Route, visit: &Visit) -> usize {
        *self.group_of.entry(feed.clone()).or_insert_with(|| {
            let entry = self.groups.vacant_entry();
            let waker = self.mailbox.waker(Key::Group(entry.key()));
            let number = entry.key();
            entry.insert(Group::new(
                feed.clone(),
                Arc::clone(pace),
                route.lag.into(),
                visit,
                waker,
            ));
            number
        })
    }

    /// Has a group run soon.
    pub(super) fn enqueue(&mut self, number: usize) {
        if let Some(group) = self.groups.get_mut(number)
            && !std::mem::replace(&mut group.is_queued, true)
        {
            self.queue.push_back(number);
        }
    }

    /// Has the writer told when a slot's socket takes something again, or no longer.
    pub(super) fn await_room(&mut self, slot: usize, wanted: bool) {
        if let Some(it) = self.slots.get_mut(slot)
            && it.io.await_room(self.selector.registry(), slot, wanted).is_err()
        {
            self.end(slot, End::Left);
        }
    }

    /// A slot whose group goes on without it for now.
    pub(super) fn on_its_own(&self, slot: usize, group: &Group) -> Box<Alone> {
        Alone::new(group.leaver(), self.mailbox.waker(Key::Slot(slot)))
    }

    /// Ends a slot's stream.
    pub(super) fn end(&mut self, number: usize, end: End) {
        let Some(slot) = self.slots.try_remove(number) else { return };
        self.leave_group(&slot);
        let group = slot.group;
        slot.finish(end);
        let Some(number) = group else { return };
        let Some(group) = self.groups.get_mut(number) else { return };
        group.users -= 1;
        if group.users == 0 {
            self.group_of.remove(&group.feed);
            self.groups.remove(number);
        }
    }
}
