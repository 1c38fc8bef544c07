use std::time::Duration;

use tracing::{Span, debug, info, trace, warn};

use super::{CloseReason, Closed, Observe, Opened};

/// What filters go by, wherever in the crate this is written.
const TARGET: &str = "sse_layer";

/// Writes a log of streams with the [`tracing`] crate (cargo feature `tracing`).
///
/// Each stream is a span `sse_stream`, a child of the one that its request is served in, with the
/// request's `path` and, if the client came back, its `last_event_id`. In it are told: that the
/// stream is open and, at its end, over (`info`; `warn` if it failed or was refused), gaps and lag
/// (`info`), its first event (`debug`) and comments in silence (`trace`).
///
/// The target of all is `sse_layer`. Queries are not written, since they may carry secrets.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Tracing {
    span: Option<Span>,
}

impl Tracing {
    /// One that writes to the subscriber that is current when a stream begins.
    pub const fn new() -> Self {
        Self { span: None }
    }

    fn told(&self, tell: impl FnOnce()) {
        match &self.span {
            Some(span) => span.in_scope(tell),
            None => tell(),
        }
    }
}

impl Observe for Tracing {
    fn open(&mut self, stream: &Opened<'_>) {
        let last_event_id = stream.last_event_id.map(|id| id.as_str());
        self.span = Some(
            tracing::info_span!(target: TARGET, "sse_stream", path = stream.uri.path(), last_event_id),
        );
        self.told(|| info!(target: TARGET, "stream open"));
    }

    fn first_event(&mut self, after: Duration) {
        self.told(|| debug!(target: TARGET, ?after, "first event"));
    }

    fn gap(&mut self) {
        self.told(|| info!(target: TARGET, "events asked for are gone"));
    }

    fn lag(&mut self, missed: u64) {
        self.told(|| info!(target: TARGET, missed, "client too slow"));
    }

    fn keep_alive(&mut self) {
        self.told(|| trace!(target: TARGET, "keep-alive"));
    }

    fn close(&mut self, stream: &Closed) {
        let Closed { reason, open_for, events, bytes, .. } = stream;
        let reason_name = reason.as_str();
        self.told(|| match reason {
            CloseReason::Failed => {
                warn!(target: TARGET, reason = reason_name, ?open_for, events, bytes, "stream over");
            }
            CloseReason::Ended
            | CloseReason::ClientLeft
            | CloseReason::Lagged
            | CloseReason::Drained
            | CloseReason::LifetimeOver => {
                info!(target: TARGET, reason = reason_name, ?open_for, events, bytes, "stream over");
            }
        });
        self.span = None;
    }

    fn refused(&mut self, stream: &Opened<'_>) {
        warn!(target: TARGET, path = stream.uri.path(), "stream refused: there are as many as may be");
    }
}
