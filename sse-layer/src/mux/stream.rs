//! [`Stream`]: the feeds of a multiplexed stream, and what is due of them.

use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::StatusCode;

use super::streams::{Change, Place};
use super::wire::{self, Encoder};
use super::{Request, Wanted};
use crate::feed::{Epoch, Feed, Item, Lag, Reader};

/// Events that are ready together leave together, until they have come to so many bytes. The
/// event that crosses the line is still taken.
const MAX_PIECE: usize = 64 * 1024;

/// The feeds of a multiplexed stream, and what is due of them.
#[derive(Debug)]
pub(super) struct Stream {
    reader: Reader,
    encoder: Encoder,
    /// What is to be sent, the next at the end.
    due: Vec<Item>,
    /// That of the log. One position goes for all feeds, so all are of the first one's log.
    epoch: Option<Epoch>,
    max_feeds: usize,
    place: Place,
}

impl Stream {
    /// A stream of no feed yet, for a client that sent `after` as its position.
    pub(super) fn new(after: &str, max_feeds: usize, place: Place) -> Self {
        Self {
            reader: Reader::new(Lag::default()),
            encoder: Encoder::new(after),
            due: Vec::new(),
            epoch: None,
            max_feeds,
            place,
        }
    }

    /// Adds a feed that was found, from where `request` says; or writes why it is not added.
    pub(super) fn add(
        &mut self,
        request: &Request,
        wanted: &Wanted,
        found: Result<Feed, StatusCode>,
        out: &mut BytesMut,
    ) {
        match found.and_then(|feed| self.admit(feed)) {
            Ok((feed, epoch)) => {
                self.reader.set_lag(feed.lag());
                self.reader.subscribe(&feed, request.start(wanted, epoch));
                self.encoder.add(&wanted.name);
            }
            Err(status) => wire::closed(out, &wanted.name, status.as_u16()),
        }
    }

    fn admit(&mut self, feed: Feed) -> Result<(Feed, Epoch), StatusCode> {
        let epoch = feed.log().cursor().epoch;
        if self.encoder.len() >= self.max_feeds {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        if *self.epoch.get_or_insert(epoch) != epoch {
            return Err(StatusCode::INTERNAL_SERVER_ERROR);
        }
        Ok((feed, epoch))
    }

    fn apply(&mut self, change: Change, out: &mut BytesMut) {
        for name in change.remove {
            if let Some(feed) = self.encoder.remove(&name) {
                self.reader.unsubscribe(feed);
                // Another feed may get the number.
                self.due.retain(|item| item.feed() != feed);
            }
        }
        for (wanted, found) in change.add {
            if !self.encoder.contains(&wanted.name) {
                self.add(&Request::default(), &wanted, found, out);
            }
        }
    }

    /// The next piece; `None` if the client has read too slowly.
    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut piece = BytesMut::new();
        while let Poll::Ready(Some(change)) = self.place.changes().poll_recv(cx) {
            self.apply(change, &mut piece);
        }
        loop {
            while piece.len() < MAX_PIECE {
                let Some(item) = self.due.pop() else { break };
                self.encoder.encode(&mut piece, &item);
            }
            if !piece.is_empty() {
                return Poll::Ready(Some(piece.freeze()));
            }
            if ready!(self.reader.poll_next(cx, &mut self.due)).is_err() {
                return Poll::Ready(None);
            }
            self.due.reverse();
        }
    }
}
