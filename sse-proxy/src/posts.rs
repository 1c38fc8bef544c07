//! Requests by other methods than GET that are answered with a stream: what language models and
//! MCP servers do. Nobody else may have the answer, and nobody can come back for it.

use std::sync::Arc;

use http::header::EXPECT;
use http::{Method, StatusCode};
use pingora::protocols::http::ServerSession;
use sse_layer::{Event, EventType};

use crate::client::reuse;
use crate::config::{Commit, Retry, Route, Stream};
use crate::connection::Connection;
use crate::downstream::Downstream;
use crate::feeds::Feeds;
use crate::hold::early_headers;
use crate::origin::{Answer, Ask, OriginError, Response, Upload};
use crate::places::{Places, TOO_MANY_STREAMS};
use crate::plain;
use crate::relay::Relay;
use crate::request::Request;
use crate::sending::Sending;
use crate::session::respond;
use crate::stream::{End, KEEP_ALIVE};

/// Whether a request that is no plain GET may be answered with a stream.
pub(crate) fn may_stream(route: &Route, request: &Request) -> bool {
    route.stream != Stream::Off && request.method != Method::HEAD
}

/// Answers a request that may have a body. Returns the connection if it can be used again.
pub(crate) async fn serve(
    mut session: Box<ServerSession>,
    places: &Places,
    route: Arc<Route>,
    request: Request,
) -> pingora::Result<Option<Connection>> {
    let route = with_origins_retry(route);
    let feeds = &places.feeds;
    if route.commit == Commit::Early && request.method == Method::POST {
        return serve_early(session, places, route, request).await;
    }
    let (answer, sending) = plain::ask(&mut session, feeds.origins(), &route, &request).await?;
    let answer = match answer {
        Ok(response) => look_at(response, feeds, &route, &request).await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(Answer::Stream(response, mut head)) => {
            let Some(seat) = places.seat(&request) else {
                respond(*session, 429, TOO_MANY_STREAMS).await?;
                return Ok(None);
            };
            let (headers, silence) = (head.headers(), route.keep_alive);
            let downstream =
                Downstream::open_both_ways(session, sending, headers, silence, seat).await?;
            let relay = Relay::new(downstream, feeds, route, &request, false);
            let intake = relay.passing.intake(&mut head, feeds);
            Ok(relay.run(response, intake).await)
        }
        Ok(Answer::Other(response)) => {
            plain::answer_with(&mut session, response, sending).await?;
            reuse(session).await
        }
        Err(error) => {
            plain::fail(&mut session, &route, &error).await?;
            Ok(None)
        }
    }
}

async fn look_at(
    response: Response,
    feeds: &Feeds,
    route: &Arc<Route>,
    request: &Request,
) -> Result<Answer, OriginError> {
    let tell = feeds.records().odd_for(route, request);
    Answer::of(response, route, request, tell).await
}

/// A reconnection time of ours is for an `EventSource`, which does not post; others might take it
/// for an event.
fn with_origins_retry(route: Arc<Route>) -> Arc<Route> {
    match route.retry {
        Retry::Pass => route,
        Retry::Ours(_) => Arc::new(Route { retry: Retry::Pass, ..Route::clone(&route) }),
    }
}

/// Answers with the head of a stream before the origin has been asked.
async fn serve_early(
    mut session: Box<ServerSession>,
    places: &Places,
    route: Arc<Route>,
    request: Request,
) -> pingora::Result<Option<Connection>> {
    let Some(seat) = places.seat(&request) else {
        respond(*session, 429, TOO_MANY_STREAMS).await?;
        return Ok(None);
    };
    if request.headers.contains_key(EXPECT) {
        session.write_continue_response().await?;
    }
    let (sending, upload) = Sending::begin(&mut session);
    let silence = route.keep_alive;
    let downstream = Downstream::open_both_ways(
        session,
        sending,
        &early_headers(&route, &request),
        silence,
        seat,
    )
    .await?;
    let feeds = places.feeds.clone();
    let relay = Relay::new(downstream, &feeds, Arc::clone(&route), &request, false);
    Ok(answer_early(relay, feeds, route, request, upload).await)
}

async fn answer_early(
    mut relay: Relay,
    feeds: Feeds,
    route: Arc<Route>,
    request: Request,
    upload: Upload,
) -> Option<Connection> {
    let begin = relay.downstream.write(KEEP_ALIVE.into(), std::future::pending()).await;
    if let Err(end) = begin {
        return relay.end(end, end).await;
    }
    let answer = async {
        let ask = Ask::new(request.method.clone(), &request);
        let response = feeds.origins().ask(&route, &ask, upload).await?;
        look_at(response, &feeds, &route, &request).await
    };
    match relay.downstream.wait(answer).await {
        Ok(Ok(Answer::Stream(response, mut head))) => {
            let intake = relay.passing.intake(&mut head, &feeds);
            relay.run(response, intake).await
        }
        Ok(Ok(Answer::Other(response))) => {
            let status = response.status;
            let body = relay.downstream.wait(whole_text(response, feeds.event_bytes())).await;
            match body {
                Ok(body) if status.is_success() => {
                    relay.tell(Event::new().data(body.unwrap_or_default()), End::OriginEnded).await
                }
                Ok(body) => relay.tell(failure(status, body), End::OriginFailed).await,
                Err(end) => relay.end(end, end).await,
            }
        }
        Ok(Err(error)) => {
            let why = relay.passing.failed(&error);
            relay.tell(failure(StatusCode::BAD_GATEWAY, None), why).await
        }
        Err(end) => relay.end(end, end).await,
    }
}

/// The body of an answer that is no stream, if it is text of a size that an event may have.
async fn whole_text(mut response: Response, most_bytes: usize) -> Option<String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        body.extend_from_slice(&chunk);
        if body.len() > most_bytes {
            return None;
        }
    }
    String::from_utf8(body).ok().filter(|text| !text.is_empty())
}

const ERROR: EventType = EventType::from_static("error");

/// What a client is told instead of a status: what the origin said of it, if anything.
fn failure(status: StatusCode, body: Option<String>) -> Event {
    let ours = || {
        let reason = status.canonical_reason().unwrap_or("The origin failed");
        let error = serde_json::json!({ "message": reason, "status": status.as_u16() });
        serde_json::json!({ "error": error }).to_string()
    };
    Event::new().event(ERROR).data(body.unwrap_or_else(ours))
}
