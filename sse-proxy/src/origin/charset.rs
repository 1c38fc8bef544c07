//! [`Charset`]: what a body's bytes are, where they are not UTF-8.

use std::borrow::Cow;

use bytes::Bytes;
use encoding_rs::{Decoder, Encoding, UTF_8, WINDOWS_1252};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use sse_layer::{Frame, Framer, Repairs};

use super::{OriginError, Response, sniff};

/// What a body's bytes are.
pub(super) enum Charset {
    /// UTF-8: that is what clients take them for.
    Utf8,
    /// A superset of ASCII, in which a stream can be cut like any other. Frames that are UTF-8 all
    /// the same are left alone: labels lie.
    Ascii(&'static Encoding),
    /// Something else, which must be decoded before it can be cut.
    Wide(Box<Decoder>),
}

/// What a label says and what is done about it.
pub(super) struct Labelled {
    pub(super) charset: Charset,
    /// The repairs that are made to the head.
    pub(super) repaired: Repairs,
    /// The repairs that are off and would have been made.
    pub(super) hints: Repairs,
}

impl Labelled {
    /// Nothing is said, or nothing is to be done.
    pub(super) const fn unchanged() -> Self {
        Self { charset: Charset::Utf8, repaired: Repairs::NONE, hints: Repairs::NONE }
    }

    /// What to do about the label of an event stream that names no other charset; `None` for one
    /// that does.
    pub(super) fn plain(headers: &HeaderMap, repairs: Repairs) -> Option<Self> {
        other_charset(headers).is_none().then(|| Self::as_usual(repairs))
    }

    fn as_usual(repairs: Repairs) -> Self {
        let is_known = !repairs.contains(Repairs::TRANSCODE_UNDECLARED);
        let charset = if is_known { Charset::Utf8 } else { Charset::Ascii(WINDOWS_1252) };
        Self { charset, ..Self::unchanged() }
    }

    /// What to do about the label of an event stream. To a browser the bytes are UTF-8 always, if
    /// it does not refuse the label.
    pub(super) async fn of(response: &mut Response, repairs: Repairs) -> Result<Self, OriginError> {
        let Some(label) = other_charset(&response.headers) else {
            return Ok(Self::as_usual(repairs));
        };
        let encoding = Encoding::for_label(label.as_bytes()).filter(|named| *named != UTF_8);
        let transcoded =
            |charset| Self { charset, repaired: Repairs::TRANSCODE, hints: Repairs::NONE };
        match encoding {
            Some(named) if named.is_ascii_compatible() => {
                if repairs.contains(Repairs::TRANSCODE) {
                    return Ok(transcoded(Charset::Ascii(named)));
                }
                if !sniff::begins_as_utf8(response).await? {
                    return Ok(Self { hints: Repairs::TRANSCODE, ..Self::unchanged() });
                }
            }
            Some(named) if sniff::is_wide(response).await? => {
                if repairs.contains(Repairs::TRANSCODE) {
                    return Ok(transcoded(Charset::Wide(Box::new(named.new_decoder()))));
                }
                return Ok(Self { hints: Repairs::TRANSCODE, ..Self::unchanged() });
            }
            _ => {}
        }
        Ok(match repairs.contains(Repairs::CHARSET) {
            true => Self { repaired: Repairs::CHARSET, ..Self::unchanged() },
            false => Self { hints: Repairs::CHARSET, ..Self::unchanged() },
        })
    }
}

impl Charset {
    /// Decodes bytes that cannot be cut before they are.
    pub(super) fn widen(&mut self, bytes: Bytes) -> Bytes {
        let Self::Wide(decoder) = self else { return bytes };
        let room = decoder.max_utf8_buffer_length(bytes.len()).unwrap_or(0);
        let mut text = String::with_capacity(room);
        // Invariant: the room is enough for all of the input.
        let _ = decoder.decode_to_string(&bytes, &mut text, false);
        text.into()
    }

    /// The frame in UTF-8, if it was not.
    pub(super) fn transcode(&self, frame: &Frame) -> Option<Frame> {
        let Self::Ascii(encoding) = self else { return None };
        if std::str::from_utf8(frame.bytes()).is_ok() {
            return None;
        }
        let (text, _) = encoding.decode_without_bom_handling(frame.bytes());
        let mut framer = Framer::new().with_limit(usize::MAX);
        framer.push(Bytes::from(Cow::into_owned(text)));
        framer.next_frame().ok().flatten()
    }
}

/// The charset in the label, if it is not called UTF-8 as it should be.
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
