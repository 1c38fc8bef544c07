//! [`EventSource`]: what a browser makes of a URL, by the standard's rules.

use std::io::{self, Write};
use std::time::Duration;

use bytes::Bytes;
use flate2::write::{GzDecoder, ZlibDecoder};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use sse_layer::{Decoder, MessageEvent, is_event_stream};

use super::{Client, Response, fields};

/// Where an `EventSource` gives up following redirects.
const MOST_REDIRECTS: usize = 20;

/// What an `EventSource` thinks of a `charset` that is not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Charsets {
    /// Nothing, as the standard says.
    Ignored,
    /// It fails, as in Chromium.
    Refused,
}

/// The standard's ready states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Not connected, but it would try again.
    Connecting,
    Open,
    /// Failed for good.
    Closed,
}

/// What a browser makes of a URL. It reconnects when the test says so, and not by the clock.
pub(crate) struct EventSource<'c> {
    client: &'c Client,
    /// That of the next request: redirects change it.
    url: String,
    charsets: Charsets,
    codings: bool,
    last_event_id: String,
    /// `None` as long as no server has said anything.
    pub(crate) reconnection_time: Option<Duration>,
    connection: Option<Connection>,
}

/// One response being read.
struct Connection {
    response: Response,
    coding: Coding,
    decoder: Decoder,
}

impl<'c> EventSource<'c> {
    pub(crate) fn new(client: &'c Client, url: &str, charsets: Charsets) -> Self {
        Self {
            client,
            url: url.to_owned(),
            charsets,
            codings: true,
            last_event_id: String::new(),
            reconnection_time: None,
            connection: None,
        }
    }

    /// As a simpler client, which knows no content coding and asks for none.
    pub(crate) fn without_codings(mut self) -> Self {
        self.codings = false;
        self
    }

    /// The id that the next request would carry.
    pub(crate) fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// Connects, for the first time or again.
    pub(crate) async fn connect(&mut self) -> State {
        for _ in 0..MOST_REDIRECTS {
            let Ok(response) = self.client.try_events(&self.url, self.fields()).await else {
                return State::Connecting;
            };
            if let Some(target) = redirect(&response) {
                self.url = target;
                continue;
            }
            if response.status != StatusCode::OK || !self.takes(&response.headers) {
                return State::Closed;
            }
            let coding = response.headers.get(CONTENT_ENCODING).filter(|_| self.codings);
            let coding = Coding::of(coding);
            // The standard leaves open whether the id lives on: browsers carry it over.
            let decoder = Decoder::new().with_last_event_id(self.last_event_id.clone());
            self.connection = Some(Connection { response, coding, decoder });
            return State::Open;
        }
        State::Closed
    }

    fn fields(&self) -> HeaderMap {
        let mut all = fields(&[("cache-control", "no-cache"), ("pragma", "no-cache")]);
        if self.codings {
            all.extend(fields(&[("accept-encoding", "gzip, deflate, br, zstd")]));
        }
        if !self.last_event_id.is_empty() {
            all.extend(fields(&[("last-event-id", &self.last_event_id)]));
        }
        all
    }

    fn takes(&self, headers: &HeaderMap) -> bool {
        is_event_stream(headers)
            && (self.charsets == Charsets::Ignored || !has_other_charset(headers))
    }

    /// The next event; `None` when the connection has ended, in whatever way.
    pub(crate) async fn next(&mut self) -> Option<MessageEvent> {
        let connection = self.connection.as_mut()?;
        loop {
            let event = connection.decoder.next_event().expect("no event is too large here");
            let event = event.map(|event| event.to_owned());
            self.last_event_id = connection.decoder.last_event_id().to_owned();
            self.reconnection_time = connection.decoder.retry().or(self.reconnection_time);
            if event.is_some() {
                return event;
            }
            let piece = connection.response.chunk().await;
            let decoded = piece.and_then(|piece| connection.coding.decode(&piece.ok()?).ok());
            let Some(bytes) = decoded else {
                self.connection = None;
                return None;
            };
            connection.decoder.push(bytes);
        }
    }

    /// All events to the end of the connection.
    pub(crate) async fn rest(&mut self) -> Vec<MessageEvent> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

/// Where a response sends the client.
fn redirect(response: &Response) -> Option<String> {
    let target = response.headers.get(LOCATION).filter(|_| response.status.is_redirection())?;
    Some(target.to_str().expect("a location").to_owned())
}

/// Whether the label names an encoding that is not UTF-8.
fn has_other_charset(headers: &HeaderMap) -> bool {
    let label = headers.get_all(CONTENT_TYPE).iter().next_back();
    let label = label.and_then(|label| label.to_str().ok()).unwrap_or_default();
    label.to_ascii_lowercase().split(';').any(|parameter| {
        let charset = parameter.trim().strip_prefix("charset=").map(|it| it.trim_matches('"'));
        charset.is_some_and(|charset| !matches!(charset, "" | "utf-8"))
    })
}

/// A content coding being undone.
enum Coding {
    None,
    Gzip(GzDecoder<Vec<u8>>),
    Deflate(ZlibDecoder<Vec<u8>>),
}

impl Coding {
    fn of(label: Option<&HeaderValue>) -> Self {
        match label.map(HeaderValue::as_bytes) {
            Some(b"gzip") => Self::Gzip(GzDecoder::new(Vec::new())),
            Some(b"deflate") => Self::Deflate(ZlibDecoder::new(Vec::new())),
            _ => Self::None,
        }
    }

    fn decode(&mut self, bytes: &Bytes) -> io::Result<Bytes> {
        match self {
            Self::None => Ok(bytes.clone()),
            Self::Gzip(decoder) => {
                decoder.write_all(bytes)?;
                decoder.flush()?;
                Ok(std::mem::take(decoder.get_mut()).into())
            }
            Self::Deflate(decoder) => {
                decoder.write_all(bytes)?;
                decoder.flush()?;
                Ok(std::mem::take(decoder.get_mut()).into())
            }
        }
    }
}
