//! [`CatchUps`]: the feeds of a multiplexed stream whose client is being caught up with.

use std::sync::Arc;

use bytes::Bytes;
use sse_layer::feed::Cursor;
use tokio::task::{AbortHandle, JoinSet};

use crate::catch_up::{Missed, PATIENCE, missed};
use crate::config::Route;
use crate::feeds::{Feeds, Joined};
use crate::request::Request;
use crate::source::Opening;

/// The feeds of a multiplexed stream whose client is being caught up with, all at the same time.
#[derive(Default)]
pub(super) struct CatchUps {
    running: JoinSet<CaughtUp>,
    by_name: Vec<(String, AbortHandle)>,
}

/// A feed of which the client has missed something.
pub(super) struct Missing {
    pub(super) name: String,
    /// The id of the client's last event of it.
    pub(super) id: Bytes,
    /// The position that the client goes on from if it is cut off before it has it all.
    pub(super) after: Cursor,
}

/// What has come of it.
pub(super) struct CaughtUp {
    pub(super) of: Missing,
    /// The events, and where the feed goes on after them; `None` if they are not to be had.
    pub(super) missed: Option<(Missed, Cursor)>,
}

impl CatchUps {
    /// Begins to fetch what the client has missed.
    pub(super) fn begin(
        &mut self,
        feeds: Feeds,
        route: Arc<Route>,
        request: Request,
        mut joined: Joined,
        missing: Missing,
    ) {
        let name = missing.name.clone();
        let running = self.running.spawn(async move {
            let missed = match joined.opened_soon(PATIENCE).await {
                Opening::Open(_) => missed(&feeds, &route, &request, &joined, &missing.id).await,
                _ => None,
            };
            CaughtUp { of: missing, missed }
        });
        self.by_name.push((name, running));
    }

    /// What has come of one of them; `None` if there is none.
    ///
    /// Cancel safe.
    pub(super) async fn next(&mut self) -> Option<CaughtUp> {
        loop {
            let Ok(caught_up) = self.running.join_next().await? else { continue };
            let known = self.by_name.iter().position(|(name, _)| *name == caught_up.of.name);
            // Otherwise it is no longer wanted.
            if let Some(known) = known {
                self.by_name.swap_remove(known);
                return Some(caught_up);
            }
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// A feed is no longer read.
    pub(super) fn forget(&mut self, name: &str) {
        for (_, running) in self.by_name.extract_if(.., |(other, _)| other == name) {
            running.abort();
        }
    }
}
