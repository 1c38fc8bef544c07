//! [`Passing`]: what is done to an origin's stream on its way to its only client.

use std::sync::Arc;

use bytes::Bytes;
use sse_layer::{Frame, Repairs};

use crate::config::{Retry, Route};
use crate::feeds::Feeds;
use crate::frames::Frames;
use crate::numbers::Numbers;
use crate::origin::{Intake, OriginError, StreamHead};
use crate::record::{Record, Recorded};
use crate::request::Request;
use crate::source::for_clients;
use crate::stream::End;

/// What is done to an origin's stream on its way to its only client, and the record of it.
pub(crate) struct Passing {
    recorded: Recorded,
    route: Arc<Route>,
    /// What numbers the events, if that is to be done.
    numbers: Option<Box<Numbers>>,
    /// Nothing of the origin's has been passed on.
    is_first: bool,
}

impl Passing {
    pub(crate) fn new(feeds: &Feeds, route: Arc<Route>, request: &Request) -> Self {
        let recorded = feeds.records().open(&route, request);
        let numbers = route.repair.contains(Repairs::ADD_IDS).then(|| Box::new(Numbers::new()));
        Self { recorded, route, numbers, is_first: true }
    }

    pub(crate) const fn record(&self) -> &Arc<Record> {
        self.recorded.record()
    }

    /// What makes frames of the body that follows `head`.
    pub(crate) fn intake(&self, head: &mut StreamHead, feeds: &Feeds) -> Intake {
        Intake::new(head, self.route.repair, feeds.event_bytes(), Arc::clone(self.record()))
    }

    /// Takes frames that have come, as many as are written at once.
    pub(crate) fn fill(
        &mut self,
        frames: &mut Frames,
        intake: &mut Intake,
    ) -> Result<(), OriginError> {
        while !frames.is_full()
            && let Some(frame) = intake.next_frame()?
        {
            let frame = for_clients(&self.route, frame);
            let is_event = frame.has_data();
            let frame = self.numbered(frame);
            if std::mem::take(&mut self.is_first) && frame.starts_with("\u{feff}".as_bytes()) {
                // Standing first, this character would be taken for a mark and dropped.
                frames.joined().extend_from_slice(b":\n");
            }
            if is_event { frames.push_event(frame) } else { frames.push(frame) }
        }
        Ok(())
    }

    /// What has come after the last whole frame. It is no event, but of its lines a reconnection
    /// time has effect, which is for nobody where the route has one of its own.
    pub(crate) fn remainder(&self, intake: Intake) -> Bytes {
        match self.route.retry {
            Retry::Pass => intake.into_remainder(),
            Retry::Ours(_) => Bytes::new(),
        }
    }

    fn numbered(&mut self, frame: Frame) -> Bytes {
        match self.numbers.as_mut().and_then(|numbers| numbers.number(&frame)) {
            Some(numbered) => {
                self.recorded.repaired(Repairs::ADD_IDS);
                numbered
            }
            None => frame.into_bytes(),
        }
    }

    /// Tells that the origin has failed.
    pub(crate) fn failed(&self, error: &OriginError) -> End {
        self.recorded.failed(&error.to_string());
        let (route, upstream) = (&self.route.path, &self.route.upstream);
        tracing::warn!(%route, %upstream, %error, "stream broke off");
        End::OriginFailed
    }
}
