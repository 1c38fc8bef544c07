//! One client, one origin stream.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING, VIA};
use http::{HeaderValue, StatusCode, Version};
use pingora::protocols::http::ServerSession;
use sse_layer::{Event, Repairs};

use crate::batch::Batch;
use crate::config::{Retry, Route};
use crate::downstream::{Downstream, End, jitter};
use crate::drain::Draining;
use crate::feeds::Feeds;
use crate::origin::{Answer, Intake, OriginError, Response, StreamHead, copy_end_to_end};
use crate::report::{report_failure, report_repairs};
use crate::request::{LAST_EVENT_ID, Request};
use crate::session::{fail, head, leave};
use crate::source::for_clients;

/// Asks the origin what the client asked. `None` if the client went away before the answer.
pub(crate) async fn ask(
    session: &mut ServerSession,
    feeds: &Feeds,
    route: &Route,
    request: &Request,
) -> Option<Result<Answer, OriginError>> {
    let last_event_id = request.headers.get(LAST_EVENT_ID).map(HeaderValue::as_bytes);
    let answer = async {
        let last_event_id = last_event_id.unwrap_or_default();
        let response = feeds.origins().open(route, request, last_event_id).await?;
        Answer::of(response, route, request).await
    };
    tokio::select! {
        answer = answer => Some(answer),
        () = leave(session) => None,
    }
}

/// Answers a request that nobody else may have the answer to.
pub(crate) async fn serve(
    mut session: ServerSession,
    feeds: Feeds,
    route: Arc<Route>,
    request: Request,
    draining: Draining,
) -> pingora::Result<()> {
    match ask(&mut session, &feeds, &route, &request).await {
        Some(Ok(Answer::Stream(response, head))) => {
            stream(session, feeds, route, response, head, draining).await
        }
        Some(Ok(Answer::Other(response))) => {
            pass(&mut session, &feeds, &route, response).await?;
            session.finish().await.map(drop)
        }
        Some(Err(error)) => {
            report_failure(&route, &error);
            fail(session, &request).await
        }
        None => Ok(()),
    }
}

/// Passes the origin's stream on to its client.
pub(crate) async fn stream(
    session: ServerSession,
    feeds: Feeds,
    route: Arc<Route>,
    mut response: Response,
    mut head: StreamHead,
    draining: Draining,
) -> pingora::Result<()> {
    let repaired = head.repaired();
    let mut intake = Intake::new(&mut head, route.repair, feeds.event_bytes());
    report_repairs(&route, repaired, intake.news());
    let mut downstream =
        Downstream::open(session, head.headers(), route.keep_alive, draining).await?;
    drop(head);
    let passed = pass_all(&mut downstream, &mut response, &mut intake, &route).await;
    let end = match passed {
        Ok(()) => {
            let rest = intake.into_remainder();
            let written = downstream.write(rest, std::future::pending()).await;
            written.map_or_else(|end| end, |()| End::OriginEnded)
        }
        Err(end) => end,
    };
    tracing::debug!(route = %route.path, ?end, "stream ended");
    downstream.end(end, None).await;
    if end == End::OriginEnded {
        feeds.origins().release(&route, response).await;
    }
    Ok(())
}

async fn pass_all(
    downstream: &mut Downstream,
    response: &mut Response,
    intake: &mut Intake,
    route: &Route,
) -> Result<(), End> {
    if let Retry::Ours(retry) = route.retry {
        let begin = Event::new().retry(jitter(retry)).to_bytes();
        downstream.write(begin, std::future::pending()).await?;
    }
    let mut is_first = true;
    while let Some(chunk) = next(downstream, response, route).await? {
        intake.push(chunk);
        write_frames(downstream, intake, route, &mut is_first).await?;
    }
    intake.finish(response.is_delimited());
    write_frames(downstream, intake, route, &mut is_first).await
}

async fn next(
    downstream: &mut Downstream,
    response: &mut Response,
    route: &Route,
) -> Result<Option<Bytes>, End> {
    downstream.wait(response.chunk()).await?.map_err(|error| failed(route, &error))
}

/// Writes the frames that have come.
async fn write_frames(
    downstream: &mut Downstream,
    intake: &mut Intake,
    route: &Route,
    is_first: &mut bool,
) -> Result<(), End> {
    loop {
        let frames = frames(intake, route, is_first).map_err(|error| failed(route, &error))?;
        if frames.is_empty() {
            return Ok(());
        }
        downstream.write(frames, std::future::pending()).await?;
    }
}

fn failed(route: &Route, error: &OriginError) -> End {
    tracing::warn!(route = %route.path, upstream = %route.upstream, %error, "stream broke off");
    End::OriginFailed
}

/// Some of the frames that have come, or nothing if there is none.
fn frames(intake: &mut Intake, route: &Route, is_first: &mut bool) -> Result<Bytes, OriginError> {
    let mut batch = Batch::default();
    while !batch.is_full()
        && let Some(frame) = intake.next_frame()?
    {
        let frame = for_clients(route, frame).into_bytes();
        if std::mem::take(is_first) && frame.starts_with("\u{feff}".as_bytes()) {
            // Standing first, this character would be taken for a mark and dropped.
            batch.joined().extend_from_slice(b":\n");
        }
        batch.push(frame);
    }
    report_repairs(route, Repairs::NONE, intake.news());
    Ok(batch.into_bytes())
}

/// Passes on an answer that is not a stream. Returns whether the client's connection can serve
/// another request.
pub(crate) async fn pass(
    session: &mut ServerSession,
    feeds: &Feeds,
    route: &Route,
    mut response: Response,
) -> pingora::Result<()> {
    let headers = copy_end_to_end(&response.headers);
    let mut head = head(response.status, &headers)?;
    head.append_header(VIA, crate::origin::via(Version::HTTP_11))?;
    let may_have_body =
        !matches!(response.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if may_have_body && !headers.contains_key(CONTENT_LENGTH) {
        // Of a body without a length the end must be told: by the last chunk, or by closing.
        if session.req_header().version >= Version::HTTP_11 {
            head.insert_header(TRANSFER_ENCODING, "chunked")?;
        } else {
            session.set_keepalive(None);
        }
    }
    session.write_response_header(Box::new(head)).await?;
    loop {
        let chunk = tokio::select! {
            biased;
            chunk = response.chunk() => chunk,
            () = leave(session) => return Err(pingora::Error::new(pingora::ErrorType::ConnectionClosed)),
        };
        match chunk {
            Ok(Some(chunk)) => session.write_response_body(chunk, false).await?,
            Ok(None) => break,
            Err(error) => {
                // The client must see that something is missing.
                return Err(pingora::Error::explain(
                    pingora::ErrorType::ReadError,
                    error.to_string(),
                ));
            }
        }
    }
    session.write_response_body(Bytes::new(), true).await?;
    feeds.origins().release(route, response).await;
    Ok(())
}
