//! `on_origin_error = "hold"`: clients that do not see their origin fail.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, ORIGIN};
use http::{HeaderMap, HeaderValue};
use sse_layer::Event;
use tokio::time::Instant;

use crate::client::Client;
use crate::config::{OnOriginError, Retry, Route};
use crate::connection::Connection;
use crate::cors;
use crate::downstream::Downstream;
use crate::feeds::Feeds;
use crate::frames::Frames;
use crate::limits::Seat;
use crate::origin::{Answer, Intake, OriginError, Response};
use crate::plain;
use crate::reconnect::{Reconnect, is_passing};
use crate::record::Record;
use crate::request::{LAST_EVENT_ID, Request};
use crate::source::for_clients;
use crate::stream::{End, KEEP_ALIVE, jitter};
use crate::visit::Visit;

/// The reconnection time of a client whose origin has not yet said one.
const RETRY: Duration = Duration::from_secs(3);

/// Whether the client is not to see its origin fail.
pub(crate) fn is_held(route: &Route, request: &Request) -> bool {
    route.on_origin_error == OnOriginError::Hold && request.takes_events()
}

/// Whether a held client may be answered before its origin has been heard. A page of another site
/// may read the stream only if the origin says so, unless the route does; otherwise its client is
/// cut off instead, and comes back.
pub(crate) fn may_begin_early(route: &Route, request: &Request) -> bool {
    route.cors.is_some() || !request.headers.contains_key(ORIGIN)
}

/// How long the head for a held client waits for that of the origin: as long as there may be
/// silence.
pub(crate) fn patience(route: &Route) -> Duration {
    if route.keep_alive.is_zero() { Duration::MAX } else { route.keep_alive }
}

/// The head of a stream whose origin has not been heard.
pub(crate) fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, no-transform"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    headers
}

/// The same, for the client that sent this request.
pub(crate) fn early_headers(route: &Route, request: &Request) -> HeaderMap {
    let mut headers = headers();
    cors::decide(route, request, &mut headers);
    headers
}

/// What a held stream begins with, if it begins before its origin has been heard.
pub(crate) fn early_begin(route: &Route) -> Bytes {
    match route.retry {
        Retry::Ours(_) => begin(route),
        Retry::Pass => Event::new().retry(jitter(RETRY)).to_bytes(),
    }
}

/// What it begins with otherwise: something, so that a byte order mark is never the first.
fn begin(route: &Route) -> Bytes {
    match route.retry {
        Retry::Ours(retry) => Event::new().retry(jitter(retry)).to_bytes(),
        Retry::Pass => Bytes::from_static(KEEP_ALIVE),
    }
}

/// Answers a request that nobody else may have the answer to: the origin is asked anew whenever
/// its stream ends, and the client sees one stream.
pub(crate) async fn serve(
    mut client: Client,
    feeds: Feeds,
    route: Arc<Route>,
    mut request: Request,
    seat: Seat,
) -> pingora::Result<Option<Connection>> {
    let last_event_id = request.headers.remove(LAST_EVENT_ID);
    let last_event_id = last_event_id.map(|id| Bytes::copy_from_slice(id.as_bytes()));
    let last_event_id = last_event_id.unwrap_or_default();
    let may_begin_early = may_begin_early(&route, &request);
    let held = Held { feeds, route, request };
    let mut asking = Box::pin(held.ask(&last_event_id));
    let first = tokio::select! {
        answer = &mut asking => Some(answer),
        () = client.leave() => return Ok(None),
        () = tokio::time::sleep(patience(&held.route)), if may_begin_early => None,
    };
    let (route, request) = (&held.route, &held.request);
    let (first, headers, begin) = match first {
        Some(Ok(Answer::Other(response))) if !is_passing(response.status) => {
            return Box::pin(plain::pass_to(client, response)).await;
        }
        Some(Ok(Answer::Stream(response, head))) => {
            let headers = head.headers().clone();
            (Some(Ok(Answer::Stream(response, head))), headers, begin(route))
        }
        Some(_) if !may_begin_early => {
            client.fail(request).await?;
            return Ok(None);
        }
        first => (first, early_headers(route, request), early_begin(route)),
    };
    let recorded = held.feeds.records().open(route, request);
    let record = recorded.record();
    let downstream = Downstream::open(client, &headers, begin, route.keep_alive, seat).await?;
    let mut told = Told {
        downstream,
        visit: Visit::open(Arc::clone(&record.counts), Some(Arc::clone(record)), request),
        last_event_id: last_event_id.clone(),
    };
    let passed = async {
        let first = match first {
            Some(first) => first,
            None => told.downstream.wait(&mut asking).await?,
        };
        held.pass_all(&mut told, first, record).await
    };
    let end = match passed.await {
        Ok(()) => End::OriginEnded,
        Err(end) => end,
    };
    told.visit.end(end);
    told.downstream.end(end, None).await;
    Ok(None)
}

/// A client's request, which is made as often as it takes.
struct Held {
    feeds: Feeds,
    route: Arc<Route>,
    request: Request,
}

/// The client, and how far it has got.
struct Told {
    downstream: Downstream,
    visit: Visit,
    /// The id of the last event that it has.
    last_event_id: Bytes,
}

impl Held {
    async fn ask(&self, last_event_id: &[u8]) -> Result<Answer, OriginError> {
        let (route, request) = (&self.route, &self.request);
        let response = self.feeds.origins().open(route, request, last_event_id).await?;
        let tell = self.feeds.records().odd_for(route, request);
        Answer::of(response, route, request, tell).await
    }

    /// Passes on what the origin sends, however often it has to be asked, until it has an answer
    /// that is no stream: the client's next request gets that.
    async fn pass_all(
        &self,
        told: &mut Told,
        first: Result<Answer, OriginError>,
        record: &Arc<Record>,
    ) -> Result<(), End> {
        let mut reconnect = Reconnect::new(&self.route);
        let mut answer = first;
        loop {
            let reason = match answer {
                Ok(Answer::Stream(response, mut head)) => {
                    let (limit, record) = (self.feeds.event_bytes(), Arc::clone(record));
                    let mut intake = Intake::new(&mut head, self.route.repair, limit, record);
                    reconnect.opened();
                    let reason = self.pass(told, response, &mut intake, &mut reconnect).await?;
                    reconnect.told(intake.pending_retry());
                    reason
                }
                Ok(Answer::Other(response)) if is_passing(response.status) => {
                    format!("status {}", response.status)
                }
                Ok(Answer::Other(_)) => return Ok(()),
                Err(error) => error.to_string(),
            };
            record.failed(&reason);
            record.counts.total.reconnects.inc();
            let pause = reconnect.pause(&reason);
            told.downstream.wait(tokio::time::sleep(pause)).await?;
            answer = told.downstream.wait(self.ask(&told.last_event_id)).await?;
        }
    }

    /// Passes on one stream of the origin, and returns why it ended. Only whole frames pass: what
    /// another stream begins with is not the rest of them.
    async fn pass(
        &self,
        told: &mut Told,
        mut response: Response,
        intake: &mut Intake,
        reconnect: &mut Reconnect<'_>,
    ) -> Result<String, End> {
        loop {
            let chunk = match told.downstream.wait(response.chunk()).await? {
                Ok(chunk) => chunk,
                Err(error) => return Ok(error.to_string()),
            };
            let has_ended = chunk.is_none();
            match chunk {
                Some(chunk) => intake.push(chunk),
                None => intake.finish(response.is_delimited()),
            }
            if let Err(error) = told.write_frames(&self.route, intake, reconnect).await? {
                return Ok(error.to_string());
            }
            if has_ended {
                return Ok("the origin ended the stream".to_owned());
            }
        }
    }
}

impl Told {
    /// Writes the frames that have come. The inner error is the origin's.
    async fn write_frames(
        &mut self,
        route: &Route,
        intake: &mut Intake,
        reconnect: &mut Reconnect<'_>,
    ) -> Result<Result<(), OriginError>, End> {
        let came = Instant::now();
        loop {
            let mut frames = Frames::default();
            let filled = self.fill(&mut frames, route, intake, reconnect);
            let events = frames.events();
            let frames = frames.into_bytes();
            let bytes = frames.len();
            if events > 0 {
                reconnect.is_good();
            }
            if bytes > 0 {
                self.downstream.write(frames, std::future::pending()).await?;
                self.visit.wrote(events, bytes, Some(came));
            }
            if filled.is_err() || bytes == 0 {
                return Ok(filled);
            }
        }
    }

    /// Takes frames that have come, as many as are written at once.
    fn fill(
        &mut self,
        frames: &mut Frames,
        route: &Route,
        intake: &mut Intake,
        reconnect: &mut Reconnect<'_>,
    ) -> Result<(), OriginError> {
        while !frames.is_full()
            && let Some(frame) = intake.next_frame()?
        {
            if let Some(id) = frame.id() {
                self.last_event_id = Bytes::copy_from_slice(id);
            }
            reconnect.told(frame.retry());
            let is_event = frame.has_data();
            let frame = for_clients(route, frame).into_bytes();
            if is_event { frames.push_event(frame) } else { frames.push(frame) }
        }
        Ok(())
    }
}
