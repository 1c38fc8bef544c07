//! [`LastEventId`]: where a client stopped reading.

use http::request::Parts;
use http::{HeaderMap, Request, Uri};

use crate::EventId;

/// The id of the last event that a client has got, as it tells when it reconnects. Never empty.
///
/// It is read from the `Last-Event-ID` header, or else from the query parameter `last_event_id`
/// or `lastEventId`, since browsers cannot set the header on a first request. The first usable
/// one counts: UTF-8, not empty, and without NUL, CR and LF. As usual for queries, bytes that are
/// not UTF-8 become U+FFFD there.
///
/// [`SseLayer`](crate::SseLayer) puts it into the request's extensions if the request has one.
/// With feature `axum`, `Option<LastEventId>` is an extractor that never fails, with or without
/// the layer:
///
/// ```
/// use sse_layer::LastEventId;
///
/// async fn events(last: Option<LastEventId>) -> String {
///     match last {
///         Some(last) => format!("all after {}", last.as_str()),
///         None => "all from now on".into(),
///     }
/// }
/// # #[cfg(feature = "axum")]
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(events));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LastEventId(EventId);

impl LastEventId {
    /// That of `request`, if it has a usable one.
    #[must_use]
    pub fn of<B>(request: &Request<B>) -> Option<Self> {
        Self::find(request.headers(), request.uri())
    }

    /// That of the request whose head is `parts`, if it has a usable one.
    #[must_use]
    pub fn of_parts(parts: &Parts) -> Option<Self> {
        Self::find(&parts.headers, &parts.uri)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The id.
    #[must_use]
    pub const fn as_id(&self) -> &EventId {
        &self.0
    }

    /// The id, taken out.
    #[must_use]
    pub fn into_id(self) -> EventId {
        self.0
    }

    fn find(headers: &HeaderMap, uri: &Uri) -> Option<Self> {
        // Browsers send UTF-8 here, which `HeaderValue::to_str` would refuse.
        let header = headers.get("last-event-id").map(|value| value.as_bytes());
        header.and_then(|value| Self::usable(std::str::from_utf8(value).ok()?)).or_else(|| {
            form_urlencoded::parse(uri.query()?.as_bytes())
                .filter(|(name, _)| name == "last_event_id" || name == "lastEventId")
                .find_map(|(_, value)| Self::usable(&value))
        })
    }

    fn usable(value: &str) -> Option<Self> {
        value.parse().ok().filter(|id: &EventId| !id.as_str().is_empty()).map(Self)
    }
}

#[cfg(feature = "axum")]
impl<S: Sync> axum_core::extract::OptionalFromRequestParts<S> for LastEventId {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        _: &S,
    ) -> Result<Option<Self>, std::convert::Infallible> {
        Ok(parts.extensions.get().cloned().or_else(|| Self::of_parts(parts)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last_event_id(header: Option<&[u8]>, uri: &str) -> Option<String> {
        let mut request = Request::get(uri);
        if let Some(header) = header {
            request = request.header("Last-Event-ID", header);
        }
        let request = request.body(()).unwrap();
        let id = LastEventId::of(&request);
        assert_eq!(id, LastEventId::of_parts(&request.into_parts().0));
        id.map(|id| id.as_str().to_owned())
    }

    type Case = (Option<&'static [u8]>, &'static str, Option<&'static str>);

    #[test]
    fn the_first_usable_one_counts() {
        let cases: [Case; 17] = [
            (None, "/", None),
            (None, "/?lastEventID=1", None),
            (Some(b"17"), "/", Some("17")),
            (Some("\u{e4}\u{1f600}".as_bytes()), "/", Some("\u{e4}\u{1f600}")),
            (Some(b"a b:c"), "/", Some("a b:c")),
            (Some(b"\xE4"), "/", None),
            (Some(b""), "/", None),
            (Some(b"1"), "/?last_event_id=2", Some("1")),
            (Some(b""), "/?last_event_id=2", Some("2")),
            (Some(b"\xE4"), "/?last_event_id=2", Some("2")),
            (None, "/?lastEventId=2&x=1", Some("2")),
            (None, "/?last_event_id=&lastEventId=3", Some("3")),
            (None, "/?last_event_id=a%20b+%C3%A4%26", Some("a b \u{e4}&")),
            (None, "/?last_event_id=1%0Adata:%20x", None),
            (None, "/?last_event_id=1%0D", None),
            (None, "/?last_event_id=1%00", None),
            (None, "/?last_event_id=%FF", Some("\u{fffd}")),
        ];
        for (header, uri, expected) in cases {
            assert_eq!(last_event_id(header, uri).as_deref(), expected, "{header:?} {uri}");
        }
    }
}
