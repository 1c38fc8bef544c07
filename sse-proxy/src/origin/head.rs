//! What an answer's head says: is it a stream, and under which head does a client get it?

use std::time::Duration;

use encoding_rs::Encoding;
use http::header::{
    AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, DATE, ETAG, EXPIRES,
    HeaderName, LAST_MODIFIED, SET_COOKIE, VIA,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use sse_layer::{Repairs, is_event_stream};

use super::decode::Decoding;
use super::forward::via;
use super::{OriginError, Response, copy_end_to_end};
use crate::config::{Route, Stream};
use crate::request::Request;

const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// How long the head of an answer waits for the first bytes of the body, where they decide what
/// the head will be.
const PATIENCE: Duration = Duration::from_secs(1);

/// An answer, and what it is.
pub(crate) enum Answer {
    /// A stream of events.
    Stream(Response, StreamHead),
    /// Anything else: it concerns nobody but the client.
    Other(Response),
}

/// What is known of a stream before its first event.
pub(crate) struct StreamHead {
    /// The head for the client.
    headers: HeaderMap,
    /// Repairs that the head needed, by what is already done.
    pub(super) repaired: Repairs,
    pub(super) decoding: Decoding,
    /// What the body's bytes are, where they are not UTF-8.
    pub(super) charset: Option<&'static Encoding>,
}

impl Answer {
    /// Looks at the head of an answer, and at its first bytes if the head alone does not tell.
    pub(crate) async fn of(
        mut response: Response,
        route: &Route,
        request: &Request,
    ) -> Result<Self, OriginError> {
        let shared = route.stream == Stream::Shared;
        let repairs = if shared { route.repair | Repairs::DECODE } else { route.repair };
        if response.status != StatusCode::OK {
            return Ok(Self::Other(response));
        }
        let coded = response.headers.contains_key(CONTENT_ENCODING);
        let decoding = match Decoding::of(&response.headers, repairs) {
            Some(decoding) if !coded || repairs.contains(Repairs::DECODE) => decoding,
            _ => return Ok(Self::Other(response)),
        };
        let mut repaired = Repairs::NONE;
        let mut charset = None;
        if is_event_stream(&response.headers) {
            if let Some(label) = other_charset(&response.headers) {
                let repair;
                (repair, charset) = mend_charset(&mut response, &label, repairs).await?;
                repaired |= repair;
            }
        } else if !response.headers.contains_key(CONTENT_TYPE)
            && repairs.contains(Repairs::CONTENT_TYPE)
            && (shared || request.wants_events())
        {
            repaired |= Repairs::CONTENT_TYPE;
        } else if repairs.contains(Repairs::RELABEL)
            && !coded
            && begins_like_a_stream(&mut response).await?
        {
            repaired |= Repairs::RELABEL;
        } else {
            return Ok(Self::Other(response));
        }
        if coded {
            repaired |= Repairs::DECODE;
        }
        let mut head = StreamHead { headers: HeaderMap::new(), repaired, decoding, charset };
        head.set_headers(&response, repairs);
        response.close_after();
        Ok(Self::Stream(response, head))
    }
}

impl StreamHead {
    /// The head for the client.
    pub(crate) const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Repairs that the head needed.
    pub(crate) const fn repaired(&self) -> Repairs {
        self.repaired
    }

    /// The head for readers who share the stream: without what was meant for the one who opened
    /// it, or for its moment.
    pub(crate) fn for_everybody(mut self) -> HeaderMap {
        for field in [SET_COOKIE, DATE, AGE, ETAG, LAST_MODIFIED, EXPIRES] {
            self.headers.remove(field);
        }
        self.headers
    }

    fn set_headers(&mut self, response: &Response, repairs: Repairs) {
        let mut headers = copy_end_to_end(&response.headers);
        // The stream has no known length, and its coding has been undone.
        headers.remove(CONTENT_LENGTH);
        headers.remove(CONTENT_ENCODING);
        if self.repaired.intersects(
            Repairs::CONTENT_TYPE | Repairs::RELABEL | Repairs::CHARSET | Repairs::TRANSCODE,
        ) {
            headers.insert(CONTENT_TYPE, EVENT_STREAM);
        }
        let cacheable = headers.get(CACHE_CONTROL).is_none_or(|value| {
            let value = value.as_bytes().to_ascii_lowercase();
            !value
                .split(|byte| *byte == b',')
                .any(|part| matches!(part.trim_ascii(), b"no-store" | b"no-cache"))
        });
        if cacheable {
            let repair = match headers.contains_key(CACHE_CONTROL) {
                true => Repairs::OVERRULE_CACHING,
                false => Repairs::CACHE_CONTROL,
            };
            if repairs.contains(repair) {
                headers.insert(CACHE_CONTROL, NO_STORE);
                self.repaired |= repair;
            }
        }
        if !repairs.is_empty() {
            headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
        }
        headers.append(VIA, HeaderValue::from_static(via(response.version())));
        self.headers = headers;
    }
}

/// The charset in the label, if it is not UTF-8.
fn other_charset(headers: &HeaderMap) -> Option<String> {
    let label = headers.get_all(CONTENT_TYPE).iter().next_back()?.to_str().ok()?;
    label.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"');
        let other = name.trim().eq_ignore_ascii_case("charset")
            && !value.is_empty()
            && !value.eq_ignore_ascii_case("utf-8");
        other.then(|| value.to_owned())
    })
}

/// What to do about a label that says the bytes are not UTF-8: they always are to a browser, if
/// it does not refuse the label.
async fn mend_charset(
    response: &mut Response,
    label: &str,
    repairs: Repairs,
) -> Result<(Repairs, Option<&'static Encoding>), OriginError> {
    let encoding = Encoding::for_label(label.as_bytes()).filter(|e| e.is_ascii_compatible());
    if repairs.contains(Repairs::TRANSCODE) && encoding.is_some() {
        return Ok((Repairs::TRANSCODE, encoding));
    }
    let begins_as_utf8 = !repairs.contains(Repairs::CHARSET)
        || match tokio::time::timeout(PATIENCE, response.peek(1)).await {
            // A character may be cut in two at the end of what has come.
            Ok(begin) => match std::str::from_utf8(begin?) {
                Ok(_) => true,
                Err(error) => error.error_len().is_none(),
            },
            Err(_) => true,
        };
    let drop_label = repairs.contains(Repairs::CHARSET) && begins_as_utf8;
    Ok((if drop_label { Repairs::CHARSET } else { Repairs::NONE }, None))
}

/// Whether the body begins as a stream does: with a byte order mark, a comment, or one of the
/// four fields, however it is written.
async fn begins_like_a_stream(response: &mut Response) -> Result<bool, OriginError> {
    const ENOUGH: usize = 64;
    for wanted in 1..=ENOUGH {
        let Ok(begin) = tokio::time::timeout(PATIENCE, response.peek(wanted)).await else {
            return Ok(false);
        };
        let begin = begin?;
        match looks_like_a_stream(begin) {
            Some(verdict) => return Ok(verdict),
            None if begin.len() < wanted => return Ok(false), // the body has ended
            None => {}
        }
    }
    Ok(false)
}

/// `None` if more bytes are needed.
fn looks_like_a_stream(begin: &[u8]) -> Option<bool> {
    const BOM: &[u8] = b"\xef\xbb\xbf";
    const FIELDS: [&[u8]; 4] = [b"event", b"data", b"id", b"retry"];
    if BOM.starts_with(begin) && begin.len() < BOM.len() {
        return None;
    }
    let begin = begin.strip_prefix(BOM).unwrap_or(begin).trim_ascii_start();
    let end = begin.iter().position(|byte| !byte.is_ascii_alphabetic());
    let name = begin.get(..end.unwrap_or(begin.len()))?.to_ascii_lowercase();
    match end.and_then(|end| begin.get(end..)).map(<[u8]>::trim_ascii_start) {
        Some([b':', ..]) => Some(name.is_empty() || FIELDS.contains(&name.as_slice())),
        Some([]) | None => {
            let possible = FIELDS.iter().any(|field| field.starts_with(&name));
            if possible { None } else { Some(false) }
        }
        Some(_) => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_known_by_its_first_line() {
        for begin in [&b"data: x"[..], b"Event: tick", b": hi", b"\xef\xbb\xbfdata:", b"  ID : 7"] {
            assert_eq!(looks_like_a_stream(begin), Some(true), "{begin:?}");
        }
        for begin in [
            &b"<script>"[..],
            b"{\"error\":\"quota\"}",
            b"12:00:01 started",
            b"--b\r\nContent-Type: text/plain",
            b"Content-Type: text/event-stream",
            b"data=x",
        ] {
            assert_eq!(looks_like_a_stream(begin), Some(false), "{begin:?}");
        }
        for begin in [&b""[..], b"da", b"data", b"\xef\xbb", b"  ", b"id "] {
            assert_eq!(looks_like_a_stream(begin), None, "{begin:?}");
        }
    }
}
