//! The head of an event stream's response: how it is recognised, and what it must say.

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG,
    HeaderMap, HeaderValue, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderName, Version};

const EVENT_STREAM: &[u8] = b"text/event-stream";

/// Never stored (`no-store`; `no-cache` for those who know only that), and never compressed or
/// otherwise rewritten on the way (`no-transform`).
const DIRECTIVES: [&[u8]; 3] = [b"no-cache", b"no-store", b"no-transform"];

const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Fields that say something about an HTTP/1 connection. HTTP/2 forbids them, and clients treat
/// a response that has one as malformed (RFC 9113, 8.2.2).
const CONNECTION_FIELDS: [HeaderName; 5] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Whether clients take a response with these headers for an event stream: the last valid media
/// type of all `Content-Type` lines and lists counts, and its parameters do not.
#[must_use]
pub fn is_event_stream(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|media_type| media_type.eq_ignore_ascii_case(EVENT_STREAM))
}

/// The media type that counts, without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<&[u8]> {
    let types = headers.get_all(CONTENT_TYPE).iter().flat_map(members);
    types.filter_map(essence).filter(|essence| *essence != b"*/*").last()
}

/// Whether a charset is named that is not UTF-8.
pub(crate) fn has_other_charset(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(CONTENT_TYPE).iter();
    lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';')).any(is_other_charset)
}

/// Removes what was said of a body that is not sent in that form.
pub(crate) fn reshaped(headers: &mut HeaderMap) {
    for name in [ACCEPT_RANGES, CONTENT_LENGTH, ETAG] {
        headers.remove(name);
    }
}

/// Whether the body's bytes are a coding of the stream, such as gzip.
pub(crate) fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .flat_map(members)
        .any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
}

/// Makes `headers` those of an event stream that is sent over `version` of HTTP.
pub(crate) fn prepare(headers: &mut HeaderMap, version: Version) {
    if !has_plain_content_type(headers) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    }
    if let Some(value) = cache_control(headers) {
        headers.insert(CACHE_CONTROL, value);
    }
    // nginx and those who follow it collect a response before they pass it on, unless told.
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    headers.remove(CONTENT_LENGTH);
    if version >= Version::HTTP_2 {
        for name in CONNECTION_FIELDS {
            headers.remove(name);
        }
    }
}

/// Whether the content type can stay as the handler wrote it. Chromium refuses any charset but
/// UTF-8, and what looks at the first line alone, in lower case, must know the type as well:
/// compression layers do, to leave event streams alone.
fn has_plain_content_type(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (lines.next(), lines.next()) else {
        return false;
    };
    let mut parts = only.as_bytes().split(|byte| *byte == b';');
    parts.next().map(<[u8]>::trim_ascii_end) == Some(EVENT_STREAM)
        && parts.all(|parameter| !parameter.contains(&b',') && !is_other_charset(parameter))
}

fn is_other_charset(parameter: &[u8]) -> bool {
    let mut sides = parameter.splitn(2, |byte| *byte == b'=').map(<[u8]>::trim_ascii);
    let is_charset = sides.next().is_some_and(|name| name.eq_ignore_ascii_case(b"charset"));
    let value = sides.next().unwrap_or_default();
    let unquoted = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value);
    is_charset && !unquoted.eq_ignore_ascii_case(b"utf-8")
}

/// The handler's directives if they forbid storing, else none of them; and then what is missing.
/// So nothing the handler forbade becomes allowed.
fn cache_control(headers: &HeaderMap) -> Option<HeaderValue> {
    let has = |all: &[&[u8]], one: &[u8]| all.iter().any(|it| it.eq_ignore_ascii_case(one));
    let mut directives: Vec<&[u8]> =
        headers.get_all(CACHE_CONTROL).iter().flat_map(members).collect();
    if !has(&directives, b"no-store") {
        directives.clear();
    }
    for directive in DIRECTIVES {
        if !has(&directives, directive) {
            directives.push(directive);
        }
    }
    HeaderValue::try_from(directives.join(&b", "[..])).ok()
}

/// The members of a comma list. A comma in a quoted string parts nothing.
pub(crate) fn members(list: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    let mut escaped = false;
    let parts = move |byte: &u8| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return true,
            _ => {}
        }
        false
    };
    list.as_bytes().split(parts).map(<[u8]>::trim_ascii)
}

/// `type/subtype`, if `media_type` is a valid one.
fn essence(media_type: &[u8]) -> Option<&[u8]> {
    let essence = media_type.split(|byte| *byte == b';').next()?.trim_ascii();
    let mut sides = essence.splitn(2, |byte| *byte == b'/');
    (is_token(sides.next()?) && is_token(sides.next()?)).then_some(essence)
}

fn is_token(text: &[u8]) -> bool {
    let is_token_byte = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    !text.is_empty() && text.iter().all(is_token_byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &HeaderName, lines: &[&'static str]) -> HeaderMap {
        lines.iter().map(|line| (name.clone(), HeaderValue::from_static(line))).collect()
    }

    #[test]
    fn the_last_valid_content_type_counts() {
        let cases: [(&[&'static str], bool); 22] = [
            (&["text/event-stream"], true),
            (&["Text/Event-Stream"], true),
            (&["  text/event-stream  "], true),
            (&["text/event-stream;"], true),
            (&["text/event-stream ; charset=utf-8"], true),
            (&["text/event-stream; charset=iso-8859-1"], true),
            (&["text/event-stream; x=\"a, text/html\""], true),
            (&["text/html, text/event-stream"], true),
            (&["text/event-stream, */*"], true),
            (&["text/event-stream, nonsense, a/b c"], true),
            (&["text/html", "text/event-stream"], true),
            (&[], false),
            (&[""], false),
            (&["event-stream"], false),
            (&["text/event-streams"], false),
            (&["text/ event-stream"], false),
            (&["text/event-stream/x"], false),
            (&["application/event-stream"], false),
            (&["text/plain; x=\"text/event-stream\""], false),
            (&["text/plain; x=\"a\\\", text/event-stream\""], false),
            (&["text/event-stream, text/html"], false),
            (&["text/event-stream", "text/html"], false),
        ];
        for (lines, expected) in cases {
            assert_eq!(is_event_stream(&headers(&CONTENT_TYPE, lines)), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_content_type_is_kept_or_written_plainly() {
        let plain: &[&'static str] = &["text/event-stream"];
        let cases: [(&[&'static str], &str); 12] = [
            (plain, "text/event-stream"),
            (&["text/event-stream;charset=UTF-8"], "text/event-stream;charset=UTF-8"),
            (&["text/event-stream; charset=\"utf-8\""], "text/event-stream; charset=\"utf-8\""),
            (&["text/event-stream; v=1"], "text/event-stream; v=1"),
            (&["text/event-stream ; charset=utf8"], "text/event-stream"),
            (&["text/event-stream; Charset = latin1"], "text/event-stream"),
            (&["text/event-stream; charset"], "text/event-stream"),
            (&["Text/Event-Stream"], "text/event-stream"),
            (&[" text/event-stream"], "text/event-stream"),
            (&["text/event-stream, */*"], "text/event-stream"),
            (&["text/event-stream; a=b, */*"], "text/event-stream"),
            (&["text/html", "text/event-stream"], "text/event-stream"),
        ];
        for (lines, expected) in cases {
            let mut headers = headers(&CONTENT_TYPE, lines);
            prepare(&mut headers, Version::HTTP_11);
            let sent: Vec<_> = headers.get_all(CONTENT_TYPE).iter().collect();
            assert_eq!(sent, [expected], "{lines:?}");
        }
    }

    #[test]
    fn caching_is_never_allowed_more_than_before() {
        let ours = "no-cache, no-store, no-transform";
        let cases: [(&[&'static str], &str); 8] = [
            (&[], ours),
            (&["no-cache"], ours),
            (&["public, max-age=3600"], ours),
            (&["no-cache, no-store, no-transform"], ours),
            (&["No-Store"], "No-Store, no-cache, no-transform"),
            (
                &["no-store, must-revalidate", "private"],
                "no-store, must-revalidate, private, no-cache, no-transform",
            ),
            (
                &["no-store, no-cache=\"set-cookie\""],
                "no-store, no-cache=\"set-cookie\", no-cache, no-transform",
            ),
            (&["private=\"a, no-store, b\""], ours),
        ];
        for (lines, expected) in cases {
            let mut headers = headers(&CACHE_CONTROL, lines);
            prepare(&mut headers, Version::HTTP_11);
            let sent: Vec<_> = headers.get_all(CACHE_CONTROL).iter().collect();
            assert_eq!(sent, [expected], "{lines:?}");
        }
    }

    #[test]
    fn codings_other_than_identity_are_seen() {
        assert!(!is_encoded(&HeaderMap::new()));
        assert!(!is_encoded(&headers(&CONTENT_ENCODING, &["", "Identity"])));
        assert!(is_encoded(&headers(&CONTENT_ENCODING, &["identity, gzip"])));
    }
}
