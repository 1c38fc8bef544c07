//! A connection that becomes a WebSocket: what either side says is passed on as it is.
//!
//! pingora's own proxy does this too, but (0.9.1) closes the connection at once if the origin agrees
//! before the end of the request's empty body has gone its way.

use std::sync::Arc;

use http::header::UPGRADE;
use http::{Method, StatusCode, Version};
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;

use crate::config::Route;
use crate::drain::Draining;
use crate::feeds::Feeds;
use crate::origin::Response;
use crate::relay;
use crate::report::report_failure;
use crate::request::Request;
use crate::session::{head, leave, respond};

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
            report_failure(&route, &error);
            return respond(session, 502, "The origin cannot be reached.\n").await;
        }
    };
    if response.status != StatusCode::SWITCHING_PROTOCOLS {
        relay::pass(&mut session, &feeds, &route, response).await?;
        return session.finish().await.map(drop);
    }
    let head = head(response.status, &response.headers)?;
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
pub(crate) fn is_wanted(head: &RequestHeader) -> bool {
    let upgrade = head.headers.get(UPGRADE).map(|upgrade| upgrade.as_bytes());
    head.method == Method::GET
        && head.version == Version::HTTP_11
        && upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case(b"websocket"))
}
