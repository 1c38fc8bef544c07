//! One client, one origin stream.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use sse_layer::{Event, Frame, Repairs};
use tokio::time::Instant;

use crate::batch::Batch;
use crate::client::Client;
use crate::config::{Retry, Route};
use crate::connection::Connection;
use crate::downstream::{Downstream, End, jitter};
use crate::feeds::Feeds;
use crate::limits::Seat;
use crate::numbers::Numbers;
use crate::origin::{Answer, Intake, OriginError, Response, StreamHead};
use crate::plain;
use crate::record::Recorded;
use crate::report::report_failure;
use crate::request::{LAST_EVENT_ID, Request};
use crate::source::for_clients;
use crate::visit::Visit;

/// Asks the origin what the client asked. `None` if the client went away before the answer.
pub(crate) async fn ask(
    client: &mut Client,
    feeds: &Feeds,
    route: &Route,
    request: &Request,
) -> Option<Result<Answer, OriginError>> {
    let mut request = Cow::Borrowed(request);
    if has_our_id(route, &request) {
        request.to_mut().headers.remove(LAST_EVENT_ID);
    }
    let request = request.as_ref();
    let last_event_id = request.headers.get(LAST_EVENT_ID).map(HeaderValue::as_bytes);
    let answer = async {
        let last_event_id = last_event_id.unwrap_or_default();
        let response = feeds.origins().open(route, request, last_event_id).await?;
        let hint = feeds.records().hint_for(route, request);
        Answer::of(response, route, request, hint).await
    };
    tokio::select! {
        answer = answer => Some(answer),
        () = client.leave() => None,
    }
}

/// Whether the client comes back with an id of ours.
fn has_our_id(route: &Route, request: &Request) -> bool {
    let id = request.headers.get(LAST_EVENT_ID);
    let is_ours = id.is_some_and(|id| Numbers::is_ours(id.as_bytes()));
    route.repair.contains(Repairs::ADD_IDS) && is_ours
}

/// Answers a request that nobody else may have the answer to.
pub(crate) async fn serve(
    mut client: Client,
    feeds: Feeds,
    route: Arc<Route>,
    request: Request,
    seat: Seat,
) -> pingora::Result<Option<Connection>> {
    match ask(&mut client, &feeds, &route, &request).await {
        Some(Ok(Answer::Stream(response, head))) => {
            open(client, feeds, route, request, response, head, seat).await?;
            Ok(None)
        }
        Some(Ok(Answer::Other(response))) => Box::pin(plain::pass_to(client, response)).await,
        Some(Err(error)) => {
            report_failure(&route, &error);
            Box::pin(client.fail(&request)).await?;
            Ok(None)
        }
        None => Ok(None),
    }
}

/// Begins to pass the origin's stream on to its client, and leaves the rest to a task of its own.
async fn open(
    client: Client,
    feeds: Feeds,
    route: Arc<Route>,
    request: Request,
    response: Response,
    mut head: StreamHead,
    seat: Seat,
) -> pingora::Result<()> {
    let mut begin = BytesMut::new();
    if let Retry::Ours(retry) = route.retry {
        Event::new().retry(jitter(retry)).encode(&mut begin);
    }
    let has_gap = has_our_id(&route, &request);
    if has_gap {
        // What it missed was kept by nobody.
        Event::new().comment("gap").encode(&mut begin);
    }
    let begin = begin.freeze();
    let downstream =
        Downstream::open(client, head.headers(), begin, route.keep_alive, seat).await?;
    let mut relay = Relay::new(downstream, &feeds, route, &request);
    if has_gap {
        relay.visit.gap();
    }
    let intake = relay.intake(&mut head, &feeds);
    tokio::spawn(relay.run(response, intake));
    Ok(())
}

/// One origin stream on its way to its only client.
pub(crate) struct Relay {
    pub(crate) downstream: Downstream,
    visit: Visit,
    recorded: Recorded,
    route: Arc<Route>,
    /// What numbers the events, if that is to be done.
    numbers: Option<Numbers>,
    /// Nothing of the origin's has been passed on.
    is_first: bool,
}

impl Relay {
    /// For a client whose stream has been opened.
    pub(crate) fn new(
        downstream: Downstream,
        feeds: &Feeds,
        route: Arc<Route>,
        request: &Request,
    ) -> Self {
        let recorded = feeds.records().open(&route, request, None);
        let record = recorded.record();
        let visit = Visit::open(Arc::clone(&record.counts), Some(Arc::clone(record)), request);
        let numbers = route.repair.contains(Repairs::ADD_IDS).then(Numbers::new);
        Self { downstream, visit, recorded, route, numbers, is_first: true }
    }

    /// What makes frames of the body that follows `head`.
    pub(crate) fn intake(&self, head: &mut StreamHead, feeds: &Feeds) -> Intake {
        let record = Arc::clone(self.recorded.record());
        Intake::new(head, self.route.repair, feeds.event_bytes(), record)
    }

    /// Passes the origin's stream on to its client. Returns the connection if it can be used
    /// again, as the other ways to end do.
    pub(crate) async fn run(
        mut self,
        mut response: Response,
        mut intake: Intake,
    ) -> Option<Connection> {
        let passed = self.pass_all(&mut response, &mut intake).await;
        let mut end = passed.err().unwrap_or(End::OriginEnded);
        if end == End::OriginEnded {
            let rest = intake.into_remainder();
            let written = self.downstream.write(rest, std::future::pending()).await;
            end = written.err().unwrap_or(End::OriginEnded);
        }
        self.end(end, end).await
    }

    /// Tells the client something of our own, and ends its stream.
    pub(crate) async fn tell(mut self, event: Event, why: End) -> Option<Connection> {
        let event = event.to_bytes();
        let bytes = event.len();
        let written = self.downstream.write(event, std::future::pending()).await;
        if written.is_ok() {
            self.visit.wrote(1, bytes, None);
        }
        self.end(why, written.err().unwrap_or(End::OriginEnded)).await
    }

    /// Ends the client's stream as `end` asks for, which came about through `why`.
    pub(crate) async fn end(self, why: End, end: End) -> Option<Connection> {
        let Self { downstream, visit, recorded, .. } = self;
        visit.end(why);
        let connection = downstream.end(end, None).await;
        drop(recorded);
        connection
    }

    /// Passes on what the origin sends, to its orderly end.
    async fn pass_all(&mut self, response: &mut Response, intake: &mut Intake) -> Result<(), End> {
        loop {
            let chunk = self.downstream.wait(response.chunk()).await?;
            match chunk.map_err(|error| self.failed(&error))? {
                Some(chunk) => intake.push(chunk),
                None => break,
            }
            self.write_frames(intake).await?;
        }
        intake.finish(response.is_delimited());
        self.write_frames(intake).await
    }

    /// Writes the frames that have come.
    async fn write_frames(&mut self, intake: &mut Intake) -> Result<(), End> {
        let came = Instant::now();
        loop {
            let batch = self.frames(intake).map_err(|error| self.failed(&error))?;
            let events = batch.events();
            let frames = batch.into_bytes();
            let bytes = frames.len();
            if bytes == 0 {
                return Ok(());
            }
            self.downstream.write(frames, std::future::pending()).await?;
            self.visit.wrote(events, bytes, Some(came));
        }
    }

    /// Some of the frames that have come, or nothing if there is none.
    fn frames(&mut self, intake: &mut Intake) -> Result<Batch, OriginError> {
        let mut batch = Batch::default();
        while !batch.is_full()
            && let Some(frame) = intake.next_frame()?
        {
            let frame = for_clients(&self.route, frame);
            let is_event = frame.has_data();
            let frame = self.numbered(frame);
            if std::mem::take(&mut self.is_first) && frame.starts_with("\u{feff}".as_bytes()) {
                // Standing first, this character would be taken for a mark and dropped.
                batch.joined().extend_from_slice(b":\n");
            }
            if is_event { batch.push_event(frame) } else { batch.push(frame) }
        }
        Ok(batch)
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
