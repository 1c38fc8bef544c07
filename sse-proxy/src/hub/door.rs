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

use super::io::Io;
use super::mailbox::Letter;
use super::slot::{From, Newcomer};
use super::timers::{Alarm, Moment, What, millis};
use super::token::{caller_token, door_token};
use super::writer::Writer;
use crate::client::IDLE;
use crate::config::Route;
use crate::http1::Framing;
use crate::limits::{Connection, Seat};
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

    /// What a client is answered that has said `came`, if nothing has to be waited for.
    fn answer(&self, came: &[u8], client: IpAddr) -> Option<Begun>;

    /// Serves a connection on which `came` has been read, whatever it is.
    fn serve(&self, socket: std::net::TcpStream, came: BytesMut, counted: Connection);

    /// Calls `again` when another connection can be tried. `has_failed`: the last could not be
    /// accepted, though there was room for it.
    fn rest(&self, has_failed: bool, again: Box<dyn FnOnce() + Send>);
}

/// A stream that is begun as soon as `head` is written.
pub(crate) struct Begun {
    pub(crate) head: Bytes,
    pub(crate) framing: Framing,
    pub(crate) from: From,
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

/// A connection whose client has said nothing yet.
pub(super) struct Caller {
    socket: TcpStream,
    client: IpAddr,
    porter: Arc<dyn Porter>,
    counted: Connection,
}

/// A caller at the door of a writer, and since when.
pub(super) struct Waiting {
    caller: Caller,
    since: Moment,
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
        self.turn = (self.turn + 1) % (self.peers.len() + 1);
        match self.turn.checked_sub(1).and_then(|peer| self.peers.get(peer)) {
            Some(peer) => peer.post(Letter::Caller(Box::new(caller))),
            None => self.welcome(caller),
        }
    }

    /// Waits for what a caller says.
    pub(super) fn welcome(&mut self, mut caller: Caller) {
        if self.has_drained() {
            return;
        }
        let place = self.callers.vacant_entry();
        let token = caller_token(place.key());
        let registered =
            self.selector.registry().register(&mut caller.socket, token, Interest::READABLE);
        if let Err(error) = registered {
            return tracing::warn!(%error, "a connection cannot be watched");
        }
        place.insert(Waiting { caller, since: self.now });
        if self.callers.len() == 1 {
            self.watch_callers();
        }
    }

    fn watch_callers(&mut self) {
        let alarm = Alarm { slot: 0, born: 0, what: What::Callers };
        self.timers.set(self.now + millis(SWEEP), alarm);
    }

    /// Sends those away who have said nothing for long.
    pub(super) fn sweep_callers(&mut self) {
        let (now, patience) = (self.now, millis(IDLE));
        self.callers.retain(|_, waiting| now.saturating_sub(waiting.since) < patience);
        if !self.callers.is_empty() {
            self.watch_callers();
        }
    }

    /// Answers some of those who have said something.
    pub(super) fn answer(&mut self) {
        for _ in 0..ANSWERED {
            let Some(number) = self.calling.pop_front() else { return };
            self.hear_caller(number);
        }
    }

    fn hear_caller(&mut self, number: usize) {
        let Some(waiting) = self.callers.get_mut(number) else { return };
        let read = match waiting.caller.socket.read(&mut self.room) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                return self.calling.push_back(number);
            }
            Ok(0) | Err(_) => 0,
            Ok(read) => read,
        };
        let Some(Waiting { caller, .. }) = self.callers.try_remove(number) else { return };
        let Caller { mut socket, client, porter, counted } = caller;
        let came = self.room.get(..read).unwrap_or_default();
        if came.is_empty() {
            return;
        }
        if let Some(begun) = porter.answer(came, client) {
            return self.begin(socket, begun);
        }
        let came = BytesMut::from(came);
        // What a runtime is to watch must be watched by it alone.
        if self.selector.registry().deregister(&mut socket).is_ok() {
            porter.serve(socket.into(), came, counted);
        }
    }

    /// Makes a caller a slot, once it has its head.
    fn begin(&mut self, socket: TcpStream, begun: Begun) {
        let Begun { mut head, framing, from, route, seat, visit } = begun;
        let mut io = Io::Plain(socket);
        // A socket that does not take that much is not read from.
        if matches!(io.write(&mut head), Ok(true)) {
            self.adopt(Newcomer { io, framing, from, route, seat, visit }, true);
        }
    }
}
