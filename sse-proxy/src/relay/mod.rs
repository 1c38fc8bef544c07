//! One client, one origin stream.

pub(crate) mod at_once;
mod task;

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use sse_layer::{Event, Repairs};

pub(crate) use self::task::Relay;
use crate::asker::Outcome;
use crate::client::Client;
use crate::config::{Retry, Route};
use crate::connection::Connection;
use crate::downstream::Downstream;
use crate::feeds::Feeds;
use crate::handover::Handover;
use crate::hub::{Hub, Newcomer, Private, Supply};
use crate::limits::Seat;
use crate::numbers::Numbers;
use crate::origin::{Answer, OriginError, Response, StreamHead, Taken};
use crate::passing::Passing;
use crate::plain;
use crate::report::report_failure;
use crate::request::{LAST_EVENT_ID, Request};
use crate::session::not_taken;
use crate::stream::jitter;
use crate::visit::Visit;

/// Asks the origin what the client asked, as far as that has not been done with some `outcome`.
/// `None` if the client went away before the answer.
async fn ask(
    client: &mut Client,
    feeds: &Feeds,
    route: &Arc<Route>,
    request: &Request,
    outcome: Option<Outcome>,
) -> Option<Result<Answer, OriginError>> {
    let request = for_origin(route, request);
    let origins = feeds.origins();
    let answer = async {
        // Its last id is among its fields.
        let response = match outcome {
            None => origins.open(route, &request, b"").await?,
            Some(Outcome::Answered(response)) => response.watched()?,
            Some(Outcome::Failed(error)) => return Err(error),
            Some(Outcome::Unreached(unreached)) => {
                origins.open_elsewhere(route, &request, unreached).await?
            }
        };
        let tell = feeds.records().odd_for(route, &request);
        Answer::of(response, route, &request, tell).await
    };
    tokio::select! {
        answer = answer => Some(answer),
        () = client.leave() => None,
    }
}

/// The request as its origin gets it: an id of ours is nothing to it.
fn for_origin<'r>(route: &Route, request: &'r Request) -> Cow<'r, Request> {
    let mut request = Cow::Borrowed(request);
    if has_our_id(route, &request) {
        request.to_mut().headers.remove(LAST_EVENT_ID);
    }
    request
}

/// Whether the client comes back with an id of ours. What it missed was kept by nobody.
fn has_our_id(route: &Route, request: &Request) -> bool {
    let id = request.headers.get(LAST_EVENT_ID);
    let is_ours = id.is_some_and(|id| Numbers::is_ours(id.as_bytes()));
    route.repair.contains(Repairs::ADD_IDS) && is_ours
}

/// Answers a request that nobody else may have the answer to, and that has been made already if there
/// is an `outcome`.
pub(crate) async fn serve(
    mut client: Client,
    feeds: Feeds,
    hub: &Hub,
    route: Arc<Route>,
    request: Request,
    seat: Seat,
    outcome: Option<Outcome>,
) -> pingora::Result<Option<Connection>> {
    match ask(&mut client, &feeds, &route, &request, outcome).await {
        Some(Ok(Answer::Stream(response, head))) => {
            open(client, feeds, hub, route, request, response, head, seat).await?;
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

/// Begins to pass the origin's stream on to its client, and leaves the rest to the hub, or to a
/// task of its own where more than that of two bare connections has to be looked after.
#[expect(clippy::too_many_arguments, reason = "two sides, and what is known of them")]
async fn open(
    client: Client,
    feeds: Feeds,
    hub: &Hub,
    route: Arc<Route>,
    request: Request,
    mut response: Response,
    mut head: StreamHead,
    seat: Seat,
) -> pingora::Result<()> {
    let begin = begin(&route, &request);
    let taken = if client.is_for_hub() { response.take_bare() } else { None };
    match taken {
        Some(taken) => {
            let (io, framing) =
                Handover::open(client, head.headers(), begin).await?.into_parts()?;
            let taken = private(&feeds, &route, &request, &mut head, taken);
            let (from, visit) = taken.map_err(not_taken)?;
            hub.adopt(Newcomer { io, framing, from, route, seat, visit });
        }
        None => {
            let silence = route.keep_alive;
            let downstream = Downstream::open(client, head.headers(), begin, silence, seat).await?;
            let has_gap = has_our_id(&route, &request);
            let relay = Relay::new(downstream, &feeds, route, &request, has_gap);
            let intake = relay.passing.intake(&mut head, &feeds);
            tokio::spawn(relay.run(response, intake));
        }
    }
    Ok(())
}

/// What a stream begins with.
fn begin(route: &Route, request: &Request) -> Bytes {
    let mut begin = BytesMut::new();
    if let Retry::Ours(retry) = route.retry {
        Event::new().retry(jitter(retry)).encode(&mut begin);
    }
    if has_our_id(route, request) {
        Event::new().comment("gap").encode(&mut begin);
    }
    begin.freeze()
}

/// What the hub is to write to the client: what comes over the connection that has been `taken`.
fn private(
    feeds: &Feeds,
    route: &Arc<Route>,
    request: &Request,
    head: &mut StreamHead,
    taken: Taken,
) -> io::Result<(Supply, Visit)> {
    let passing = Passing::new(feeds, Arc::clone(route), request);
    let visit = visit(&passing, request, has_our_id(route, request));
    let intake = passing.intake(head, feeds);
    Ok((Supply::Origin(Box::new(Private::new(taken, intake, passing)?)), visit))
}

fn visit(passing: &Passing, request: &Request, has_gap: bool) -> Visit {
    let record = passing.record();
    let mut visit = Visit::open(Arc::clone(&record.counts), Some(Arc::clone(record)), request);
    if has_gap {
        visit.gap();
    }
    visit
}
