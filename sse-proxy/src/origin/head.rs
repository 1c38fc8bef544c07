//! What an answer's head says: is it a stream, and under which head does a client get it?

use std::time::Duration;

use http::header::{
    ACCEPT_ENCODING, AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, DATE,
    ETAG, EXPIRES, HeaderName, LAST_MODIFIED, RETRY_AFTER, SET_COOKIE, VIA,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use sse_layer::convert::Convert;
use sse_layer::{Event, Repairs, is_event_stream};

use super::charset::{Charset, Labelled};
use super::decode::Decoding;
use super::forward::via;
use super::{OriginError, Response, copy_end_to_end, sniff};
use crate::config::{Route, Stream};
use crate::request::Request;

const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// When a browser is to come back after a server's error, if the server does not say.
const BACK_AFTER_ERROR: Duration = Duration::from_secs(5);

/// The longest that a server may send it away for.
const LONGEST_AWAY: Duration = Duration::from_secs(3600);

/// An answer, and what it is.
pub(crate) enum Answer {
    /// A stream of events.
    Stream(Response, StreamHead),
    /// Anything else: it concerns nobody but the client.
    Other(Response),
}

/// Something odd about an answer that stays as it is.
pub(crate) enum Oddity {
    /// These repairs are off, and would make a stream of it.
    Off(Repairs),
    /// It is a stream in a coding that cannot be undone here.
    UnknownCoding,
}

/// What is known of a stream before its first event.
pub(crate) struct StreamHead {
    /// The head for the client.
    headers: HeaderMap,
    /// Repairs that the head needed, by what is already done.
    pub(super) repaired: Repairs,
    /// Repairs that are off, and would have been made to the head.
    pub(super) hints: Repairs,
    pub(super) decoding: Decoding,
    /// What the body's bytes are.
    pub(super) charset: Charset,
    /// What the body is to be converted from. An event stream may be said to be one of NDJSON.
    pub(super) convert: Option<Convert>,
    pub(super) is_labelled: bool,
}

impl Answer {
    /// The stream's head, if the head of the answer alone tells that it is one, and in what form:
    /// as most do.
    pub(crate) fn plain(
        response: &mut Response,
        route: &Route,
        request: &Request,
    ) -> Option<StreamHead> {
        let headers = &response.headers;
        let is_plain = response.status == StatusCode::OK
            && is_event_stream(headers)
            && !headers.contains_key(CONTENT_ENCODING);
        let repairs = repairs(route);
        let labelled = is_plain.then(|| Labelled::plain(headers, repairs)).flatten()?;
        let decoding = Decoding::of(headers, repairs)?;
        let convert = convert(route, request, headers, true);
        Some(StreamHead::new(response, repairs, Repairs::NONE, labelled, decoding, convert))
    }

    /// Looks at the head of an answer, and at its first bytes if the head alone does not tell.
    /// `tell` hears what keeps it from being a stream of ours.
    pub(crate) async fn of(
        mut response: Response,
        route: &Route,
        request: &Request,
        tell: impl FnOnce(Oddity),
    ) -> Result<Self, OriginError> {
        match StreamHead::of(&mut response, route, request).await {
            Ok(head) => Ok(Self::Stream(response, head)),
            Err(NoStream::Other) => Ok(Self::Other(response)),
            Err(NoStream::Odd(oddity)) => {
                tell(oddity);
                Ok(Self::Other(response))
            }
            Err(NoStream::Failed(error)) => Err(error),
        }
    }
}

/// Why an answer is no stream.
enum NoStream {
    /// It is something else.
    Other,
    /// It is odd.
    Odd(Oddity),
    /// The origin failed before it was known.
    Failed(OriginError),
}

impl From<OriginError> for NoStream {
    fn from(error: OriginError) -> Self {
        Self::Failed(error)
    }
}

/// What is mended of a route's answers. Nobody could share a stream in a coding that one of its readers
/// asked for.
fn repairs(route: &Route) -> Repairs {
    match route.stream {
        Stream::Shared => route.repair | Repairs::DECODE,
        _ => route.repair,
    }
}

/// What the route has an answer with this head converted from.
fn convert(
    route: &Route,
    request: &Request,
    headers: &HeaderMap,
    is_labelled: bool,
) -> Option<Convert> {
    route.convert.format().filter(|format| {
        let is_named = format.is_named_by(headers) || (is_labelled && *format == Convert::Ndjson);
        is_named && request.takes_events()
    })
}

/// What mends a status, for whom only 200 is a stream.
fn mended_status(
    response: &Response,
    request: &Request,
    repairs: Repairs,
) -> Result<Repairs, NoStream> {
    let status = response.status;
    if status == StatusCode::OK {
        return Ok(Repairs::NONE);
    }
    // 204 and 205 have no body, and 206 is a part of something.
    let is_success = status.is_success() && !matches!(status.as_u16(), 204..=206);
    let is_get = request.method == Method::GET;
    let repair = if is_success && is_get && is_event_stream(&response.headers) {
        Repairs::STATUS
    } else if status.is_server_error() && is_get && request.wants_events() {
        Repairs::SOFTEN_5XX
    } else {
        return Err(NoStream::Other);
    };
    if repairs.contains(repair) { Ok(repair) } else { Err(NoStream::Odd(Oddity::Off(repair))) }
}

/// How the body's coding is undone, if it has one that can be and is to be.
fn decoding(
    headers: &HeaderMap,
    request: &Request,
    repairs: Repairs,
) -> Result<Decoding, NoStream> {
    let is_coded = headers.contains_key(CONTENT_ENCODING);
    match Decoding::of(headers, repairs) {
        Some(decoding) if !is_coded || repairs.contains(Repairs::DECODE) => Ok(decoding),
        _ if !is_event_stream(headers) => Err(NoStream::Other),
        None => Err(NoStream::Odd(Oddity::UnknownCoding)),
        // Who asked for it can undo it.
        Some(_) if request.headers.contains_key(ACCEPT_ENCODING) => Err(NoStream::Other),
        Some(_) => Err(NoStream::Odd(Oddity::Off(Repairs::DECODE))),
    }
}

/// What mends a label that says something else than an event stream.
async fn mended_label(
    response: &mut Response,
    route: &Route,
    request: &Request,
) -> Result<Repairs, NoStream> {
    // A page, an image or a style sheet is asked for by its type, and is what it says it is.
    if !request.takes_events() {
        return Err(NoStream::Other);
    }
    let is_missing = response.headers.get(CONTENT_TYPE).is_none_or(HeaderValue::is_empty);
    let is_coded = response.headers.contains_key(CONTENT_ENCODING);
    let repair = if is_missing { Repairs::CONTENT_TYPE } else { Repairs::RELABEL };
    if !repairs(route).contains(repair) {
        // Whoever posts gets what he is told he gets.
        let is_meant = request.method == Method::GET && request.wants_events() && !is_coded;
        let is_odd = is_meant && sniff::seems_a_stream(response).await?;
        return Err(if is_odd { NoStream::Odd(Oddity::Off(repair)) } else { NoStream::Other });
    }
    let is_stream = if is_missing {
        // There is nobody to contradict but the bytes, if they come soon.
        let is_meant = route.stream == Stream::Shared || request.wants_events();
        is_meant && (is_coded || sniff::begins_like_a_stream(response).await? != Some(false))
    } else {
        !is_coded && sniff::begins_like_a_stream(response).await? == Some(true)
    };
    if is_stream { Ok(repair) } else { Err(NoStream::Other) }
}

impl StreamHead {
    /// That of an answer, as the head and the first bytes tell.
    async fn of(
        response: &mut Response,
        route: &Route,
        request: &Request,
    ) -> Result<Self, NoStream> {
        let repairs = repairs(route);
        let mut repaired = mended_status(response, request, repairs)?;
        if repaired == Repairs::SOFTEN_5XX {
            return Ok(Self::softened(response, repairs));
        }
        let decoding = decoding(&response.headers, request, repairs)?;
        if response.headers.contains_key(CONTENT_ENCODING) {
            repaired |= Repairs::DECODE;
        }
        let is_labelled = is_event_stream(&response.headers);
        let convert = convert(route, request, &response.headers, is_labelled);
        let labelled = match is_labelled {
            true => Labelled::of(response, repairs).await?,
            false => Labelled::unchanged(),
        };
        if !is_labelled && convert.is_none() {
            repaired |= mended_label(response, route, request).await?;
        }
        Ok(Self::new(response, repairs, repaired, labelled, decoding, convert))
    }

    /// That of an answer of which all this is known, and that has been mended so far.
    fn new(
        response: &mut Response,
        repairs: Repairs,
        repaired: Repairs,
        labelled: Labelled,
        decoding: Decoding,
        convert: Option<Convert>,
    ) -> Self {
        let mut head = Self {
            headers: HeaderMap::new(),
            repaired: repaired | labelled.repaired,
            hints: labelled.hints,
            decoding,
            charset: labelled.charset,
            convert,
            is_labelled: is_event_stream(&response.headers),
        };
        head.set_headers(response, repairs);
        response.close_after();
        head
    }

    /// That of a server's error, which becomes a stream that ends at once, so that browsers come
    /// back.
    fn softened(response: &mut Response, repairs: Repairs) -> Self {
        let asked = response.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let asked = asked.and_then(|seconds| seconds.trim().parse().ok()).map(Duration::from_secs);
        let retry = asked.unwrap_or_default().clamp(BACK_AFTER_ERROR, LONGEST_AWAY);
        response.replace_body(Event::new().retry(retry).to_bytes());
        let mut head = Self { repaired: Repairs::SOFTEN_5XX, ..Self::unseen() };
        head.set_headers(response, repairs);
        head
    }

    /// Of which nothing is known yet.
    fn unseen() -> Self {
        Self {
            headers: HeaderMap::new(),
            repaired: Repairs::NONE,
            hints: Repairs::NONE,
            decoding: Decoding::Plain,
            charset: Charset::Utf8,
            convert: None,
            is_labelled: false,
        }
    }

    /// The head for the client.
    pub(crate) const fn headers(&self) -> &HeaderMap {
        &self.headers
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
        let is_safe = repairs.contains(Repairs::FRAMING);
        if is_safe && headers.contains_key(CONTENT_LENGTH) {
            self.repaired |= Repairs::FRAMING;
        }
        let has_gone = response.headers.keys().any(|name| {
            !headers.contains_key(name)
                && !matches!(name.as_str(), "connection" | "transfer-encoding")
        });
        if repairs.contains(Repairs::HOP_BY_HOP) && has_gone {
            self.repaired |= Repairs::HOP_BY_HOP;
        }
        // The stream has no known length, and its coding has been undone.
        headers.remove(CONTENT_LENGTH);
        headers.remove(CONTENT_ENCODING);
        let relabelled = Repairs::CONTENT_TYPE
            | Repairs::RELABEL
            | Repairs::CHARSET
            | Repairs::TRANSCODE
            | Repairs::SOFTEN_5XX;
        if self.convert.is_some() || self.repaired.intersects(relabelled) {
            headers.insert(CONTENT_TYPE, EVENT_STREAM);
        }
        self.set_caching(&mut headers, repairs);
        if !repairs.is_empty() {
            headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
        }
        headers.append(VIA, HeaderValue::from_static(via(response.version())));
        self.headers = headers;
    }

    fn set_caching(&mut self, headers: &mut HeaderMap, repairs: Repairs) {
        let lines = headers.get_all(CACHE_CONTROL).iter();
        let directives = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
        // What is for one client alone is kept by nobody on the way.
        let forbids = [&b"no-store"[..], b"no-cache", b"private"];
        let mut directives = directives.map(<[u8]>::trim_ascii);
        if directives.any(|one| forbids.iter().any(|it| it.eq_ignore_ascii_case(one))) {
            return;
        }
        let repair = match headers.contains_key(CACHE_CONTROL) {
            true => Repairs::OVERRULE_CACHING,
            false => Repairs::CACHE_CONTROL,
        };
        if repairs.contains(repair) {
            headers.insert(CACHE_CONTROL, NO_STORE);
            self.repaired |= repair;
        } else if repair == Repairs::OVERRULE_CACHING {
            self.hints |= repair;
        }
    }
}
