//! What a [`Writer`] does for private streams: what an origin says goes to its only client.

use std::io;

use bytes::{Bytes, BytesMut};

use super::io::Io;
use super::slot::{Place, Slot};
use super::timers::{Alarm, What};
use super::token::origin_token;
use super::writer::Writer;
use crate::http1::Framing;
use crate::origin::OriginError;
use crate::stream::End;

/// How much room is kept for the next event to be framed in.
const MOST_KEPT: usize = 256 << 10;

/// What is next for a slot that has an origin of its own.
enum Next {
    /// To wait for its origin.
    Rest,
    /// To write, as soon as there is room.
    Room,
    /// To read, when others have had their turn.
    Turn,
    End(End),
}

/// Writes a piece of a body, and the end of that if this is the `last`. It is framed in `room`.
/// Returns what its reader does not take for now.
fn write(
    io: &mut Io,
    framing: Framing,
    mut piece: Bytes,
    is_last: bool,
    room: &mut BytesMut,
) -> io::Result<Bytes> {
    if framing == Framing::Close {
        io.write(&mut piece)?;
        return Ok(piece);
    }
    room.clear();
    framing.frame_to(&piece, room);
    if is_last {
        framing.end_to(room);
    }
    let mut rest = room.as_ref();
    io.write(&mut rest)?;
    Ok(Bytes::copy_from_slice(rest))
}

impl Writer {
    /// Begins to listen to the slot's own origin, if it has one. `is_watched`: its socket is known.
    pub(super) fn listen(&mut self, number: usize, is_watched: bool) {
        let now = self.now;
        let Some(private) = self.slots.get_mut(number).and_then(Slot::private) else { return };
        private.heard = now;
        let (registry, token) = (self.selector.registry(), origin_token(number));
        let watched = match is_watched {
            true => private.upstream.reregister(registry, token),
            false => private.upstream.register(registry, token),
        };
        if let Err(error) = watched {
            tracing::warn!(%error, "an origin's socket cannot be watched");
            return self.end(number, End::OriginFailed);
        }
        self.watch_origin(number);
        self.pass(number);
    }

    /// Something has come from a slot's own origin. `is_closed`: nothing will come after it.
    pub(super) fn hear(&mut self, number: usize, is_closed: bool) {
        let Some(private) = self.slots.get_mut(number).and_then(Slot::private) else { return };
        private.is_readable = true;
        private.is_closed |= is_closed;
        self.pass(number);
    }

    /// Passes on what has come from a slot's own origin, and what one more read brings.
    pub(super) fn pass(&mut self, number: usize) {
        let Some(slot) = self.slots.get_mut(number) else { return };
        let Place::Private(private) = &mut slot.place else { return };
        if private.is_blocked {
            return;
        }
        let mut may_read = true;
        let next = loop {
            if private.has_more() {
                let frames = private.take();
                let events = frames.events();
                let frames = frames.into_bytes();
                let size = frames.len();
                let is_last = private.end == Some(End::OriginEnded)
                    && !std::mem::replace(&mut private.is_over, true);
                if size > 0 || is_last {
                    let framed = &mut self.framed;
                    let rest = write(&mut slot.io, slot.framing, frames, is_last, framed);
                    let Ok(rest) = rest else { break Next::End(End::Left) };
                    let came = (size > 0).then_some(self.woken);
                    slot.visit.wrote(events, size, came);
                    slot.quiet_since = self.now;
                    if !rest.is_empty() {
                        private.rest = rest;
                        break Next::Room;
                    }
                }
            } else if let Some(end) = private.end {
                break Next::End(end);
            } else if !private.is_readable {
                break Next::Rest;
            } else if std::mem::take(&mut may_read) {
                private.read(&mut self.room, self.now);
            } else {
                break Next::Turn;
            }
        };
        if self.framed.capacity() > MOST_KEPT {
            self.framed = BytesMut::new();
        }
        match next {
            Next::Room => {
                private.is_blocked = true;
                private.is_rest_idle = false;
                self.await_room(number, true);
            }
            Next::Rest => {}
            Next::Turn => self.unread.push_back(number),
            Next::End(end) => self.end(number, end),
        }
    }

    /// There is room in the socket of a slot that has an origin of its own.
    pub(super) fn write_private(&mut self, number: usize) {
        let Some(slot) = self.slots.get_mut(number) else { return };
        let Place::Private(private) = &mut slot.place else { return };
        if !private.is_blocked {
            return;
        }
        let before = private.rest.len();
        let written = slot.io.write(&mut private.rest);
        if private.rest.len() < before {
            slot.quiet_since = self.now;
        }
        match written {
            Ok(true) => {
                private.rest = Bytes::new();
                private.is_blocked = false;
                private.heard = self.now;
                self.await_room(number, false);
                self.pass(number);
            }
            Ok(false) => {}
            Err(_) => self.end(number, End::Left),
        }
    }

    /// Looks at a slot's own origin again when it will have been silent for too long.
    fn watch_origin(&mut self, number: usize) {
        let Some(slot) = self.slots.get_mut(number) else { return };
        let born = slot.born;
        let Some(private) = slot.private() else { return };
        let Some(idle) = private.idle else { return };
        let moment = private.heard.saturating_add(idle).max(self.now + 1);
        self.timers.set(moment, Alarm::Slot { slot: number, born, what: What::Unheard });
    }

    /// A slot's own origin may have been silent for too long.
    pub(super) fn unheard(&mut self, number: usize) {
        let now = self.now;
        let Some(private) = self.slots.get_mut(number).and_then(Slot::private) else { return };
        if private.is_blocked {
            // It may have said much meanwhile.
            private.heard = now;
        }
        if private.idle.is_some_and(|idle| now.saturating_sub(private.heard) >= idle) {
            private.fail(&OriginError::Silent);
            return self.pass(number);
        }
        self.watch_origin(number);
    }
}
