//! [`Origins`]: sends requests to origins over pooled connections.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, StatusCode};
use pingora::connectors::http::Connector;
use pingora::http::RequestHeader;
use pingora::protocols::http::client::HttpSession;
use pingora::upstreams::peer::HttpPeer;

use super::{Forward, OriginError, add_forwarded, copy_end_to_end};
use crate::config::Route;
use crate::request::{LAST_EVENT_ID, Request};
use crate::router::upstream_path;

/// How long an idle connection to an origin is kept for the next request.
const IDLE: Duration = Duration::from_secs(60);

/// Sends requests to origins over pooled connections.
pub(crate) struct Origins {
    connector: Connector,
}

impl Origins {
    pub(crate) fn new() -> Self {
        Self { connector: Connector::new(None) }
    }

    /// Asks the route's origin, and returns when the head of its answer has come.
    ///
    /// A pooled connection may turn out to have been closed by the origin in the meantime: then
    /// the request, which is a GET, is sent once more over a new one.
    pub(crate) async fn open(
        &self,
        route: &Route,
        request: &Request,
        last_event_id: &[u8],
    ) -> Result<Response, OriginError> {
        self.ask(route, head(route, request, last_event_id)?).await
    }

    /// Asks the route's origin for a WebSocket.
    pub(crate) async fn upgrade(
        &self,
        route: &Route,
        request: &Request,
    ) -> Result<Response, OriginError> {
        let mut head = head(route, request, b"")?;
        for (name, value) in [(CONNECTION, "Upgrade"), (UPGRADE, "websocket")] {
            head.insert_header(name, value)
                .map_err(|error| OriginError::Broken(error.to_string()))?;
        }
        self.ask(route, head).await
    }

    async fn ask(&self, route: &Route, head: Box<RequestHeader>) -> Result<Response, OriginError> {
        let peer = peer(route).await?;
        loop {
            let (session, reused) = self
                .connector
                .get_http_session(&peer)
                .await
                .map_err(|error| OriginError::Connect(error.to_string()))?;
            let mut response = Response {
                session: Box::new(session),
                status: StatusCode::OK,
                headers: HeaderMap::new(),
                peeked: BytesMut::new(),
                ended: false,
            };
            let first_byte = limit(route.timeouts.first_byte);
            match tokio::time::timeout(first_byte, response.begin(head.clone())).await {
                Ok(Ok(())) => {
                    response.session.set_read_timeout(nonzero(route.timeouts.idle));
                    return Ok(response);
                }
                Ok(Err(_)) if reused => {}
                Ok(Err(error)) => return Err(OriginError::Broken(error.to_string())),
                Err(_) => return Err(OriginError::Silent),
            }
        }
    }

    /// Gives the connection back, if the answer has been read to its end.
    pub(crate) async fn release(&self, route: &Route, response: Response) {
        if let Ok(peer) = peer(route).await {
            self.connector.release_http_session(*response.session, &peer, Some(IDLE)).await;
        }
    }
}

/// Where to connect to for a route, and how.
pub(crate) async fn peer(route: &Route) -> Result<HttpPeer, OriginError> {
    let upstream = &route.upstream;
    let address = match upstream.host.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, upstream.port),
        Err(_) => tokio::net::lookup_host((upstream.host.as_str(), upstream.port))
            .await
            .map_err(|error| OriginError::Connect(error.to_string()))?
            .next()
            .ok_or_else(|| OriginError::Connect("the name has no address".to_owned()))?,
    };
    let mut peer = HttpPeer::new(address, upstream.tls, upstream.host.clone());
    peer.options.connection_timeout = nonzero(route.timeouts.connect);
    peer.options.total_connection_timeout = nonzero(route.timeouts.connect);
    Ok(peer)
}

fn nonzero(duration: Duration) -> Option<Duration> {
    (!duration.is_zero()).then_some(duration)
}

/// Zero means for ever, which for a timer is as long as it can be.
fn limit(duration: Duration) -> Duration {
    nonzero(duration).unwrap_or(Duration::MAX)
}

/// The request as the origin gets it.
fn head(
    route: &Route,
    request: &Request,
    last_event_id: &[u8],
) -> Result<Box<RequestHeader>, OriginError> {
    let mut headers = copy_end_to_end(&request.headers);
    // A GET of ours has no body.
    headers.remove(CONTENT_LENGTH);
    if request.wants_events() {
        // A coding would only have to be undone here, and many origins' hold events back.
        headers.remove(ACCEPT_ENCODING);
    }
    if let Ok(id) = HeaderValue::from_bytes(last_event_id)
        && !last_event_id.is_empty()
    {
        headers.insert(LAST_EVENT_ID, id);
    }
    if let Ok(host) = HeaderValue::from_str(&request.authority) {
        headers.insert(HOST, host);
    }
    let from = Forward {
        client: request.client,
        authority: &request.authority,
        tls: request.tls,
        version: request.version,
    };
    add_forwarded(&mut headers, &from);

    let mut target = upstream_path(route, &request.path);
    if let Some(query) = &request.query {
        target.push('?');
        target.push_str(query);
    }
    let invalid = |error: Box<pingora::Error>| OriginError::Broken(error.to_string());
    let mut head =
        RequestHeader::build("GET", target.as_bytes(), Some(headers.len())).map_err(invalid)?;
    for (name, value) in &headers {
        head.append_header(name, value).map_err(invalid)?;
    }
    Ok(Box::new(head))
}

/// An origin's answer: its head, and its body as it comes.
pub(crate) struct Response {
    session: Box<HttpSession>,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// What has been looked at of the body, and not yet handed out.
    peeked: BytesMut,
    ended: bool,
}

impl Response {
    async fn begin(&mut self, head: Box<RequestHeader>) -> pingora::Result<()> {
        self.session.write_request_header(head).await?;
        self.session.finish_request_body().await?;
        loop {
            self.session.read_response_header().await?;
            if let Some(head) = self.session.response_header()
                && (!head.status.is_informational()
                    || head.status == StatusCode::SWITCHING_PROTOCOLS)
            {
                self.status = head.status;
                self.headers.clone_from(&head.headers);
                return Ok(());
            }
        }
    }

    /// The next piece of the body; `None` when it has ended as it should.
    ///
    /// Cancel safe.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, OriginError> {
        if !self.peeked.is_empty() {
            return Ok(Some(self.peeked.split().freeze()));
        }
        if self.ended { Ok(None) } else { self.read().await }
    }

    /// Sends what the client of a WebSocket says.
    pub(crate) async fn send(&mut self, bytes: Bytes) -> Result<(), OriginError> {
        if let HttpSession::H1(session) = &mut *self.session {
            session.maybe_upgrade_body_writer();
        }
        let sent = self.session.write_request_body(bytes, false).await;
        sent.map_err(|error| OriginError::Broken(error.to_string()))
    }

    /// The first bytes of the body, at least `wanted` of them if it has so many. They are handed
    /// out again by [`chunk`](Self::chunk).
    ///
    /// Cancel safe.
    pub(crate) async fn peek(&mut self, wanted: usize) -> Result<&[u8], OriginError> {
        while self.peeked.len() < wanted && !self.ended {
            match self.read().await? {
                Some(bytes) => self.peeked.extend_from_slice(&bytes),
                None => self.ended = true,
            }
        }
        Ok(&self.peeked)
    }

    /// Whether the protocol shows where the body ends, so that an end is meant and not a cut.
    pub(crate) fn is_delimited(&self) -> bool {
        self.session.as_http2().is_some()
            || self.headers.contains_key(TRANSFER_ENCODING)
            || self.headers.contains_key(CONTENT_LENGTH)
    }

    async fn read(&mut self) -> Result<Option<Bytes>, OriginError> {
        self.session.read_response_body().await.map_err(|error| {
            if error.etype() == &pingora::ErrorType::ReadTimedout {
                OriginError::Silent
            } else {
                OriginError::Broken(error.to_string())
            }
        })
    }
}
