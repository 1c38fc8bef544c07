//! Finds a feed for a multiplexed stream, as if it were requested alone.

use std::sync::Arc;

use bytes::Bytes;
use sse_layer::feed::{Cursor, Epoch};
use sse_layer::mux::{self, FeedName, MuxStream, Wanted};

use super::Mux;
use super::catch_ups::{CatchUps, Missing};
use crate::catch_up::may_catch_up;
use crate::config::{Route, Stream};
use crate::cors;
use crate::request::Request;

/// The status of a feed for which a stream has no room: another stream may have.
const FULL: u16 = 409;

impl Mux {
    /// Adds a feed to a stream. Else the status that a request for it alone would be answered with,
    /// or [`FULL`].
    /// `request` says who wants it; `asked`, with what else, and from where. What it has missed and
    /// history no longer has is begun to be fetched, if it is to be.
    pub(super) fn join(
        &self,
        stream: &mut MuxStream,
        catch_ups: &mut CatchUps,
        request: &Request,
        asked: &mux::Request,
        wanted: &Wanted,
    ) -> Result<(), u16> {
        let name = wanted.name.as_str();
        let feed_name = FeedName::try_from(name).map_err(|_| 400_u16)?;
        if stream.len() >= self.max_feeds {
            return Err(FULL);
        }
        let (path, query) = match name.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (name, None),
        };
        let found = self.router.find(&request.authority, path);
        let route =
            &found.filter(|route| route.mux && route.stream != Stream::Off).ok_or(404_u16)?;
        if !cors::is_allowed(route, request) {
            return Err(403);
        }
        let request = Request { path: path.to_owned(), query, ..request.clone() };
        let epoch = self.feeds.log().cursor().epoch;
        let (start, last) = (asked.start(wanted, epoch), last_id(asked, wanted).as_bytes());
        let is_private = is_private(route, &request);
        let joined = stream.try_add(feed_name, asked.after(wanted, epoch), |reader| {
            reader.set_lag(route.lag.into());
            if is_private {
                return Ok(self.feeds.open_private(route, request.clone(), reader, start, last));
            }
            self.feeds.join_after(route, &request, reader, start, last).map_err(|_| 503_u16)
        })?;
        if is_private {
            stream.mark_private(name);
        } else if stream.has_gap(name) && may_catch_up(route, last) {
            // One that is in no log has its client name the last event of each feed.
            let nowhere = || Cursor { epoch: Epoch::random(), seq: 0 };
            let after = asked.cursor().unwrap_or_else(nowhere);
            let (name, id) = (name.to_owned(), Bytes::copy_from_slice(last));
            let (feeds, route) = (self.feeds.clone(), Arc::clone(route));
            catch_ups.begin(feeds, route, request, joined, Missing { name, id, after });
        }
        Ok(())
    }
}

/// The origin's id of the last event that the client has of a feed; empty if that is not known.
fn last_id<'a>(asked: &'a mux::Request, wanted: &'a Wanted) -> &'a str {
    match (&wanted.last, asked.feeds.as_slice()) {
        (Some(last), _) => last,
        // The id behind the cursor is of the feed that had the last event, which is this one.
        (None, [_]) if asked.cursor().is_some() => {
            asked.after.split_once(' ').map_or("", |(_, id)| id)
        }
        (None, _) => "",
    }
}

/// Whether a request must have an origin stream of its own.
pub(crate) fn is_private(route: &Route, request: &Request) -> bool {
    let may_share = route.stream == Stream::Shared && request.takes_events();
    !may_share || request.has_credentials_beyond(route)
}
