//! A client's stream from a feed that others read too.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use sse_layer::Event;
use sse_layer::feed::{Item, Lag, Reader, Status};

use crate::batch::Batch;
use crate::config::{Retry, Route};
use crate::downstream::{Downstream, End, KEEP_ALIVE, jitter};
use crate::drain::Draining;
use crate::feeds::{Feeds, start_after};
use crate::hold::{self, early_begin, is_held, may_begin_early, patience};
use crate::request::Request;
use crate::session::{fail, leave, respond};
use crate::source::Opening;
use crate::visit::Visit;
use crate::{plain, relay};

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
    let may_begin_early = is_held(&route, &request) && may_begin_early(&request);
    let opened = async {
        if may_begin_early {
            joined.opened_soon(patience(&route)).await
        } else {
            joined.opened().await
        }
    };
    let opening = tokio::select! {
        opening = opened => opening,
        () = leave(&mut session) => return Ok(()),
    };
    let (headers, early) = match opening {
        Opening::Open(headers) => (headers, None),
        Opening::Refused(refusal) => match refusal.take() {
            Some(answer) => {
                plain::pass(&mut session, answer).await?;
                session.finish().await?;
                return Ok(());
            }
            None if refusal.status == StatusCode::NO_CONTENT => return no_content(session).await,
            None if is_held(&route, &request) => {
                return hold::serve(session, feeds, route, request, draining).await;
            }
            None => return relay::serve(session, feeds, route, request, draining).await,
        },
        Opening::Failed | Opening::Pending if may_begin_early => {
            (Arc::new(hold::headers()), Some(early_begin(&route)))
        }
        Opening::Failed | Opening::Pending => return fail(session, &request).await,
    };
    let mut downstream = Downstream::open(session, &headers, route.keep_alive, draining).await?;
    let record = joined.record;
    let mut visit = Visit::open(Arc::clone(&record.counts), Some(record), &request);
    if !last_event_id.is_empty() {
        visit.resumes();
    }
    let begin = match route.retry {
        Retry::Ours(retry) => Some(jitter(retry)),
        Retry::Pass => joined.feed.retry(),
    };
    // Something comes at once, so that whoever is in between passes the head on.
    let begin = early.unwrap_or_else(|| {
        begin.map_or(Bytes::from_static(KEEP_ALIVE), |retry| Event::new().retry(retry).to_bytes())
    });
    let end = match write_all(&mut downstream, &mut reader, begin, &mut visit).await {
        Ok(end) | Err(end) => end,
    };
    visit.end(end);
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
    visit: &mut Visit,
) -> Result<End, End> {
    downstream.write(begin, lagged(reader)).await?;
    let mut items = Vec::new();
    loop {
        if downstream.wait(reader.next(&mut items)).await?.is_err() {
            return Err(End::Lagged);
        }
        let mut closed = false;
        let mut batch = Batch::default();
        for item in items.drain(..) {
            match item {
                Item::Event { entry, .. } => batch.push_event(entry.frame().bytes().clone()),
                Item::Gap { .. } => {
                    visit.gap();
                    Event::new().comment("gap").encode(batch.joined());
                }
                Item::Lagged { missed, .. } => {
                    visit.lagged();
                    missed.event().encode(batch.joined());
                }
                Item::Status { status: Status::Closed { .. }, .. } => closed = true,
                _ => {}
            }
        }
        let events = batch.events();
        let frames = batch.into_bytes();
        let bytes = frames.len();
        downstream.write(frames, lagged(reader)).await?;
        visit.wrote(events, bytes, None);
        if closed {
            return Ok(End::OriginEnded);
        }
    }
}

/// Gives a reader up for which there is too much behind what is being written.
pub(crate) async fn lagged(reader: &mut Reader) -> End {
    reader.lagged().await;
    End::Lagged
}

/// Tells a client what the origin told another one: that no more is to come.
async fn no_content(mut session: ServerSession) -> pingora::Result<()> {
    let head = ResponseHeader::build(StatusCode::NO_CONTENT, None)?;
    session.write_response_header(Box::new(head)).await?;
    session.finish().await?;
    Ok(())
}
