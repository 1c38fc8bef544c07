//! [`Ask`]: a request as an origin gets it.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderValue, TE, TRANSFER_ENCODING,
    UPGRADE,
};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, Method, StatusCode, Uri};
use tokio::sync::mpsc;

use super::interims::Interim;
use super::upload::Upload;
use super::{Forward, OriginError, add_forwarded, copy_end_to_end};
use crate::config::{Route, Upstream};
use crate::http1::put_fields;
use crate::request::{LAST_EVENT_ID, Request};
use crate::router::upstream_path;

/// The room that a request's head is first given: most fit.
const FIRST_ROOM: usize = 1024;

/// A request as an origin gets it, but for its body.
pub(crate) struct Ask<'a> {
    method: Method,
    pub(super) request: &'a Request,
    headers: HeaderMap,
    /// What the connection is to become.
    pub(super) upgrade: Option<HeaderValue>,
    /// Who is told of informational answers.
    pub(super) interims: Option<mpsc::Sender<Interim>>,
    /// Whether a stream of events is asked for, which its connection is not used after.
    pub(super) is_for_stream: bool,
}

impl<'a> Ask<'a> {
    /// The client's request, as it is.
    pub(crate) fn new(method: Method, request: &'a Request) -> Self {
        let mut headers = copy_end_to_end(&request.headers);
        if request.headers.contains_key(TRANSFER_ENCODING) {
            // It is overruled (RFC 9112, 6.3), and must not be believed by those after us.
            headers.remove(CONTENT_LENGTH);
        }
        let takes_trailers = request.headers.get_all(TE).iter().any(|te| {
            let mut codings = te.as_bytes().split(|byte| *byte == b',');
            codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
        });
        if takes_trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
        let from = Forward {
            client: request.client,
            authority: &request.authority,
            tls: request.tls,
            version: request.version,
        };
        add_forwarded(&mut headers, &from);
        Self { method, request, headers, upgrade: None, interims: None, is_for_stream: false }
    }

    /// A GET of ours for the client, who may get a stream of events.
    pub(crate) fn events(request: &'a Request, last_event_id: &[u8]) -> Self {
        let mut ask = Self::new(Method::GET, request);
        ask.headers.remove(CONTENT_LENGTH);
        if request.wants_events() {
            ask.is_for_stream = true;
            // A coding would only have to be undone here, and many origins' hold events back.
            ask.headers.remove(ACCEPT_ENCODING);
            ask.headers.remove(TE);
        }
        if let Ok(id) = HeaderValue::from_bytes(last_event_id)
            && !last_event_id.is_empty()
        {
            ask.headers.insert(LAST_EVENT_ID, id);
        }
        ask
    }

    /// Asks for the connection to become something else.
    pub(crate) fn upgrade(mut self, protocol: HeaderValue) -> Self {
        self.upgrade = Some(protocol);
        self
    }

    /// Has informational answers told.
    pub(crate) fn interim(mut self, told: mpsc::Sender<Interim>) -> Self {
        self.interims = Some(told);
        self
    }

    /// Whether the origin may be asked twice.
    pub(super) fn is_idempotent(&self) -> bool {
        self.method.is_idempotent()
    }

    /// The request for HTTP/1.
    pub(super) fn http1(
        &self,
        route: &Route,
        upstream: &Upstream,
        body: Upload,
    ) -> Result<http::Request<Upload>, OriginError> {
        let mut headers = self.headers.clone();
        if !body.is_none() && !headers.contains_key(CONTENT_LENGTH) {
            // Whatever the method: a GET may have a body too.
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        let mut request = http::Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = Uri::from(self.target(route, upstream)?);
        let host = HeaderValue::from_str(&self.host(upstream));
        headers.insert(HOST, host.map_err(unspeakable)?);
        if headers.contains_key(TE) {
            headers.insert(CONNECTION, HeaderValue::from_static("te"));
        }
        if let Some(protocol) = &self.upgrade {
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(UPGRADE, protocol.clone());
        }
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// The request for a stream, as it goes over a connection of HTTP/1 that is for that alone.
    pub(super) fn written(&self, route: &Route, upstream: &Upstream) -> Result<Bytes, OriginError> {
        let (target, host) = (self.target(route, upstream)?, self.host(upstream));
        let mut out = BytesMut::with_capacity(FIRST_ROOM);
        let method = self.method.as_str();
        for part in [method, " ", target.as_str(), " HTTP/1.1\r\nHost: ", &host, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        put_fields(self.headers.iter().filter(|(name, _)| **name != HOST), &mut out);
        out.extend_from_slice(b"\r\n");
        Ok(out.freeze())
    }

    /// The request for HTTP/2.
    pub(super) fn http2(
        &self,
        route: &Route,
        upstream: &Upstream,
        is_tls: bool,
        body: Upload,
    ) -> Result<http::Request<Upload>, OriginError> {
        let mut request = http::Request::new(body);
        *request.method_mut() = self.method.clone();
        let uri = Uri::builder()
            .scheme(if is_tls { Scheme::HTTPS } else { Scheme::HTTP })
            .authority(self.host(upstream).as_ref())
            .path_and_query(self.target(route, upstream)?);
        *request.uri_mut() = uri.build().map_err(unspeakable)?;
        let mut headers = self.headers.clone();
        headers.remove(HOST);
        if headers.remove(EXPECT).is_some()
            && let Some(told) = &self.interims
        {
            // Informational answers are not heard over HTTP/2, and the client waits for this one.
            let _ = told.try_send((StatusCode::CONTINUE, HeaderMap::new()));
        }
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// A client of HTTP/1.0 need not name a host, but we must.
    fn host(&self, upstream: &Upstream) -> Cow<'_, str> {
        match self.request.authority.as_str() {
            "" => upstream.authority().into(),
            named => named.into(),
        }
    }

    fn target(&self, route: &Route, upstream: &Upstream) -> Result<PathAndQuery, OriginError> {
        let mut target = upstream_path(route, upstream, &self.request.path);
        if let Some(query) = &self.request.query {
            target.push('?');
            target.push_str(query);
        }
        PathAndQuery::try_from(target).map_err(unspeakable)
    }
}

fn unspeakable(error: impl std::fmt::Display) -> OriginError {
    OriginError::Broken(format!("the request cannot be passed on: {error}"))
}
