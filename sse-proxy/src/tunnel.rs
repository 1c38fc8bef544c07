//! A connection that becomes a WebSocket: what either side says is passed on as it is.
//!
//! pingora's own proxy does this too, but (0.9.1) closes the connection at once if the origin agrees
//! before the end of the request's empty body has gone its way.

use std::sync::Arc;

use http::StatusCode;
use http::header::UPGRADE;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;

use crate::config::Route;
use crate::drain::Draining;
use crate::feeds::Feeds;
use crate::origin::Response;
use crate::relay;
use crate::request::Request;
use crate::session::{leave, respond};

/// Answers a request that wants a WebSocket.
pub(crate) async fn serve(
    mut session: ServerSession,
    feeds: Feeds,
    route: Arc<Route>,
    request: Request,
    mut draining: Draining,
) -> pingora::Result<()> {
    let asked = tokio::select! {
        asked = feeds.origins().upgrade(&route, &request) => asked,
        () = leave(&mut session) => return Ok(()),
    };
    let mut response = match asked {
        Ok(response) => response,
        Err(error) => {
            tracing::warn!(route = %route.path, upstream = %route.upstream, %error, "origin failed");
            return respond(session, 502, "The origin cannot be reached.\n").await;
        }
    };
    if response.status != StatusCode::SWITCHING_PROTOCOLS {
        relay::pass(&mut session, &feeds, &route, response).await?;
        return session.finish().await.map(drop);
    }
    let mut head = ResponseHeader::build(response.status, Some(response.headers.len()))?;
    for (name, value) in &response.headers {
        head.append_header(name, value)?;
    }
    session.write_response_header(Box::new(head)).await?;
    // Either side may be silent for as long as it likes.
    session.set_read_timeout(None);
    tokio::select! {
        passed = pass(&mut session, &mut response) => passed?,
        () = draining.turn() => {}
    }
    session.shutdown().await;
    Ok(())
}

/// Passes on what either side says, until one of them ends.
async fn pass(session: &mut ServerSession, response: &mut Response) -> pingora::Result<()> {
    loop {
        tokio::select! {
            said = response.chunk() => match said {
                Ok(Some(bytes)) => session.write_response_body(bytes, false).await?,
                Ok(None) | Err(_) => return Ok(()),
            },
            said = session.read_body_or_idle(false) => match said? {
                Some(bytes) => {
                    if response.send(bytes).await.is_err() {
                        return Ok(());
                    }
                }
                None => return Ok(()),
            },
        }
    }
}

/// Whether the request wants a WebSocket, and nothing else.
pub(crate) fn is_wanted(head: &pingora::http::RequestHeader) -> bool {
    let upgrade = head.headers.get(UPGRADE).map(|upgrade| upgrade.as_bytes());
    head.method == http::Method::GET
        && head.version == http::Version::HTTP_11
        && upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case(b"websocket"))
}
