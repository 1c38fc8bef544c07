//! [`Asking`]: what a [`Writer`] does for a caller who wants a stream that an origin gives to one
//! client alone: it asks, and makes the caller a slot as soon as there is an answer.
//!
//! All of it happens in one thread: the two sockets of a stream are opened where they are going to
//! be, and nobody has to be woken in between. What turns out to be no stream, or to need a second
//! look, is handed on to a task with all that has come so far.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use mio::Interest;
use mio::net::TcpStream;
use mio::unix::SourceFd;

use super::balance;
use super::door::{Caller, Waiting};
use super::io::Presence;
use super::mailbox::Letter;
use super::timers::{Alarm, Moment, millis};
use super::token::asked_token;
use super::writer::Writer;
use crate::ask::MOST_AHEAD;
use crate::asker::{Asker, Outcome};
use crate::origin::{Errand, OriginError};

/// An origin that is being asked for a caller.
pub(super) struct Asking {
    asker: Box<Asker>,
    errand: Box<Errand>,
    /// The caller's request, and whatever it has said after it.
    came: BytesMut,
    /// Once there is one.
    origin: Option<TcpStream>,
    state: State,
    /// Tells it from another that had the same number before.
    born: u32,
    /// How long the state may last.
    until: Option<Moment>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connecting,
    /// Some of the request has been sent.
    Sending,
    Sent,
}

impl Asking {
    pub(super) fn new(asker: Box<Asker>, errand: Box<Errand>, came: BytesMut) -> Box<Self> {
        let (origin, state) = (None, State::Connecting);
        Box::new(Self { asker, errand, came, origin, state, born: 0, until: None })
    }

    /// Whether the alarm that was set when it was `born` so is still for it.
    pub(super) const fn is_due(&self, born: u32, now: Moment) -> bool {
        match self.until {
            Some(until) => self.born == born && until <= now,
            None => false,
        }
    }

    /// Keeps what the caller says while it waits. Whoever says very much is none of the usual
    /// clients.
    pub(super) fn hear_ahead(&mut self, came: &[u8]) -> Presence {
        self.came.extend_from_slice(came);
        if self.came.len() < MOST_AHEAD { Presence::There } else { Presence::Gone }
    }

    /// Sends what the origin's socket takes of the request. Returns whether that was all.
    fn send(&mut self) -> io::Result<bool> {
        let Some(origin) = &mut self.origin else { return Ok(false) };
        let request = &mut self.errand.request;
        while request.has_remaining() {
            match origin.write(request) {
                Ok(written) => {
                    request.advance(written);
                    self.state = State::Sending;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.state = State::Sent;
        Ok(true)
    }

    /// Reads what the origin has said. Returns the head of its answer when that has come whole.
    fn read(&mut self, room: &mut [u8]) -> Result<Option<http::Response<()>>, OriginError> {
        let Some(origin) = &mut self.origin else { return Ok(None) };
        loop {
            match origin.read(room) {
                Ok(read) => {
                    let head = self.errand.came(room.get(..read).unwrap_or_default())?;
                    if head.is_some() {
                        return Ok(head);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(OriginError::broken(&error)),
            }
        }
    }
}

impl Writer {
    /// Has the origin asked for a caller: here, or by another writer that has more time.
    pub(super) fn ask(&mut self, number: usize) {
        let elsewhere = balance::with_time(&self.writers);
        let elsewhere = elsewhere.filter(|other| !Arc::ptr_eq(other, &self.mailbox));
        let Some(other) = elsewhere.map(Arc::clone) else { return self.set_out(number) };
        let Some(Waiting { mut caller, asking: Some(asking), .. }) =
            self.callers.try_remove(number)
        else {
            return;
        };
        if self.selector.registry().deregister(&mut caller.socket).is_ok() {
            other.post(Letter::Ask(Box::new((caller, asking))));
        }
    }

    /// Has the origin asked for a caller who came in at another writer's door.
    pub(super) fn ask_for(&mut self, caller: Caller, asking: Box<Asking>) {
        if let Some(number) = self.keep(caller, Some(asking)) {
            self.set_out(number);
        }
    }

    fn set_out(&mut self, number: usize) {
        let born = self.bear();
        let Some(asking) = self.asking(number) else { return };
        asking.born = born;
        let connect = asking.errand.connect;
        match asking.errand.dial() {
            Ok(origin) => asking.origin = Some(origin),
            Err(error) => return self.fail(number, &error),
        }
        self.allow(number, connect);
        // It may be connected already, as it is on one machine.
        self.send_request(number);
        let registry = self.selector.registry();
        let Some(asking) = self.callers.get_mut(number).and_then(Waiting::asking) else { return };
        let Some(origin) = &mut asking.origin else { return };
        let interest = match asking.state {
            State::Sent => Interest::READABLE,
            State::Connecting | State::Sending => Interest::READABLE | Interest::WRITABLE,
        };
        if let Err(error) = registry.register(origin, asked_token(number), interest) {
            self.fail(number, &error);
        }
    }

    /// Says how long the state that a caller's request is in may last.
    fn allow(&mut self, number: usize, limit: Option<Duration>) {
        let until = limit.map(|limit| self.now.saturating_add(millis(limit)).max(self.now + 1));
        let Some(asking) = self.asking(number) else { return };
        asking.until = until;
        let born = asking.born;
        if let Some(until) = until {
            self.timers.set(until, Alarm::Unanswered { caller: number, born });
        }
    }

    fn send_request(&mut self, number: usize) {
        let Some(asking) = self.asking(number) else { return };
        match asking.send() {
            Ok(true) => {
                let first_byte = asking.errand.first_byte;
                self.allow(number, first_byte);
            }
            Ok(false) => {}
            Err(error) => self.fail(number, &error),
        }
    }

    /// Something has happened to the connection to an origin that is being asked.
    pub(super) fn hear_asked(&mut self, number: usize) {
        let Some(asking) = self.callers.get_mut(number).and_then(Waiting::asking) else { return };
        if asking.state != State::Sent {
            return self.send_request(number);
        }
        match asking.read(&mut self.room) {
            Ok(None) => {}
            Ok(Some(head)) => self.answered(number, head),
            Err(error) => self.go_on(number, |_, _| Outcome::Failed(error)),
        }
    }

    /// The head of an answer has come.
    fn answered(&mut self, number: usize, head: http::Response<()>) {
        let Some(Waiting { caller, asking: Some(asking), .. }) = self.callers.try_remove(number)
        else {
            return;
        };
        let Asking { asker, errand, came, origin: Some(origin), .. } = *asking else { return };
        let watched = origin.as_raw_fd();
        let answered = errand.answered(&asker.route, &asker.request, head, origin);
        let begun = match answered {
            Ok(response) => caller.porter.begin(asker, Box::new(response)),
            Err(error) => Err((asker, Outcome::Failed(error))),
        };
        match begun {
            Ok(begun) => self.begin(caller.socket, begun),
            Err((asker, outcome)) => {
                if matches!(outcome, Outcome::Answered(_)) {
                    // It is watched by a runtime from now on. Otherwise it is closed.
                    let _ = self.selector.registry().deregister(&mut SourceFd(&watched));
                }
                if let Some((socket, porter, counted)) = self.hand_on(caller) {
                    porter.go_on(socket, came, counted, asker, outcome);
                }
            }
        }
    }

    /// The connection to an origin has failed.
    fn fail(&mut self, number: usize, error: &io::Error) {
        self.go_on(number, |state, errand| match state {
            State::Connecting => Outcome::Unreached(errand.unreached(error)),
            State::Sending | State::Sent => Outcome::Failed(OriginError::broken(error)),
        });
    }

    /// An origin may have taken too long.
    pub(super) fn unanswered(&mut self, number: usize, born: u32) {
        let now = self.now;
        if self.asking(number).is_some_and(|asking| asking.is_due(born, now)) {
            self.go_on(number, |state, errand| match state {
                State::Connecting => Outcome::Unreached(errand.too_late()),
                State::Sending | State::Sent => Outcome::Failed(OriginError::Silent),
            });
        }
    }

    /// Leaves a caller to a task, with the outcome of its errand.
    fn go_on(&mut self, number: usize, outcome: impl FnOnce(State, Errand) -> Outcome) {
        let Some(Waiting { caller, asking: Some(asking), .. }) = self.callers.try_remove(number)
        else {
            return;
        };
        let Asking { asker, errand, came, state, .. } = *asking;
        let outcome = outcome(state, *errand);
        if let Some((socket, porter, counted)) = self.hand_on(caller) {
            porter.go_on(socket, came, counted, asker, outcome);
        }
    }

    fn asking(&mut self, number: usize) -> Option<&mut Asking> {
        self.callers.get_mut(number)?.asking()
    }
}
