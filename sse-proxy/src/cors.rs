//! What pages of other sites are allowed, and how browsers are told.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, COOKIE, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method};
use pingora::protocols::http::ServerSession;
use sse_layer::mux::is_same_origin;

use crate::answer::Answer;
use crate::config::{Cors, Route};
use crate::request::{LAST_EVENT_ID, Request};

/// What an answer depends on.
const BY_ORIGIN: HeaderValue = HeaderValue::from_static("Origin");

/// How long a browser may remember what it was allowed, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The origin of the page that sent a request, if the page is of another site.
pub(crate) fn other_site(request: &Request) -> Option<&HeaderValue> {
    request.headers.get(ORIGIN).filter(|origin| {
        !origin.to_str().is_ok_and(|origin| is_same_origin(origin, &request.authority))
    })
}

/// Whether a request is allowed by a route, as far as the page's site is concerned. Without `cors`
/// on the route, only pages of the same site are.
pub(crate) fn is_allowed(route: &Route, request: &Request) -> bool {
    let Some(origin) = other_site(request) else { return true };
    let has_credentials =
        [AUTHORIZATION, COOKIE].iter().any(|field| request.headers.contains_key(field));
    route
        .cors
        .as_ref()
        .is_some_and(|cors| allows(cors, origin) && (cors.credentials || !has_credentials))
}

fn allows(cors: &Cors, origin: &HeaderValue) -> bool {
    origin.to_str().is_ok_and(|origin| cors.allows(origin))
}

/// What tells a browser that a page of another site may have the answer. `None` if it may not, by
/// any of these.
pub(crate) fn permit<'a>(
    by: impl Iterator<Item = &'a Cors>,
    origin: &HeaderValue,
) -> Option<HeaderMap> {
    let mut credentials = None;
    for cors in by.filter(|cors| allows(cors, origin)) {
        credentials = Some(credentials.unwrap_or(false) || cors.credentials);
    }
    let mut headers = HeaderMap::new();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(VARY, BY_ORIGIN);
    if credentials? {
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    Some(headers)
}

/// Whether a browser asks what it may ask.
pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Adds to a permission what may be asked with it: these methods, and whatever fields the browser
/// wants to send, besides the one that a stream is resumed with.
pub(crate) fn allow(permit: &mut HeaderMap, request: &HeaderMap, methods: HeaderValue) {
    let mut fields = LAST_EVENT_ID.as_str().as_bytes().to_vec();
    for asked in request.get_all(ACCESS_CONTROL_REQUEST_HEADERS) {
        fields.extend_from_slice(b", ");
        fields.extend_from_slice(asked.as_bytes());
    }
    if let Ok(fields) = HeaderValue::from_bytes(&fields) {
        permit.insert(ACCESS_CONTROL_ALLOW_HEADERS, fields);
    }
    permit.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    permit.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
}

/// Answers a browser that asks what a page may send to a route, which is anything that it asks for
/// if the page is allowed at all. `None` if the route leaves that to its origin.
pub(crate) async fn preflight(
    session: &mut ServerSession,
    route: &Route,
    request: &Request,
) -> Option<pingora::Result<()>> {
    let cors = route.cors.as_ref()?;
    let method = request.headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
    let origin = request.headers.get(ORIGIN).filter(|_| request.method == Method::OPTIONS)?;
    let (answer, permit) = match permit(std::iter::once(cors), origin) {
        Some(mut permit) => {
            allow(&mut permit, &request.headers, method.clone());
            (Answer::new(204, ""), permit)
        }
        None => {
            let vary = HeaderMap::from_iter([(VARY, BY_ORIGIN)]);
            (Answer::new(403, "Pages of this origin may not ask this.\n"), vary)
        }
    };
    Some(answer.write(session, permit).await)
}

/// Has a route's `cors`, if it has one, decide instead of the route's origin which pages may read
/// an answer with these fields.
pub(crate) fn decide(route: &Route, request: &Request, answer: &mut HeaderMap) {
    let Some(cors) = &route.cors else { return };
    answer.remove(ACCESS_CONTROL_ALLOW_ORIGIN);
    answer.remove(ACCESS_CONTROL_ALLOW_CREDENTIALS);
    let permit = request.headers.get(ORIGIN).and_then(|it| permit(std::iter::once(cors), it));
    for (name, value) in permit.iter().flatten().filter(|(name, _)| **name != VARY) {
        answer.insert(name, value.clone());
    }
    answer.append(VARY, BY_ORIGIN);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors(text: &str) -> Cors {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_site_is_allowed_by_who_names_it() {
        let one = cors("origins = [\"https://one.example\"]\ncredentials = true");
        let all = cors("origins = [\"*\"]");
        let site = |origin: &'static str| HeaderValue::from_static(origin);
        let headers = permit([&one].into_iter(), &site("https://one.example")).unwrap();
        assert_eq!(headers["access-control-allow-origin"], "https://one.example");
        assert_eq!(headers["access-control-allow-credentials"], "true");
        assert!(permit([&one].into_iter(), &site("https://two.example")).is_none());
        let headers = permit([&one, &all].into_iter(), &site("https://two.example")).unwrap();
        assert!(!headers.contains_key("access-control-allow-credentials"));
        assert!(permit(std::iter::empty(), &site("https://one.example")).is_none());
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for origin in ["one.example", "https://one.example/", "https://", "ftp://one.example", ""] {
            let text = format!("origins = [\"{origin}\"]");
            let error = toml::from_str::<Cors>(&text).unwrap_err().to_string();
            assert!(error.contains("is no origin"), "{error}");
        }
    }
}
