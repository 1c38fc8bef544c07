//! [`Private`]: the origin's side of a stream that only one client gets.

use std::io;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::timers::{Moment, millis};
use super::upstream::Upstream;
use crate::frames::Frames;
use crate::origin::{Bare, Body, Intake, OriginError, Taken};
use crate::passing::Passing;
use crate::stream::End;

/// The origin's side of a stream that only one client gets.
///
/// Nothing is kept in it but the event that is not complete, and what the client's socket did not
/// take: as long as there is some of that, the origin is not read from.
pub(crate) struct Private {
    pub(super) upstream: Upstream,
    /// What has come and has not been taken out of the body's framing.
    came: Bytes,
    body: Body,
    is_delimited: bool,
    /// Whether something of what has come has not been looked at.
    has_more: bool,
    /// Until the body has ended.
    intake: Option<Intake>,
    /// Whether it knows that it has.
    is_finished: bool,
    passing: Passing,
    /// How long the origin may be silent.
    pub(super) idle: Option<Moment>,
    /// When it was heard last, or began to be listened to again.
    pub(super) heard: Moment,
    /// Whether there may be something to read.
    pub(super) is_readable: bool,
    /// Whether the origin says no more than what there is to read.
    pub(super) is_closed: bool,
    /// What the client's socket did not take.
    pub(super) rest: Bytes,
    /// Whether the client's socket takes nothing for now.
    pub(super) is_blocked: bool,
    /// Whether `rest` is a comment alone, and the client is not waited for.
    pub(super) is_rest_idle: bool,
    /// How the stream ends, after what there is.
    pub(super) end: Option<End>,
    /// Whether the end of the response has been written.
    pub(super) is_over: bool,
    _room: Option<OwnedSemaphorePermit>,
}

impl Private {
    pub(crate) fn new(taken: Taken, mut intake: Intake, passing: Passing) -> io::Result<Self> {
        let Taken { bare, peeked, is_delimited, idle, room } = taken;
        let Bare { wire, came, body } = *bare;
        intake.push(peeked);
        let upstream = Upstream::new(wire)?;
        Ok(Self {
            // What there is to read on the socket is told as soon as it is watched.
            is_readable: !upstream.tells_by_less(),
            upstream,
            came,
            body,
            is_delimited,
            has_more: true,
            intake: Some(intake),
            is_finished: false,
            passing,
            idle: idle.map(millis),
            heard: 0,
            is_closed: false,
            rest: Bytes::new(),
            is_blocked: false,
            is_rest_idle: false,
            end: None,
            is_over: false,
            _room: room,
        })
    }

    /// Reads what the origin has sent, as much as there is `room` for.
    pub(super) fn read(&mut self, room: &mut [u8], now: Moment) {
        let read = match self.upstream.read(room) {
            Ok(read) => room.get(..read).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.is_readable = false;
                return;
            }
            Err(error) => return self.fail(&OriginError::broken(&error)),
        };
        self.heard = now;
        self.has_more = true;
        if read.is_empty() {
            self.is_readable = false;
            if let Err(error) = self.body.close() {
                self.fail(&error);
            }
        } else {
            self.is_readable =
                read.len() == room.len() || self.is_closed || !self.upstream.tells_by_less();
            self.came = match self.came.is_empty() {
                true => self.body.keep(read),
                false => [self.came.as_ref(), read].concat().into(),
            };
        }
    }

    /// Whether something may be made of what has come.
    pub(super) fn has_more(&self) -> bool {
        self.has_more && self.intake.is_some()
    }

    /// What of what has come is to be written next.
    pub(super) fn take(&mut self) -> Frames {
        let mut frames = Frames::default();
        self.has_more = false;
        while let Some(intake) = &mut self.intake {
            if intake.has_more()
                && let Err(error) = self.passing.fill(&mut frames, intake)
            {
                self.fail(&error);
                break;
            }
            if frames.is_full() {
                self.has_more = true;
                break;
            }
            match self.body.next(&mut self.came) {
                Ok(Some(piece)) => intake.push(piece),
                Ok(None) if !self.body.has_ended() => break,
                Ok(None) if !std::mem::replace(&mut self.is_finished, true) => {
                    intake.finish(self.is_delimited);
                }
                Ok(None) => {
                    let rest = self.intake.take().map(|intake| self.passing.remainder(intake));
                    frames.push(rest.unwrap_or_default());
                    self.end = Some(End::OriginEnded);
                }
                Err(error) => self.fail(&error),
            }
        }
        frames
    }

    /// The origin has failed.
    pub(super) fn fail(&mut self, error: &OriginError) {
        self.is_readable = false;
        self.intake = None;
        self.end = Some(self.passing.failed(error));
    }
}
