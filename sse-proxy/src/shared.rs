//! Answers requests for feeds that others read too.

use std::sync::Arc;

use http::StatusCode;
use sse_layer::feed::Reader;

use crate::catch_up::may_catch_up;
use crate::client::Client;
use crate::config::Route;
use crate::connection::Connection;
use crate::downstream::Downstream;
use crate::feeds::{Feeds, start_after};
use crate::handover::Handover;
use crate::hold::{self, is_held};
use crate::http1::Http1;
use crate::hub::{Begun, Hub, Supply};
use crate::limits::Seat;
use crate::reading::Reading;
use crate::request::Request;
use crate::source::{Opening, Refusal};
use crate::subscriber::Subscriber;
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
    let mut reader = Reader::new(route.lag.into());
    let joined = feeds.join(&route, &request, &mut reader, start_after(&last_event_id));
    let Ok(joined) = joined else { return Box::pin(no_room(client, &route, &request)).await };
    let mut subscriber = Subscriber { feeds, route, request, joined, last_event_id };
    let opening = tokio::select! {
        opening = subscriber.opening() => opening,
        () = client.leave() => return Ok(None),
    };
    let (begin, missed, is_behind) = match opening {
        Opening::Open(headers) => {
            let missed = tokio::select! {
                biased;
                missed = subscriber.missed(&mut reader) => missed,
                () = client.leave() => return Ok(None),
            };
            (subscriber.begin(headers), missed, false)
        }
        Opening::Refused(refusal) => {
            return Box::pin(refused(client, subscriber, &refusal, hub, seat)).await;
        }
        Opening::Failed | Opening::Pending if subscriber.may_begin_early() => {
            (subscriber.begin_early(), None, subscriber.is_behind(&reader))
        }
        Opening::Failed | Opening::Pending => {
            Box::pin(client.fail(&subscriber.request)).await?;
            return Ok(None);
        }
    };
    let reading = Reading::new(reader, missed, subscriber.visit());
    if client.is_for_hub() && !is_behind {
        let handover = Handover::open(client, &begin.headers, begin.body).await?;
        reading.hand_over(handover, hub, subscriber, seat).await?;
    } else {
        let keep_alive = subscriber.route.keep_alive;
        let downstream =
            Downstream::open(client, &begin.headers, begin.body, keep_alive, seat).await?;
        // Its origin has to be there first.
        let behind = is_behind.then(|| Box::new(subscriber));
        tokio::spawn(reading.run(downstream, behind));
    }
    Ok(None)
}

/// The route has as many feeds as it may have.
async fn no_room(
    client: Client,
    route: &Route,
    request: &Request,
) -> pingora::Result<Option<Connection>> {
    if is_held(route, request) {
        // It comes back, which it would not after a status.
        client.fail(request).await?;
    } else {
        client.respond(503, "This route has as many feeds open as it may.\n").await?;
    }
    Ok(None)
}

/// The origin has answered with what is no stream. The first client gets that; the others have the
/// origin asked on their own behalf, where it can be asked by all of them.
async fn refused(
    client: Client,
    subscriber: Subscriber,
    refusal: &Refusal,
    hub: &Hub,
    seat: Seat,
) -> pingora::Result<Option<Connection>> {
    if let Some(answer) = refusal.take() {
        return plain::pass_to(client, answer).await;
    }
    if refusal.status == StatusCode::NO_CONTENT {
        return client.no_content().await;
    }
    let is_held = subscriber.is_held();
    let Subscriber { feeds, route, request, .. } = subscriber;
    if is_held {
        hold::serve(client, feeds, route, request, seat).await
    } else if request.wants_events() && !refusal.status.is_success() {
        // An origin that fails is not asked by all who wait for it.
        plain::pass_to(client, refusal.head()).await
    } else {
        relay::serve(client, feeds, hub, route, request, seat, None).await
    }
}

/// The same as [`serve`] for a request that came over HTTP/1 and without TLS, if its feed is open
/// and nothing has to be fetched first.
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
    let mut reader = Reader::new(route.lag.into());
    let start = start_after(&last_event_id);
    let (joined, headers) = feeds.join_open(&route, &request, &mut reader, start)?;
    let feeds = feeds.clone();
    let subscriber = Subscriber { feeds, route, request, joined, last_event_id };
    let begin = subscriber.begin(headers);
    let version = subscriber.request.version;
    let (head, framing) = Http1::head(version, &begin.headers, &begin.body);
    let visit = subscriber.visit();
    let Subscriber { route, joined, .. } = subscriber;
    let from = Supply::Feed { feed: joined.feed, pace: joined.pace, reader };
    Some(Begun { head, framing, from, route, seat, visit })
}
