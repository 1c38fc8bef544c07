//! [`Request`]: what a client asked for, as much of it as streams need.

use std::net::IpAddr;

use bytes::Bytes;
use form_urlencoded::Serializer;
use http::header::{ACCEPT, AUTHORIZATION, COOKIE, HOST, HeaderName, ORIGIN};
use http::{HeaderMap, HeaderValue, Method, Version};
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;
use tokio::time::Instant;

use crate::config::{Route, ShareBy, without_port};

/// The header in which a client says which event it had last.
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

const EVENT_STREAM: &[u8] = b"text/event-stream";

/// The header in which a client of MCP says whose session it is.
const MCP_SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

/// A request that may be answered with a stream.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// The host that the client named, with its port.
    pub(crate) authority: String,
    pub(crate) path: String,
    /// Without question mark; `None` is not the same as an empty one.
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    /// `None` where the client is not on an IP network.
    pub(crate) client: Option<IpAddr>,
    /// Whether the client spoke TLS to us.
    pub(crate) tls: bool,
    /// The version of HTTP that the client spoke.
    pub(crate) version: Version,
    /// When it came.
    pub(crate) arrived: Instant,
}

impl Request {
    /// What was asked on this session.
    pub(crate) fn of_session(session: &ServerSession) -> Self {
        let head = session.req_header();
        Self {
            method: head.method.clone(),
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

    /// Whether the client asked for events, as every browser's `EventSource` does.
    pub(crate) fn wants_events(&self) -> bool {
        self.headers.get_all(ACCEPT).iter().any(|accept| {
            let mut parts = accept.as_bytes().windows(EVENT_STREAM.len());
            parts.any(|part| part.eq_ignore_ascii_case(EVENT_STREAM))
        })
    }

    /// The path and the names of what the query has, for logs: values may be secret.
    pub(crate) fn without_values(&self) -> String {
        const ENOUGH: usize = 256;
        let mut text = self.path.clone();
        let names = self.query.iter().flat_map(|query| query.split('&'));
        for (at, pair) in names.enumerate() {
            text.push(if at == 0 { '?' } else { '&' });
            text.push_str(pair.split_once('=').map_or("", |(name, _)| name));
        }
        // Invariant: a path and a query that came in a request's head are ASCII.
        text.truncate(text.floor_char_boundary(ENOUGH));
        text
    }

    /// Whether the client would take events: it asks for them, or for anything, as curl does and
    /// `fetch`. A page, an image or a style sheet is asked for by its type.
    pub(crate) fn takes_events(&self) -> bool {
        let anything = |accept: &HeaderValue| accept.as_bytes().trim_ascii() == b"*/*";
        self.wants_events() || self.headers.get_all(ACCEPT).iter().all(anything)
    }

    /// The id of the last event that the client has: the header, else a query parameter, which
    /// is then not for the origin. Empty if there is none.
    pub(crate) fn take_last_event_id(&mut self) -> Bytes {
        let header = self.headers.remove(LAST_EVENT_ID);
        let parameter = self.take_id_parameter();
        match header {
            Some(id) => Bytes::copy_from_slice(id.as_bytes()),
            None => parameter.unwrap_or_default().into(),
        }
    }

    fn take_id_parameter(&mut self) -> Option<String> {
        let query = self.query.as_deref()?;
        let (ids, others): (Vec<_>, Vec<_>) = form_urlencoded::parse(query.as_bytes())
            .partition(|(name, _)| name == "last_event_id" || name == "lastEventId");
        let id = ids.into_iter().next()?.1.into_owned();
        // Only a query that names an id is written anew: any other stays as it came.
        let rest = Serializer::new(String::new()).extend_pairs(others).finish();
        self.query = (!rest.is_empty()).then_some(rest);
        Some(id)
    }

    /// Whether the answer may depend on who asks: then it is nobody else's, unless the route
    /// says what tells clients apart.
    pub(crate) fn has_credentials_beyond(&self, route: &Route) -> bool {
        let named = |field: &HeaderName| {
            route.share_by.iter().any(|part| match part {
                ShareBy::Header(name) => name == field,
                ShareBy::Cookie(_) => *field == COOKIE,
                ShareBy::Query => false,
            })
        };
        [AUTHORIZATION, COOKIE, MCP_SESSION_ID]
            .iter()
            .any(|field| self.headers.contains_key(field) && !named(field))
    }

    /// What tells this request's feed from the others of its route.
    pub(crate) fn feed_key(&self, route: &Route) -> FeedKey {
        let mut parts: Vec<Option<Vec<u8>>> = route
            .share_by
            .iter()
            .map(|part| match part {
                ShareBy::Query => self.query.as_ref().map(|query| query.clone().into_bytes()),
                ShareBy::Header(name) => self.all_of(name),
                ShareBy::Cookie(name) => self.cookie(name).map(|v| v.as_bytes().to_vec()),
            })
            .collect();
        // An origin that allows one site by name must be asked for each.
        parts.push(self.headers.get(ORIGIN).map(|origin| origin.as_bytes().to_vec()));
        // The port tells where we were reached, not what was asked for.
        let host = without_port(&self.authority).to_ascii_lowercase();
        FeedKey { route: route.path.to_string(), host, path: self.path.clone(), parts }
    }

    /// The request that is made once for all readers: with nothing in it that is one client's.
    pub(crate) fn shared(&self, route: &Route) -> Self {
        let mut headers = HeaderMap::new();
        for part in &route.share_by {
            match part {
                ShareBy::Header(name) => {
                    for value in self.headers.get_all(name).iter().filter_map(copied) {
                        headers.append(name, value);
                    }
                }
                ShareBy::Cookie(name) => {
                    if let Some(value) = self.cookie(name)
                        && let Ok(cookie) = HeaderValue::from_str(&format!("{name}={value}"))
                    {
                        headers.append(COOKIE, cookie);
                    }
                }
                ShareBy::Query => {}
            }
        }
        if let Some(origin) = self.headers.get(ORIGIN).and_then(copied) {
            headers.insert(ORIGIN, origin);
        }
        let accept = if self.wants_events() { "text/event-stream" } else { "*/*" };
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        let query = route.share_by.contains(&ShareBy::Query).then(|| self.query.clone()).flatten();
        Self { query, headers, client: None, ..self.clone() }
    }

    /// All that the client sends under a field's name, as the origin of a shared feed gets it.
    fn all_of(&self, name: &HeaderName) -> Option<Vec<u8>> {
        let values: Vec<_> = self.headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
        (!values.is_empty()).then(|| values.join(&b'\n'))
    }

    fn cookie(&self, wanted: &str) -> Option<&str> {
        self.headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find_map(|(name, value)| (name == wanted).then_some(value))
    }
}

/// A value for who keeps it for long: it may be a part of all that the client has sent.
fn copied(value: &HeaderValue) -> Option<HeaderValue> {
    HeaderValue::from_bytes(value.as_bytes()).ok()
}

/// The host that the client named: in the request line (HTTP/2), or in the `Host` field.
pub(crate) fn authority(head: &RequestHeader) -> String {
    if let Some(authority) = head.uri.authority() {
        return authority.to_string();
    }
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    host.unwrap_or_default().to_owned()
}

pub(crate) fn client(session: &ServerSession) -> Option<IpAddr> {
    session.client_addr().and_then(|address| address.as_inet()).map(std::net::SocketAddr::ip)
}

pub(crate) fn is_tls(session: &ServerSession) -> bool {
    session.digest().is_some_and(|digest| digest.ssl_digest.is_some())
}

/// Requests with equal keys are for the same feed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FeedKey {
    pub(crate) route: String,
    host: String,
    path: String,
    parts: Vec<Option<Vec<u8>>>,
}

#[cfg(test)]
impl FeedKey {
    /// One that differs by the path alone.
    pub(crate) fn for_test(path: &str) -> Self {
        let (route, host) = ("/*".to_owned(), String::new());
        Self { route, host, path: path.to_owned(), parts: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(query: Option<&str>, headers: &[(&'static str, &str)]) -> Request {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        let query = query.map(str::to_owned);
        let (authority, path) = ("h".to_owned(), "/x".to_owned());
        let version = Version::HTTP_11;
        let arrived = Instant::now();
        let method = Method::GET;
        Request {
            method,
            authority,
            path,
            query,
            headers,
            client: None,
            tls: false,
            version,
            arrived,
        }
    }

    fn route(share_by: &str) -> Route {
        let text = format!("path = \"/x\"\nupstream = \"http://h\"\nshare_by = {share_by}");
        toml::from_str(&text).unwrap()
    }

    #[test]
    fn the_last_event_id_is_the_headers_or_a_parameters() {
        let mut both = request(Some("a=1&lastEventId=7&b=%20"), &[("last-event-id", "8")]);
        assert_eq!(both.take_last_event_id(), "8");
        assert_eq!(both.query.as_deref(), Some("a=1&b=+"));
        let mut parameter = request(Some("last_event_id=7"), &[]);
        assert_eq!(parameter.take_last_event_id(), "7");
        assert_eq!(parameter.query, None);
        let mut none = request(Some("b=%20&&c"), &[]);
        assert_eq!(none.take_last_event_id(), "");
        assert_eq!(none.query.as_deref(), Some("b=%20&&c"), "an ordinary query stays as it came");
    }

    #[test]
    fn values_of_a_query_are_not_for_logs() {
        let text = |query| request(Some(query), &[]).without_values();
        assert_eq!(text("token=secret&room=1"), "/x?token&room");
        assert_eq!(text("secret"), "/x?", "what is no pair may be a value");
        assert_eq!(request(None, &[]).without_values(), "/x");
        assert_eq!(text(&"long=1&".repeat(100)).len(), 256);
    }

    #[test]
    fn credentials_keep_a_request_private_unless_the_route_shares_by_them() {
        let query = route("[\"query\"]");
        assert!(!request(None, &[]).has_credentials_beyond(&query));
        assert!(request(None, &[("cookie", "a=1")]).has_credentials_beyond(&query));
        assert!(request(None, &[("authorization", "Bearer x")]).has_credentials_beyond(&query));
        let tenant = route("[\"cookie:tenant\"]");
        assert!(!request(None, &[("cookie", "tenant=1")]).has_credentials_beyond(&tenant));
        assert!(request(None, &[("authorization", "x")]).has_credentials_beyond(&tenant));
    }

    #[test]
    fn what_a_route_shares_by_tells_feeds_apart() {
        let route = route("[\"query\", \"cookie:tenant\"]");
        let key = |query, cookie: &str| request(query, &[("cookie", cookie)]).feed_key(&route);
        assert_eq!(key(None, "a=1; tenant=x"), key(None, "tenant=x; a=2"));
        assert_ne!(key(None, "tenant=x"), key(None, "tenant=y"));
        assert_ne!(key(Some("q"), "tenant=x"), key(None, "tenant=x"));
    }

    #[test]
    fn a_field_that_comes_twice_is_another_feed_than_one_of_its_values() {
        let route = route("[\"header:x-tenant\"]");
        let key = |fields: &[(&'static str, &str)]| {
            let mut request = request(None, &[]);
            for (name, value) in fields {
                request.headers.append(*name, value.parse().unwrap());
            }
            request.feed_key(&route)
        };
        let (a, b) = (("x-tenant", "a"), ("x-tenant", "b"));
        assert_ne!(key(&[a, b]), key(&[a]));
        assert_ne!(key(&[a, b]), key(&[b, a]));
        assert_eq!(key(&[a, b]), key(&[a, b]));
    }

    #[test]
    fn a_shared_request_carries_nothing_of_one_client() {
        let route = route("[\"cookie:tenant\"]");
        let client = request(
            Some("q=1"),
            &[
                ("cookie", "tenant=x; session=secret"),
                ("user-agent", "me"),
                ("accept", "*/*, text/event-stream"),
            ],
        );
        let shared = client.shared(&route);
        assert_eq!(shared.query, None);
        assert_eq!(shared.headers.get("cookie").unwrap(), "tenant=x");
        assert_eq!(shared.headers.len(), 2);
        assert!(shared.wants_events());
    }
}
