//! A client's stream from a feed that others read too.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use sse_layer::Event;
use sse_layer::feed::{Item, Lag, Reader, Status};
use tokio::time::timeout;

use crate::batch::Batch;
use crate::catch_up::{Missed, PATIENCE, catch_up, may_catch_up};
use crate::client::Client;
use crate::config::{Retry, Route};
use crate::connection::Connection;
use crate::downstream::{Downstream, End, KEEP_ALIVE, jitter};
use crate::feeds::{Feeds, Joined, start_after};
use crate::hold::{self, early_begin, early_headers, is_held, may_begin_early, patience};
use crate::http1::Http1;
use crate::hub::{Begun, From, Hub, Io, Newcomer};
use crate::limits::Seat;
use crate::request::Request;
use crate::source::Opening;
use crate::visit::Visit;
use crate::{plain, relay};

/// Answers a request with the feed that it is for. Returns the connection of an HTTP/1 client that
/// may ask for more.
pub(crate) async fn serve(
    mut client: Client,
    feeds: Feeds,
    hub: &Hub,
    route: Arc<Route>,
    mut request: Request,
    seat: Seat,
) -> pingora::Result<Option<Connection>> {
    let last_event_id = request.take_last_event_id();
    let mut reader = Reader::new(lag(&route));
    let joined = feeds.join(&route, &request, &mut reader, start_after(&last_event_id));
    let Ok(mut joined) = joined else {
        if is_held(&route, &request) {
            // It comes back, which it would not after a status.
            Box::pin(client.fail(&request)).await?;
            return Ok(None);
        }
        Box::pin(client.respond(503, "This route has as many feeds open as it may.\n")).await?;
        return Ok(None);
    };
    let may_begin_early = is_held(&route, &request) && may_begin_early(&route, &request);
    let opened = async {
        if may_begin_early {
            joined.opened_soon(patience(&route)).await
        } else {
            joined.opened().await
        }
    };
    let opening = tokio::select! {
        opening = opened => opening,
        () = client.leave() => return Ok(None),
    };
    let (headers, early) = match opening {
        Opening::Open(headers) => (headers, None),
        Opening::Refused(refusal) => match refusal.take() {
            Some(answer) => {
                return Box::pin(plain::pass_to(client, answer)).await;
            }
            None if refusal.status == StatusCode::NO_CONTENT => {
                return Box::pin(client.no_content()).await;
            }
            None if is_held(&route, &request) => {
                return Box::pin(hold::serve(client, feeds, route, request, seat)).await;
            }
            // An origin that fails is not asked by all who wait for it.
            None if request.wants_events() && !refusal.status.is_success() => {
                return Box::pin(plain::pass_to(client, refusal.head())).await;
            }
            None => return Box::pin(relay::serve(client, feeds, hub, route, request, seat)).await,
        },
        Opening::Failed | Opening::Pending if may_begin_early => {
            (Arc::new(early_headers(&route, &request)), Some(early_begin(&route)))
        }
        Opening::Failed | Opening::Pending => {
            Box::pin(client.fail(&request)).await?;
            return Ok(None);
        }
    };
    let is_early = early.is_some();
    let missed = if !is_early {
        tokio::select! {
            biased;
            missed = catch_up(&feeds, &route, &request, &joined, &mut reader, &last_event_id) => missed,
            () = client.leave() => return Ok(None),
        }
    } else {
        None
    };
    let begin = early.unwrap_or_else(|| begin(&route, &joined));
    let mut visit = visit(&joined, &request, &last_event_id);
    if missed.is_some() {
        visit.caught_up();
    }
    // Its origin has to be there first.
    let is_behind =
        is_early && reader.has_gap(joined.number) && may_catch_up(&route, &last_event_id);
    let behind = is_behind.then(|| {
        let (route, joined) = (Arc::clone(&route), joined.clone());
        Box::new(Behind { feeds, route, request, joined, last_event_id })
    });
    let (connection, version) = match client {
        Client::Http1 { connection, version, .. } if behind.is_none() => (connection, version),
        client => {
            let mut downstream =
                Downstream::open(client, &headers, begin, route.keep_alive, seat).await?;
            tokio::spawn(async move {
                let written = async {
                    let mut missed = missed;
                    if let Some(behind) = behind {
                        missed = downstream.wait(Box::pin(behind.missed(&mut reader))).await?;
                        if missed.is_some() {
                            visit.caught_up();
                        }
                    }
                    write_all(&mut downstream, &mut reader, missed, &mut visit).await
                };
                let end = match written.await {
                    Ok(end) | Err(end) => end,
                };
                visit.end(end);
                downstream.end(end, None).await;
            });
            return Ok(None);
        }
    };
    let mut http1 = Http1::open(connection, version, &headers, &begin).await?;
    if let Some(missed) = missed {
        let (events, frames, _turn) = missed.into_parts();
        let bytes = frames.len();
        if !matches!(timeout(PATIENCE, http1.write(frames)).await, Ok(Ok(()))) {
            return Ok(None);
        }
        visit.wrote(events, bytes, None);
    }
    let (transport, framing) = http1.into_parts();
    let io = Io::new(transport).map_err(|error| {
        pingora::Error::because(pingora::ErrorType::InternalError, "taking a socket", error)
    })?;
    hub.adopt(Newcomer {
        io,
        framing,
        from: From::Feed { feed: joined.feed, pace: joined.pace, reader },
        route,
        seat,
        visit,
    });
    Ok(None)
}

/// The same for a request that came over HTTP/1 and without TLS, if its feed is open and nothing has
/// to be fetched first.
pub(crate) fn begin_at_once(
    feeds: &Feeds,
    route: Arc<Route>,
    mut request: Request,
    seat: Seat,
) -> Option<Begun> {
    let last_event_id = request.take_last_event_id();
    if may_catch_up(&route, &last_event_id) {
        return None;
    }
    let mut reader = Reader::new(lag(&route));
    let start = start_after(&last_event_id);
    let (joined, headers) = feeds.join_open(&route, &request, &mut reader, start)?;
    let (head, framing) = Http1::head(request.version, &headers, &begin(&route, &joined)).ok()?;
    let visit = visit(&joined, &request, &last_event_id);
    let from = From::Feed { feed: joined.feed, pace: joined.pace, reader };
    Some(Begun { head, framing, from, route, seat, visit })
}

/// What a stream begins with. Something comes at once, so that whoever is in between passes the
/// head on.
fn begin(route: &Route, joined: &Joined) -> Bytes {
    let retry = match route.retry {
        Retry::Ours(retry) => Some(jitter(retry)),
        Retry::Pass => joined.feed.retry(),
    };
    retry.map_or(Bytes::from_static(KEEP_ALIVE), |retry| Event::new().retry(retry).to_bytes())
}

fn visit(joined: &Joined, request: &Request, last_event_id: &[u8]) -> Visit {
    let record = Arc::clone(&joined.record);
    let mut visit = Visit::open(Arc::clone(&record.counts), Some(record), request);
    if !last_event_id.is_empty() {
        visit.resumes();
    }
    visit
}

/// A reader who has come back while its origin is away.
struct Behind {
    feeds: Feeds,
    route: Arc<Route>,
    request: Request,
    joined: Joined,
    last_event_id: Bytes,
}

impl Behind {
    /// What it has missed, as soon as the origin is there to tell.
    async fn missed(mut self: Box<Self>, reader: &mut Reader) -> Option<Missed> {
        self.joined.answered().await;
        let Self { feeds, route, request, joined, last_event_id } = &*self;
        catch_up(feeds, route, request, joined, reader, last_event_id).await
    }
}

/// The route's bounds on how far a reader may fall behind.
pub(crate) fn lag(route: &Route) -> Lag {
    let lag = &route.lag;
    Lag::default().events(lag.events).bytes(lag.bytes.0 as u64).policy(lag.policy.into())
}

async fn write_all(
    downstream: &mut Downstream,
    reader: &mut Reader,
    missed: Option<Missed>,
    visit: &mut Visit,
) -> Result<End, End> {
    if let Some(missed) = missed {
        let (events, frames, _turn) = missed.into_parts();
        let bytes = frames.len();
        downstream.write(frames, lagged(reader)).await?;
        visit.wrote(events, bytes, None);
    }
    let mut items = Vec::new();
    loop {
        if downstream.wait(reader.next(&mut items)).await?.is_err() {
            return Err(End::Lagged);
        }
        let mut closed = false;
        let mut batch = Batch::default();
        // When the newest of them came, as where one origin stream is one client's.
        let mut came = None;
        for item in items.drain(..) {
            match item {
                Item::Event { entry, .. } => {
                    came = Some(entry.published().into());
                    batch.push_event(entry.frame().bytes().clone());
                }
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
        visit.wrote(events, bytes, came);
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
