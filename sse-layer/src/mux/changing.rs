//! [`Changing`]: a stream of [`MuxService`](super::MuxService), which its client can change.

use std::task::{Context, Poll};

use bytes::BytesMut;
use http::StatusCode;

use super::{Entered, FeedName, MuxStream, Piece, Request, Wanted, wire};
use crate::feed::{Epoch, Feed};

/// What a stream is to read from now on, and what no longer.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) add: Vec<(Wanted, Result<Feed, StatusCode>)>,
    pub(super) remove: Vec<String>,
}

/// A stream that its client can change.
#[derive(Debug)]
pub(super) struct Changing {
    stream: MuxStream,
    /// That of the log. One position goes for all feeds, so all are of the first one's log.
    epoch: Option<Epoch>,
    max_feeds: usize,
    entered: Entered<Change>,
}

impl Changing {
    /// A stream of no feed yet.
    pub(super) fn new(max_feeds: usize, entered: Entered<Change>) -> Self {
        Self { stream: MuxStream::new(), epoch: None, max_feeds, entered }
    }

    /// Adds a feed that was found, from where `request` says; or writes why it is not added.
    pub(super) fn add(
        &mut self,
        request: &Request,
        wanted: &Wanted,
        found: Result<Feed, StatusCode>,
        out: &mut BytesMut,
    ) {
        let name = FeedName::try_from(wanted.name.as_str()).map_err(|_| StatusCode::BAD_REQUEST);
        let found = name.and_then(|name| Ok((name, self.admit(found?)?)));
        match found {
            Ok((name, (feed, epoch))) => {
                self.stream.add(name, request.after(wanted, epoch), |reader| {
                    reader.set_lag(feed.lag());
                    reader.subscribe(&feed, request.start(wanted, epoch))
                });
            }
            Err(status) => wire::closed(out, &wanted.name, status.as_u16()),
        }
    }

    fn admit(&mut self, feed: Feed) -> Result<(Feed, Epoch), StatusCode> {
        let epoch = feed.log().cursor().epoch;
        if self.stream.len() >= self.max_feeds {
            return Err(StatusCode::CONFLICT);
        }
        if *self.epoch.get_or_insert(epoch) != epoch {
            return Err(StatusCode::INTERNAL_SERVER_ERROR);
        }
        Ok((feed, epoch))
    }

    fn apply(&mut self, change: Change, out: &mut BytesMut) {
        for name in change.remove {
            self.stream.remove(&name);
        }
        for (wanted, found) in change.add {
            if !self.stream.contains(&wanted.name) {
                self.add(&Request::default(), &wanted, found, out);
            }
        }
    }

    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        let mut told = BytesMut::new();
        while let Poll::Ready(change) = self.entered.poll_next(cx) {
            self.apply(change, &mut told);
        }
        if !told.is_empty() {
            return Poll::Ready(Piece::of(told.freeze()));
        }
        self.stream.poll_next(cx)
    }
}
