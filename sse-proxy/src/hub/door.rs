//! What a [`Writer`] does for who comes in: it accepts connections, and reads what they say first.
//!
//! Most who come want a feed that is open. Their connection needs no task, and no other thread, to
//! be answered and to become a slot: one more reader costs little more than the calls of the system.
//! Whoever wants something else is handed on with what has been read.

use std::io::{self, Read};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mio::Interest;
use mio::net::{TcpListener, TcpStream};

use super::asking::Asking;
use super::io::{Io, Presence};
use super::mailbox::Letter;
use super::slot::{Newcomer, Supply};
use super::timers::{Alarm, Moment, millis};
use super::token::{Whose, caller_token, door_token};
use super::writer::Writer;
use crate::ask::IDLE;
use crate::asker::{Asker, Outcome};
use crate::config::Route;
use crate::http1::Framing;
use crate::limits::{Connection, Seat};
use crate::origin::{Errand, Response};
use crate::visit::Visit;

/// How many are accepted, and how many answered, before readers have their turn: a crowd that comes
/// all at once does not hold up those who are there.
const ACCEPTED: usize = 16;
const ANSWERED: usize = 8;

/// How often is looked for callers that say nothing.
const SWEEP: Duration = Duration::from_secs(10);

/// What is done with those who come to an address.
pub(crate) trait Porter: Send + Sync {
    /// Counts a connection; `None` if there may be no more for now.
    fn enter(&self) -> Option<Connection>;

    /// What a client is answered that has said `came`, if that can be told without a task.
    fn answer(&self, came: &[u8], client: IpAddr) -> Option<Reply>;

    /// Begins a stream with its origin's answer, if nothing more has to be known of that.
    fn begin(
        &self,
        asker: Box<Asker>,
        response: Box<Response>,
    ) -> Result<Begun, (Box<Asker>, Outcome)>;

    /// Serves a connection on which `came` has been read, whatever it is.
    fn serve(&self, socket: std::net::TcpStream, came: BytesMut, counted: Connection);

    /// The same for one whose request has been made already.
    fn go_on(
        &self,
        socket: std::net::TcpStream,
        came: BytesMut,
        counted: Connection,
        asker: Box<Asker>,
        outcome: Outcome,
    );

    /// Calls `again` when another connection can be tried. `has_failed`: the last could not be
    /// accepted, though there was room for it.
    fn rest(&self, has_failed: bool, again: Box<dyn FnOnce() + Send>);
}

/// What becomes of a client.
pub(crate) enum Reply {
    Begun(Box<Begun>),
    /// Its origin has to be asked.
    Ask(Box<Asker>, Box<Errand>),
}

/// A stream that is begun as soon as `head` is written.
pub(crate) struct Begun {
    pub(crate) head: Bytes,
    pub(crate) framing: Framing,
    pub(crate) from: Supply,
    pub(crate) route: Arc<Route>,
    pub(crate) seat: Seat,
    pub(crate) visit: Visit,
}

/// An address that is listened on.
pub(super) struct Door {
    listener: TcpListener,
    porter: Arc<dyn Porter>,
    /// Whether there may be somebody to let in.
    pub(super) is_open: bool,
}

/// A connection that is no stream yet.
pub(super) struct Caller {
    pub(super) socket: TcpStream,
    client: IpAddr,
    pub(super) porter: Arc<dyn Porter>,
    pub(super) counted: Connection,
}

/// A caller at the door of a writer, and since when.
pub(super) struct Waiting {
    pub(super) caller: Caller,
    since: Moment,
    /// What is being done for it, once it has said what it wants.
    pub(super) asking: Option<Box<Asking>>,
}

impl Waiting {
    pub(super) fn asking(&mut self) -> Option<&mut Asking> {
        self.asking.as_deref_mut()
    }
}

impl Door {
    pub(super) fn new(socket: std::net::TcpListener, porter: Arc<dyn Porter>) -> Self {
        Self { listener: TcpListener::from_std(socket), porter, is_open: false }
    }
}

impl Writer {
    /// Begins to listen.
    pub(super) fn open_door(&mut self, mut door: Door) {
        let token = door_token(self.doors.len());
        let registry = self.selector.registry();
        match registry.register(&mut door.listener, token, Interest::READABLE) {
            Ok(()) => self.doors.push(door),
            Err(error) => tracing::error!(%error, "cannot accept connections"),
        }
    }

    /// There may be somebody at a door.
    pub(super) fn knock(&mut self, door: usize) {
        if let Some(door) = self.doors.get_mut(door) {
            door.is_open = true;
        }
    }

    /// Lets some in at each door, and shares them with the other writers.
    pub(super) fn accept(&mut self) {
        for number in 0..self.doors.len() {
            for _ in 0..ACCEPTED {
                let Some(door) = self.doors.get_mut(number).filter(|door| door.is_open) else {
                    break;
                };
                let Some(counted) = door.porter.enter() else {
                    self.rest(number, false);
                    break;
                };
                match door.listener.accept() {
                    Ok((socket, address)) => {
                        let porter = Arc::clone(&door.porter);
                        self.share(Caller { socket, client: address.ip(), porter, counted });
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        door.is_open = false;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        self.rest(number, true);
                    }
                }
            }
        }
    }

    /// Lets nobody in for now.
    fn rest(&mut self, number: usize, has_failed: bool) {
        let Some(door) = self.doors.get_mut(number) else { return };
        door.is_open = false;
        let mailbox = Arc::clone(&self.mailbox);
        let again = move || mailbox.post(Letter::Knock(number));
        door.porter.rest(has_failed, Box::new(again));
    }

    /// Gives each writer its turn to get a caller.
    fn share(&mut self, caller: Caller) {
        self.turn = (self.turn + 1) % self.writers.len().max(1);
        let next = self.writers.get(self.turn);
        match next.filter(|next| !Arc::ptr_eq(next, &self.mailbox)) {
            Some(other) => other.post(Letter::Caller(Box::new(caller))),
            None => self.welcome(caller),
        }
    }

    /// Waits for what a caller says.
    pub(super) fn welcome(&mut self, caller: Caller) {
        if !self.has_drained() {
            self.keep(caller, None);
        }
    }

    /// Keeps a caller, whose number is returned.
    pub(super) fn keep(
        &mut self,
        mut caller: Caller,
        asking: Option<Box<Asking>>,
    ) -> Option<usize> {
        let place = self.callers.vacant_entry();
        let token = caller_token(place.key());
        let registered =
            self.selector.registry().register(&mut caller.socket, token, Interest::READABLE);
        if let Err(error) = registered {
            tracing::warn!(%error, "a connection cannot be watched");
            return None;
        }
        let number = place.key();
        place.insert(Waiting { caller, since: self.now, asking });
        if self.callers.len() == 1 {
            self.watch_callers();
        }
        Some(number)
    }

    fn watch_callers(&mut self) {
        self.timers.set(self.now + millis(SWEEP), Alarm::Callers);
    }

    /// Sends those away who have said nothing for long.
    pub(super) fn sweep_callers(&mut self) {
        let (now, patience) = (self.now, millis(IDLE));
        self.callers.retain(|_, waiting| {
            waiting.asking.is_some() || now.saturating_sub(waiting.since) < patience
        });
        if !self.callers.is_empty() {
            self.watch_callers();
        }
    }

    /// Answers some of those who have said something, or whose origins have.
    pub(super) fn answer(&mut self) {
        for _ in 0..ANSWERED {
            match self.calling.pop_front() {
                Some(Whose::Caller(number)) => self.hear_caller(number),
                Some(Whose::Asked(number)) => self.hear_asked(number),
                Some(_) => {}
                None => return,
            }
        }
    }

    fn hear_caller(&mut self, number: usize) {
        let Some(waiting) = self.callers.get_mut(number) else { return };
        let read = match waiting.caller.socket.read(&mut self.room) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                return self.calling.push_back(Whose::Caller(number));
            }
            Ok(0) | Err(_) => return drop(self.callers.try_remove(number)),
            Ok(read) => read,
        };
        let came = self.room.get(..read).unwrap_or_default();
        if let Some(asking) = &mut waiting.asking {
            return match asking.hear_ahead(came) {
                // There may be more.
                Presence::There => self.calling.push_back(Whose::Caller(number)),
                Presence::Gone => drop(self.callers.try_remove(number)),
            };
        }
        let Caller { porter, client, .. } = &waiting.caller;
        match porter.answer(came, *client) {
            Some(Reply::Ask(asker, errand)) => {
                waiting.asking = Some(Asking::new(asker, errand, BytesMut::from(came)));
                self.ask(number);
            }
            Some(Reply::Begun(begun)) => {
                if let Some(Waiting { caller, .. }) = self.callers.try_remove(number) {
                    self.begin(caller.socket, *begun);
                }
            }
            None => {
                let came = BytesMut::from(came);
                let Some(Waiting { caller, .. }) = self.callers.try_remove(number) else { return };
                if let Some((socket, porter, counted)) = self.hand_on(caller) {
                    porter.serve(socket, came, counted);
                }
            }
        }
    }

    /// What a caller is served with by others than the hub. What a runtime is to watch must be
    /// watched by it alone.
    pub(super) fn hand_on(
        &self,
        caller: Caller,
    ) -> Option<(std::net::TcpStream, Arc<dyn Porter>, Connection)> {
        let Caller { mut socket, porter, counted, .. } = caller;
        let given_up = self.selector.registry().deregister(&mut socket);
        given_up.is_ok().then(|| (socket.into(), porter, counted))
    }

    /// Makes a caller a slot, once it has its head.
    pub(super) fn begin(&mut self, socket: TcpStream, begun: Begun) {
        let Begun { mut head, framing, from, route, seat, visit } = begun;
        let mut io = Io::Plain(socket);
        // A socket that does not take that much is not read from.
        if matches!(io.write(&mut head), Ok(true)) {
            self.adopt(Newcomer { io, framing, from, route, seat, visit }, true);
        }
    }
}
