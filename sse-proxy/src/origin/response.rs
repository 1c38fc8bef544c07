//! [`Response`]: an origin's answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::OriginError;
use super::bare::Bare;
use super::member::Member;
use super::pool::{Connection, Http1, Pool, Slot};
use crate::config::Route;
use crate::cors;
use crate::request::Request;

/// An origin's answer: its head, and its body as it comes.
///
/// Dropped before its end, it ends the request at the origin.
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    version: Version,
    body: Source,
    /// What has been looked at of the body, and not yet handed out.
    peeked: BytesMut,
    ended: bool,
    trailers: Option<HeaderMap>,
    /// How long the body may be silent.
    idle: Option<Duration>,
    /// The connection itself, after a 101.
    upgrade: Option<OnUpgrade>,
    lease: Option<Lease>,
    /// Room among the requests of its route.
    room: Option<OwnedSemaphorePermit>,
    /// Whose it is, for the log.
    from: Option<Arc<Member>>,
}

/// Where the body comes from.
enum Source {
    Hyper(Incoming),
    Bare(Box<Bare>),
    /// Nowhere: there is nothing more.
    None,
}

/// An answer that has been taken from here as it comes over its connection.
pub(crate) struct Taken {
    pub(crate) bare: Box<Bare>,
    /// What has been looked at of the body.
    pub(crate) peeked: Bytes,
    /// Whether the protocol shows where the body ends.
    pub(crate) is_delimited: bool,
    /// How long it may be silent.
    pub(crate) idle: Option<Duration>,
    /// To be held while it lasts.
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

/// What goes back when the answer has been read.
pub(super) enum Lease {
    H1(Option<Http1>, Arc<Pool>),
    H2(#[expect(dead_code, reason = "counted while it lives")] Slot),
}

impl Lease {
    pub(super) fn new(connection: Connection, pool: &Arc<Pool>) -> Option<Self> {
        match connection {
            Connection::Bare(_) => None,
            Connection::H1(http1) => Some(Self::H1(Some(http1), Arc::clone(pool))),
            Connection::H2(_, slot) => Some(Self::H2(slot)),
        }
    }
}

impl Response {
    pub(super) fn new(
        mut answer: http::Response<Incoming>,
        idle: Option<Duration>,
        lease: Option<Lease>,
    ) -> Self {
        let upgrade = (answer.status() == StatusCode::SWITCHING_PROTOCOLS)
            .then(|| hyper::upgrade::on(&mut answer));
        let has_two_framings = [TRANSFER_ENCODING, CONTENT_LENGTH]
            .iter()
            .all(|framing| answer.headers().contains_key(framing));
        let mut this = Self::of(answer.map(Source::Hyper), idle);
        this.upgrade = upgrade;
        this.lease = lease;
        if has_two_framings {
            // The origin may think of another end than we do (RFC 9112, 6.3).
            this.close_after();
        }
        this
    }

    /// An answer that comes over a connection of its own.
    pub(super) fn bare(answer: http::Response<Bare>, idle: Option<Duration>) -> Self {
        Self::of(answer.map(|bare| Source::Bare(Box::new(bare))), idle)
    }

    fn of(answer: http::Response<Source>, idle: Option<Duration>) -> Self {
        let (mut head, body) = answer.into_parts();
        if head.headers.contains_key(TRANSFER_ENCODING) {
            // It is overruled (RFC 9112, 6.3), and must not be believed by those after us.
            head.headers.remove(CONTENT_LENGTH);
        }
        Self {
            status: head.status,
            headers: head.headers,
            version: head.version,
            ended: body.has_ended(),
            body,
            peeked: BytesMut::new(),
            trailers: None,
            idle,
            upgrade: None,
            lease: None,
            room: None,
            from: None,
        }
    }

    /// The answer, which keeps its room as long as it lives.
    pub(super) fn holding(mut self, room: OwnedSemaphorePermit) -> Self {
        self.room = Some(room);
        self
    }

    /// The answer as it is given to who sent `request`, which knows whose it is.
    pub(super) fn given(mut self, route: &Route, member: Arc<Member>, request: &Request) -> Self {
        self.from = Some(member);
        cors::decide(route, request, &mut self.headers);
        self
    }

    /// Has the runtime watch its connection, if none does. Must be called from within one.
    pub(crate) fn watched(mut self) -> Result<Self, OriginError> {
        self.body = match std::mem::replace(&mut self.body, Source::None) {
            Source::Bare(bare) => {
                let Bare { wire, came, body } = *bare;
                let wire = wire.watched().map_err(|error| OriginError::broken(&error))?;
                Source::Bare(Box::new(Bare { wire, came, body }))
            }
            body => body,
        };
        Ok(self)
    }

    /// Tells that it broke off, where it is no stream: what is one has a record for that.
    pub(crate) fn report(&self, error: &OriginError) {
        if let Some(Member { route, upstream, .. }) = self.from.as_deref() {
            tracing::warn!(%route, %upstream, %error, "answer broke off");
        }
    }

    /// An answer of this status without a body.
    pub(crate) fn without_body(status: StatusCode, mut headers: HeaderMap) -> Self {
        for field in [CONTENT_ENCODING, CONTENT_TYPE, TRANSFER_ENCODING] {
            headers.remove(field);
        }
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        let mut this = Self::of(http::Response::new(Source::None), None);
        (this.status, this.headers) = (status, headers);
        this
    }

    /// The next piece of the body; `None` when it has ended as it should.
    ///
    /// Cancel safe.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, OriginError> {
        if !self.peeked.is_empty() {
            return Ok(Some(self.peeked.split().freeze()));
        }
        self.read().await
    }

    /// What followed the body, when it has ended.
    pub(crate) fn take_trailers(&mut self) -> Option<HeaderMap> {
        self.trailers.take()
    }

    /// The first bytes of the body, at least `wanted` of them if it has so many. They are handed
    /// out again by [`chunk`](Self::chunk).
    ///
    /// Cancel safe.
    pub(crate) async fn peek(&mut self, wanted: usize) -> Result<&[u8], OriginError> {
        while self.peeked.len() < wanted {
            match self.read().await? {
                Some(bytes) => self.peeked.extend_from_slice(&bytes),
                None => break,
            }
        }
        Ok(&self.peeked)
    }

    /// Has something else than what the origin said for a body.
    pub(super) fn replace_body(&mut self, body: Bytes) {
        self.close_after();
        self.body = Source::None;
        self.peeked = BytesMut::from(body);
        self.ended = true;
    }

    /// Has the connection of its own closed at the end. The next stream's origin is looked up and
    /// chosen anew.
    pub(super) fn close_after(&mut self) {
        if let Some(Lease::H1(http1, _)) = &mut self.lease {
            *http1 = None;
        }
    }

    /// Whether the protocol shows where the body ends, so that an end is meant and not a cut.
    pub(crate) fn is_delimited(&self) -> bool {
        self.version == Version::HTTP_2
            || self.headers.contains_key(TRANSFER_ENCODING)
            || self.headers.contains_key(CONTENT_LENGTH)
    }

    /// Whether nothing more is to come: there is no body, or it has been read.
    pub(crate) fn has_ended(&self) -> bool {
        self.peeked.is_empty() && (self.ended || self.body.has_ended())
    }

    /// The version of HTTP that the origin spoke.
    pub(crate) const fn version(&self) -> Version {
        self.version
    }

    /// The connection itself, after a 101.
    pub(crate) async fn upgraded(&mut self) -> Result<TokioIo<Upgraded>, OriginError> {
        let upgrade = self.upgrade.take();
        let upgrade = upgrade.ok_or_else(|| OriginError::Broken("not upgraded".to_owned()))?;
        upgrade.await.map(TokioIo::new).map_err(|error| OriginError::broken(&error))
    }

    /// The answer as it comes over its connection, if it has one of its own.
    pub(crate) fn take_bare(&mut self) -> Option<Taken> {
        if self.ended || !matches!(self.body, Source::Bare(_)) {
            return None;
        }
        let Source::Bare(bare) = std::mem::replace(&mut self.body, Source::None) else {
            return None;
        };
        Some(Taken {
            bare,
            peeked: self.peeked.split().freeze(),
            is_delimited: self.is_delimited(),
            idle: self.idle,
            room: self.room.take(),
        })
    }

    async fn read(&mut self) -> Result<Option<Bytes>, OriginError> {
        while !self.ended {
            let piece = match self.idle {
                None => self.body.next(&mut self.trailers).await?,
                Some(limit) => timeout(limit, self.body.next(&mut self.trailers))
                    .await
                    .map_err(|_| OriginError::Silent)??,
            };
            match piece {
                Some(piece) if piece.is_empty() => {}
                Some(piece) => return Ok(Some(piece)),
                None => self.ended = true,
            }
        }
        Ok(None)
    }
}

impl Source {
    fn has_ended(&self) -> bool {
        match self {
            Self::Hyper(body) => body.is_end_stream(),
            Self::Bare(bare) => bare.body.has_ended(),
            Self::None => true,
        }
    }

    /// The next piece, which may be empty. What follows the body is put into `trailers`.
    async fn next(
        &mut self,
        trailers: &mut Option<HeaderMap>,
    ) -> Result<Option<Bytes>, OriginError> {
        match self {
            Self::Hyper(body) => {
                let Some(frame) = body.frame().await else { return Ok(None) };
                Ok(Some(match frame.map_err(|error| OriginError::broken(&error))?.into_data() {
                    Ok(bytes) => bytes,
                    Err(other) => {
                        *trailers = other.into_trailers().ok();
                        Bytes::new()
                    }
                }))
            }
            Self::Bare(bare) => {
                let piece = bare.next().await?;
                if piece.is_none() {
                    *trailers = bare.body.take_trailers();
                }
                Ok(piece)
            }
            Self::None => Ok(None),
        }
    }
}

impl Drop for Response {
    fn drop(&mut self) {
        if (self.ended || self.body.has_ended())
            && self.status != StatusCode::SWITCHING_PROTOCOLS
            && let Some(Lease::H1(http1, pool)) = &mut self.lease
            && let Some(http1) = http1.take()
        {
            pool.give_back(http1);
        }
    }
}
