//! [`Compression`]: event streams in a content coding (cargo feature `compress`).
//!
//! Compressors hold bytes back, which is why the [layer](crate::SseLayer) keeps them away from
//! event streams. This one flushes after each event, and each comment, so that a client can decode
//! it as soon as it has come. What was sent before helps to shorten what follows, so streams of
//! similar events gain most.
//!
//! Each stream costs the memory of a compressor for as long as it is open: some hundred kilobytes
//! for gzip and brotli, less for zstd. And an event costs some microseconds. Of short JSON events
//! 55 % to 93 % were saved (`cargo bench --bench compression`, 2026-11-25, shared AMD EPYC).
//!
//! # Secrets
//!
//! The length of compressed bytes tells something of their content. Who can see the length of
//! encrypted traffic, and have something of his own choice sent within the same stream as a
//! secret, can guess the secret piece by piece (the BREACH attack). So the answer to a request
//! with an `Authorization` or `Cookie` is not compressed, unless
//! [allowed](Compression::even_with_secrets). Allow it if nothing in a stream is both secret and
//! next to what others can write.

mod encoder;
mod negotiate;

use http::HeaderMap;
use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, COOKIE, HeaderValue, PROXY_AUTHORIZATION, VARY,
};

use self::negotiate::negotiate;
use crate::head;

pub(crate) use self::encoder::Encoder;
pub(crate) use self::negotiate::Coding;

/// How event streams are compressed: in `zstd`, `br` or `gzip`, whichever the client likes best,
/// in this order if it likes them alike. See the [module docs](self).
///
/// ```
/// use sse_layer::SseLayer;
/// use sse_layer::compress::Compression;
///
/// let layer = SseLayer::new().compress(Compression::new());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Compression {
    even_with_secrets: bool,
}

impl Compression {
    /// For requests without an `Authorization` or `Cookie`.
    pub const fn new() -> Self {
        Self { even_with_secrets: false }
    }

    /// Also for those that have one: read [why not](self#secrets) before.
    pub const fn even_with_secrets(mut self) -> Self {
        self.even_with_secrets = true;
        self
    }

    /// What the answer to a request with these headers is to be coded in.
    pub(crate) fn coding(self, request: &HeaderMap) -> Option<Coding> {
        let secrets = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION];
        let has_secrets = secrets.iter().any(|name| request.contains_key(name));
        if has_secrets && !self.even_with_secrets { None } else { negotiate(request) }
    }
}

/// Prepares the headers of a stream that may be coded, and gives what codes it. A handler that
/// names a content coding, if only `identity`, has the last word.
///
/// `no-transform` stays: nobody else is to change the coding.
pub(crate) fn prepare(response: &mut HeaderMap, coding: Option<Coding>) -> Option<Encoder> {
    if response.contains_key(CONTENT_ENCODING) {
        return None;
    }
    let varies = response
        .get_all(VARY)
        .iter()
        .flat_map(head::members)
        .any(|name| name == b"*" || name.eq_ignore_ascii_case(b"accept-encoding"));
    if !varies {
        response.append(VARY, HeaderValue::from_static("accept-encoding"));
    }
    let coding = coding?;
    let encoder = Encoder::new(coding).ok()?;
    head::reshaped(response);
    response.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
    Some(encoder)
}
