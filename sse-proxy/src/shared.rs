//! A client's stream from a feed that others read too.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, StatusCode};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use sse_layer::Event;
use sse_layer::feed::{Item, Lag, Reader, Status};

use crate::config::{Retry, Route};
use crate::downstream::{Downstream, End, KEEP_ALIVE, jitter};
use crate::drain::Draining;
use crate::feeds::{Feeds, start_after};
use crate::origin::remove_hop_by_hop;
use crate::request::Request;
use crate::session::{leave, respond};
use crate::source::{Opening, Refusal};

/// Answers a request with the feed that it is for.
pub(crate) async fn serve(
    mut session: ServerSession,
    feeds: Feeds,
    route: Arc<Route>,
    mut request: Request,
    draining: Draining,
) -> pingora::Result<()> {
    let last_event_id = request.take_last_event_id();
    let mut reader = Reader::new(lag(&route));
    let joined = feeds.join(&route, &request, &mut reader, start_after(&last_event_id));
    let Ok(mut joined) = joined else {
        return respond(session, 503, "This route has as many feeds open as it may.\n").await;
    };
    let opening = tokio::select! {
        opening = joined.opened() => opening,
        () = leave(&mut session) => return Ok(()),
    };
    let headers = match opening {
        Opening::Open(headers) => headers,
        Opening::Refused(refusal) => return pass(session, &refusal).await,
        Opening::Failed | Opening::Pending => return fail(session, &request).await,
    };
    let mut downstream = Downstream::open(session, &headers, route.keep_alive, draining).await?;
    let begin = match route.retry {
        Retry::Ours(retry) => Some(jitter(retry)),
        Retry::Pass => joined.feed.retry(),
    };
    // Something comes at once, so that whoever is in between passes the head on.
    let begin =
        begin.map_or(Bytes::from_static(KEEP_ALIVE), |retry| Event::new().retry(retry).to_bytes());
    let end = match write_all(&mut downstream, &mut reader, begin).await {
        Ok(end) | Err(end) => end,
    };
    tracing::debug!(route = %route.path, ?end, "stream ended");
    downstream.end(end, None).await;
    Ok(())
}

/// The route's bounds on how far a reader may fall behind.
pub(crate) fn lag(route: &Route) -> Lag {
    let lag = &route.lag;
    Lag::default().events(lag.events).bytes(lag.bytes.0 as u64).policy(lag.policy.into())
}

async fn write_all(
    downstream: &mut Downstream,
    reader: &mut Reader,
    begin: Bytes,
) -> Result<End, End> {
    downstream.write(begin, lagged(reader)).await?;
    let mut items = Vec::new();
    loop {
        if downstream.wait(reader.next(&mut items)).await?.is_err() {
            return Err(End::Lagged);
        }
        let mut closed = false;
        let mut frames = BytesMut::new();
        let mut only = None;
        for item in items.drain(..) {
            match item {
                Item::Event { entry, .. } if frames.is_empty() && only.is_none() => {
                    only = Some(entry.frame().bytes().clone());
                }
                Item::Event { entry, .. } => {
                    frames.extend_from_slice(&only.take().unwrap_or_default());
                    frames.extend_from_slice(entry.frame().bytes());
                }
                Item::Gap { .. } => Event::new().comment("gap").encode(&mut frames),
                Item::Lagged { missed, .. } => missed.event().encode(&mut frames),
                Item::Status { status: Status::Closed { .. }, .. } => closed = true,
                _ => {}
            }
        }
        let body = only.unwrap_or_else(|| frames.freeze());
        downstream.write(body, lagged(reader)).await?;
        if closed {
            return Ok(End::OriginEnded);
        }
    }
}

async fn lagged(reader: &mut Reader) -> End {
    reader.lagged().await;
    End::Lagged
}

/// Passes on what the origin said instead of opening a stream.
async fn pass(mut session: ServerSession, refusal: &Refusal) -> pingora::Result<()> {
    let mut headers: HeaderMap = refusal.headers.clone();
    remove_hop_by_hop(&mut headers);
    headers.remove(CONTENT_LENGTH);
    headers.remove(http::header::SET_COOKIE);
    let mut head = ResponseHeader::build(refusal.status, Some(headers.len() + 1))?;
    for (name, value) in &headers {
        head.append_header(name, value)?;
    }
    if refusal.status != StatusCode::NO_CONTENT && refusal.status != StatusCode::NOT_MODIFIED {
        head.insert_header(CONTENT_LENGTH, refusal.body.len())?;
    }
    session.write_response_header(Box::new(head)).await?;
    session.write_response_body(refusal.body.clone(), true).await?;
    session.finish().await?;
    Ok(())
}

/// There is no answer to pass on. A client that wants events is cut off, as the origin would have
/// done: it comes back, while a status of ours would end its `EventSource` for good.
pub(crate) async fn fail(mut session: ServerSession, request: &Request) -> pingora::Result<()> {
    if !request.wants_events() {
        return respond(session, 502, "The origin cannot be reached.\n").await;
    }
    session.shutdown().await;
    Ok(())
}
