//! [`Front`]: every request comes by here, and is sent where it belongs.
//!
//! Streams are taken out of pingora's hands and written by tasks of their own; everything else
//! stays with pingora's proxy.

use std::sync::Arc;

use async_trait::async_trait;
use http::header::HOST;
use http::{Method, Version};
use pingora::http::RequestHeader;
use pingora::prelude::HttpPeer;
use pingora::proxy::{ProxyHttp, Session};
use pingora::{Error, ErrorType};
use tokio::time::Instant;

use crate::config::{Config, Limits, Route, Stream};
use crate::drain::{Drain, Draining};
use crate::feeds::Feeds;
use crate::hold::{self, is_held};
use crate::limits::{Connections, PerAddress};
use crate::mux::{Mux, is_private};
use crate::origin::{Answer, Origins};
use crate::record::Records;
use crate::relay;
use crate::report::report_failure;
use crate::request::Request;
use crate::router::Router;
use crate::session::{fail, respond, take};
use crate::{plain, shared, tunnel};

const TOO_MANY_STREAMS: &str = "This address has as many streams open as it may.\n";

/// Sends every request where it belongs. Clones are the same.
#[derive(Clone)]
pub(crate) struct Front {
    router: Router,
    feeds: Feeds,
    mux: Mux,
    limits: Limits,
    streams: PerAddress,
    connections: Connections,
    drain: Drain,
}

/// What is known of one request.
pub(crate) struct Context {
    /// Keeps the process from going before the request has been answered.
    _draining: Draining,
}

impl Front {
    pub(crate) fn new(
        config: &Config,
        origins: Arc<Origins>,
        connections: Connections,
        records: Records,
        drain: Drain,
    ) -> Self {
        let router = Router::new(&config.route);
        let feeds = Feeds::new(origins, records, config.limits.event_bytes.0);
        Self {
            mux: Mux::new(config, feeds.clone(), router.clone()),
            streams: PerAddress::new(config.limits.streams_per_ip),
            limits: config.limits.clone(),
            router,
            feeds,
            connections,
            drain,
        }
    }

    /// Serves a GET that may be answered with a stream. Returns whether an answer was given.
    async fn serve_stream(
        &self,
        session: &mut Session,
        route: Arc<Route>,
    ) -> pingora::Result<bool> {
        let request = request(session);
        let Some(counted) = self.streams.count(request.client) else {
            return self.answer(session, 429, TOO_MANY_STREAMS).await;
        };
        if !is_private(&route, &request) {
            let (feeds, draining) = (self.feeds.clone(), self.drain.join());
            let session = take(session.as_downstream_mut());
            self.spawn(counted, shared::serve(session, feeds, route, request, draining));
            return Ok(true);
        }
        if is_held(&route, &request) {
            let (feeds, draining) = (self.feeds.clone(), self.drain.join());
            let session = take(session);
            self.spawn(counted, hold::serve(session, feeds, route, request, draining));
            return Ok(true);
        }
        match relay::ask(session.as_downstream_mut(), &self.feeds, &route, &request).await {
            Some(Ok(Answer::Stream(response, head))) => {
                let (feeds, draining) = (self.feeds.clone(), self.drain.join());
                let session = take(session.as_downstream_mut());
                let stream =
                    relay::stream(session, feeds, route, request, response, head, draining);
                self.spawn(counted, stream);
            }
            Some(Ok(Answer::Other(response))) => {
                plain::pass(session.as_downstream_mut(), response).await?;
            }
            Some(Err(error)) => {
                report_failure(&route, &error);
                fail(take(session.as_downstream_mut()), &request).await?;
            }
            None => session.set_keepalive(None),
        }
        Ok(true)
    }

    /// Runs a stream in a task of its own, which is all that is left of its request. It counts as
    /// a connection: that of an HTTP/1 client is no longer counted elsewhere.
    fn spawn(
        &self,
        counted: impl Send + 'static,
        stream: impl Future<Output = pingora::Result<()>> + Send + 'static,
    ) {
        let connection = self.connections.enter();
        tokio::spawn(async move {
            if let Err(error) = stream.await {
                tracing::debug!(%error, "stream ended before it began");
            }
            drop((counted, connection));
        });
    }

    async fn answer(
        &self,
        session: &mut Session,
        status: u16,
        text: &'static str,
    ) -> pingora::Result<bool> {
        respond(take(session.as_downstream_mut()), status, text).await?;
        Ok(true)
    }
}

#[async_trait]
impl ProxyHttp for Front {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context { _draining: self.drain.join() }
    }

    async fn request_filter(
        &self,
        session: &mut Session,
        _context: &mut Context,
    ) -> pingora::Result<bool> {
        let head = session.req_header();
        if head_bytes(head) > self.limits.header_bytes.0 {
            let text = "The request's head is larger than limits.header_bytes allows.\n";
            return self.answer(session, 431, text).await;
        }
        if !has_one_host(head) {
            return self.answer(session, 400, "A request names one host.\n").await;
        }
        let protocol = tunnel::wanted(head);
        let is_get = head.method == Method::GET && protocol.is_none();
        let path = head.uri.path().to_owned();
        let authority = authority(head);
        let has_body = !session.as_downstream_mut().is_body_empty();
        let is_get = is_get && !has_body;
        if self.mux.is_below(&path) {
            let request = request(session);
            self.mux.change(session.as_downstream_mut(), request).await?;
            return Ok(true);
        }
        if self.mux.is_at(&path) {
            let request = request(session);
            let Some(counted) = self.streams.count(request.client) else {
                return self.answer(session, 429, TOO_MANY_STREAMS).await;
            };
            let mux = self.mux.clone();
            self.spawn(
                counted,
                mux.serve(take(session.as_downstream_mut()), request, self.drain.join()),
            );
            return Ok(true);
        }
        let Some(route) = self.router.find(&authority, &path).map(Arc::clone) else {
            return self.answer(session, 404, "No route is configured for this path.\n").await;
        };
        if let Some(protocol) = protocol
            && !has_body
        {
            let request = request(session);
            let (feeds, draining) = (self.feeds.clone(), self.drain.join());
            let session = take(session.as_downstream_mut());
            self.spawn((), tunnel::serve(session, feeds, route, request, protocol, draining));
            return Ok(true);
        }
        if is_get && route.stream != Stream::Off {
            return self.serve_stream(session, route).await;
        }
        let request = request(session);
        plain::serve(session.as_downstream_mut(), self.feeds.origins(), &route, &request).await?;
        Ok(true)
    }

    /// Never asked: every request has been answered by then.
    async fn upstream_peer(
        &self,
        _session: &mut Session,
        _context: &mut Context,
    ) -> pingora::Result<Box<HttpPeer>> {
        Err(Error::explain(ErrorType::InternalError, "the request has no answer"))
    }
}

fn request(session: &Session) -> Request {
    let head = session.req_header();
    Request {
        authority: authority(head),
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        headers: head.headers.clone(),
        client: client(session),
        tls: is_tls(session),
        version: head.version,
        arrived: Instant::now(),
    }
}

/// The host that the client named: in the request line (HTTP/2), or in the `Host` field.
fn authority(head: &RequestHeader) -> String {
    if let Some(authority) = head.uri.authority() {
        return authority.to_string();
    }
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    host.unwrap_or_default().to_owned()
}

fn client(session: &Session) -> Option<std::net::IpAddr> {
    session.client_addr().and_then(|address| address.as_inet()).map(std::net::SocketAddr::ip)
}

fn is_tls(session: &Session) -> bool {
    session.digest().is_some_and(|digest| digest.ssl_digest.is_some())
}

/// Whether the request names its host as it must: where it names none, or several, the origin may
/// think of another site than we do (RFC 9112, 3.2). HTTP/1.0 knows no hosts.
fn has_one_host(head: &RequestHeader) -> bool {
    let mut hosts = head.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => !host.as_bytes().contains(&b','),
        (None, _) => head.uri.authority().is_some() || head.version < Version::HTTP_11,
        (Some(_), Some(_)) => false,
    }
}

/// The size of a head, as HTTP/1 would write it.
fn head_bytes(head: &RequestHeader) -> usize {
    let fields = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    head.raw_path().len() + fields.sum::<usize>()
}
