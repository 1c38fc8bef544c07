//! [`Source`]: reads a feed's origin, and reconnects while the readers stay.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use sse_layer::feed::{Feed, Status};
use sse_layer::{Event, Field, Frame};
use tokio::sync::{Notify, watch};

use crate::config::{OnOriginError, Retry, Route};
use crate::origin::{Answer, Intake, OriginError, Origins, Response, StreamHead};
use crate::pace::Pace;
use crate::reconnect::{LEAST_PAUSE, Reconnect, is_passing};
use crate::record::Recorded;
use crate::request::Request;

/// How many events are published in one go.
const BURST: u32 = 64;

/// How the first request to a feed's origin went.
#[derive(Clone, Debug)]
pub(crate) enum Opening {
    /// No answer yet.
    Pending,
    /// A stream, under this head.
    Open(Arc<HeaderMap>),
    /// Something else.
    Refused(Arc<Refusal>),
    /// No answer came about; it is being tried again.
    Failed,
}

/// An origin's answer that is not a stream. The first who takes it passes it on; the others may
/// have its head, or ask for themselves.
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    answer: Mutex<Option<Response>>,
}

impl Refusal {
    fn new(mut answer: Response) -> Self {
        // It was not asked for on behalf of one client.
        answer.headers.remove(SET_COOKIE);
        let (status, headers) = (answer.status, answer.headers.clone());
        Self { status, headers, answer: Mutex::new(Some(answer)) }
    }

    pub(crate) fn take(&self) -> Option<Response> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The same without its body.
    pub(crate) fn head(&self) -> Response {
        Response::without_body(self.status, self.headers.clone())
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Reads a feed's origin.
pub(crate) struct Source {
    pub(crate) origins: Arc<Origins>,
    /// The greatest size of one event.
    pub(crate) event_bytes: usize,
    /// How long the feed goes on without readers.
    pub(crate) linger: Duration,
    /// Takes the feed from those that can be joined; answers whether it is gone from there.
    pub(crate) forget: Box<dyn Fn(Forget) -> bool + Send + Sync>,
    pub(crate) route: Arc<Route>,
    pub(crate) request: Request,
    pub(crate) feed: Feed,
    /// How far ahead of the feed's writers it may be.
    pub(crate) pace: Arc<Pace>,
    pub(crate) recorded: Recorded,
    pub(crate) opened: watch::Sender<Opening>,
    /// Somebody has come who wants the origin tried now.
    pub(crate) nudge: Arc<Notify>,
}

/// When a feed is to be taken from those that can be joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forget {
    /// If nobody reads it.
    Unread,
    /// In any case.
    Now,
}

/// How one connection to the origin ended.
enum Ended {
    /// The stream ended, in order or not, or the origin could not be reached: it is tried again.
    ForNow(String),
    /// The origin said that there is no more to come, or that there never was a stream.
    ForGood(Arc<Refusal>),
}

impl Source {
    /// Runs until the feed is over or nobody has read it for the time the route allows.
    pub(crate) async fn run(self) {
        tokio::select! {
            () = self.read() => {}
            () = self.unread() => {}
        }
    }

    /// Resolves when the feed has had no reader for as long as it may, and is forgotten.
    async fn unread(&self) {
        let mut readers = self.feed.readers();
        loop {
            readers.wait_for_any(false).await;
            let joined = readers.wait_for_any(true);
            let unread = tokio::time::timeout(self.linger, joined).await.is_err();
            if unread && (self.forget)(Forget::Unread) {
                return;
            }
        }
    }

    async fn read(&self) {
        let mut reconnect = Reconnect::new(&self.route);
        loop {
            let ended = self.stream(&mut reconnect).await;
            let reason = match ended.unwrap_or_else(|error| Ended::ForNow(error.to_string())) {
                Ended::ForNow(reason) => reason,
                Ended::ForGood(refusal) => return self.refuse(refusal).await,
            };
            self.recorded.failed(&reason);
            self.recorded.counts.total.reconnects.inc();
            let pause = reconnect.pause(&reason);
            self.feed.set_status(Status::Connecting { reason: reason.into(), retry: pause });
            self.move_on(&Opening::Pending, Opening::Failed);
            let nudged = async {
                // Many who ask at once have it tried once.
                tokio::time::sleep(LEAST_PAUSE).await;
                self.nudge.notified().await;
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = nudged => {}
            }
            self.move_on(&Opening::Failed, Opening::Pending);
        }
    }

    /// Opens the origin's stream, and reads it to its end.
    async fn stream(&self, reconnect: &mut Reconnect<'_>) -> Result<Ended, OriginError> {
        let last_event_id = self.feed.last_event_id();
        let response = self.origins.open(&self.route, &self.request, &last_event_id).await?;
        let (mut response, mut head) = match self.look_at(response).await? {
            Answer::Stream(response, head) => (response, head),
            Answer::Other(response) => return Ok(self.not_a_stream(response)),
        };
        let record = Arc::clone(self.recorded.record());
        let mut intake = Intake::new(&mut head, self.route.repair, self.event_bytes, record);
        reconnect.opened();
        self.feed.set_status(Status::Open);
        self.open(head);
        let passed = self.pass(&mut response, &mut intake, reconnect).await;
        reconnect.told(intake.pending_retry());
        passed.map(|()| Ended::ForNow("the origin ended the stream".to_owned()))
    }

    /// Publishes what comes, to the origin's orderly end.
    async fn pass(
        &self,
        response: &mut Response,
        intake: &mut Intake,
        reconnect: &mut Reconnect<'_>,
    ) -> Result<(), OriginError> {
        let mut has_new = false;
        while let Some(chunk) = response.chunk().await? {
            intake.push(chunk);
            self.publish(intake, reconnect, &mut has_new).await?;
        }
        intake.finish(response.is_delimited());
        self.publish(intake, reconnect, &mut has_new).await
    }

    async fn look_at(&self, response: Response) -> Result<Answer, OriginError> {
        Answer::of(response, &self.route, &self.request, |odd| self.recorded.odd(&odd)).await
    }

    /// Publishes the frames that have come. If they are many, the readers have a chance to take
    /// some before the rest follows: a burst of its origin makes no reader a slow one.
    ///
    /// `has_new`: there has been an event that was new. What an origin begins with may be what it has
    /// sent before, as where it goes on with the last event instead of after it, or does not know
    /// of ids at all: that is for nobody.
    async fn publish(
        &self,
        intake: &mut Intake,
        reconnect: &mut Reconnect<'_>,
        has_new: &mut bool,
    ) -> Result<(), OriginError> {
        let mut published = 0;
        while let Some(frame) = intake.next_frame()? {
            if frame.has_data() {
                reconnect.is_good();
            }
            reconnect.told(frame.retry());
            let frame = for_clients(&self.route, frame);
            if !*has_new && frame.has_data() {
                *has_new = !self.feed.has(frame.clone());
                if !*has_new {
                    continue;
                }
            }
            self.pace.publish(frame.bytes().len());
            self.feed.publish(frame);
            published += 1;
            if published % BURST == 0 {
                tokio::task::yield_now().await;
            }
            self.pace.keep().await;
        }
        Ok(())
    }

    fn open(&self, head: StreamHead) {
        self.move_on(&Opening::Pending, Opening::Open(Arc::new(head.for_everybody())));
    }

    /// Tells those who wait for the origin's first answer; whoever has had one keeps it.
    fn move_on(&self, from: &Opening, to: Opening) {
        self.opened.send_if_modified(|opening| {
            let moves = std::mem::discriminant(opening) == std::mem::discriminant(from);
            if moves {
                *opening = to;
            }
            moves
        });
    }

    /// Decides whether an answer that is no stream is final, as it would be to a browser.
    fn not_a_stream(&self, response: Response) -> Ended {
        let status = response.status;
        let was_open = !matches!(*self.opened.borrow(), Opening::Pending);
        let is_held = self.route.on_origin_error == OnOriginError::Hold;
        if is_passing(status) && (was_open || is_held) {
            return Ended::ForNow(format!("status {status}"));
        }
        Ended::ForGood(Arc::new(Refusal::new(response)))
    }

    /// Ends the feed for good. If the origin said that no more is to come (204), whoever asks
    /// again soon is told the same without asking the origin.
    async fn refuse(&self, refusal: Arc<Refusal>) {
        let status = refusal.status;
        tracing::info!(route = %self.route.path, upstream = %self.route.upstream, %status, "feed closed");
        let ended = status == StatusCode::NO_CONTENT;
        if !ended {
            (self.forget)(Forget::Now);
        }
        self.opened.send_replace(Opening::Refused(refusal));
        self.feed.set_status(Status::Closed { status: status.as_u16() });
        if ended {
            self.unread().await;
        }
    }
}

/// The frame as clients get it: without a reconnection time, if the route has one of its own.
pub(crate) fn for_clients(route: &Route, frame: Frame) -> Frame {
    match route.retry {
        Retry::Pass => frame,
        Retry::Ours(_) => without_retry(frame),
    }
}

fn without_retry(frame: Frame) -> Frame {
    // One without a number, or with a huge one, is unknown to the standard, and not to all clients.
    let is_retry = |field: &Field<'_>| {
        matches!(field, Field::Retry(_) | Field::Unknown { name: b"retry", .. })
    };
    if !frame.fields().any(|field| is_retry(&field)) {
        return frame;
    }
    let lines = frame.fields().filter(|field| !is_retry(field));
    let mut out = Vec::with_capacity(frame.bytes().len() + 1);
    // Standing first, a U+FEFF of the block's would be taken for the stream's mark and dropped.
    out.push(b'\n');
    for field in lines {
        let (name, value): (&[u8], &[u8]) = match field {
            Field::Event(value) => (b"event", value),
            Field::Data(value) => (b"data", value),
            Field::Id(value) => (b"id", value),
            Field::Comment(value) => (b"", value),
            Field::Unknown { name, value } => (name, value),
            _ => continue,
        };
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.push(b'\n');
    }
    out.push(b'\n');
    let mut framer = sse_layer::Framer::new().with_limit(usize::MAX);
    framer.push(out.into());
    framer.next_frame().ok().flatten().unwrap_or_else(|| Event::new().comment("").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_reconnection_time_is_taken_out() {
        let event = Event::new()
            .event("t".try_into().unwrap())
            .id(7.into())
            .retry(Duration::from_secs(1))
            .data("a\n b");
        let frame = without_retry(event.into());
        assert_eq!(frame.bytes(), "event: t\nid: 7\ndata: a\ndata:  b\n\n");
        let bare = without_retry(Event::new().retry(Duration::from_secs(1)).into());
        assert!(!bare.has_data() && bare.retry().is_none());
    }

    /// A block as it comes after another.
    fn block(text: &str) -> Frame {
        let mut framer = sse_layer::Framer::new();
        framer.push(format!(":\n\n{text}").into());
        framer.next_frame().unwrap().unwrap();
        framer.next_frame().unwrap().unwrap()
    }

    #[test]
    fn what_only_some_clients_take_for_a_reconnection_time_is_taken_out_too() {
        for retry in ["retry", "retry:", "retry: 99999999999999999999", "retry: 2s"] {
            let frame = block(&format!("{retry}\ndata: a\n\n"));
            assert_eq!(without_retry(frame).bytes(), "data: a\n\n", "{retry}");
        }
    }

    #[test]
    fn a_block_that_begins_with_a_byte_order_mark_keeps_it() {
        let frame = without_retry(block("\u{feff}data: a\nretry: 5\n\n"));
        assert!(!frame.has_data(), "{:?}", frame.bytes());
        assert!(frame.bytes().starts_with("\u{feff}".as_bytes()));
    }
}
