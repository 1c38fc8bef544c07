use bytes::{Bytes, BytesMut};

use super::bom::Bom;
use crate::convert::{Converter, TooLong};
use crate::frame::MAX_BATCH_BYTES;
use crate::{Frame, Framer};

/// How a handler's bytes become those of the stream.
#[derive(Debug)]
pub(super) enum Reading {
    /// As they are, but for a byte order mark at the start.
    AsIs(Bom),
    /// Block by block, mended.
    Mended { framer: Box<Framer>, has_ended: bool },
    /// Record by record, without a byte order mark at the start.
    Converted { bom: Bom, converter: Box<Converter> },
}

impl Reading {
    pub(super) const fn as_is() -> Self {
        Self::AsIs(Bom::new())
    }

    /// Bytes that are not those of an event stream, but of a coding of one.
    pub(super) const fn opaque() -> Self {
        Self::AsIs(Bom::Past)
    }

    pub(super) fn mended(framer: Framer) -> Self {
        Self::Mended { framer: Box::new(framer), has_ended: false }
    }

    pub(super) fn converted(converter: Converter) -> Self {
        Self::Converted { bom: Bom::new(), converter: Box::new(converter) }
    }

    /// Takes the next bytes, and gives those that can be sent without more ado.
    #[inline]
    pub(super) fn push(&mut self, bytes: Bytes) -> Option<Bytes> {
        match self {
            Self::AsIs(bom) => return Some(bom.strip(bytes)),
            Self::Mended { framer, .. } => framer.push(bytes),
            Self::Converted { bom, converter } => converter.push(bom.strip(bytes)),
        }
        None
    }

    /// The handler has ended the stream.
    pub(super) fn finish(&mut self) {
        match self {
            Self::AsIs(_) => {}
            Self::Mended { framer, has_ended } => {
                framer.finish(true);
                *has_ended = true;
            }
            Self::Converted { converter, .. } => converter.finish(),
        }
    }

    /// The next bytes to send, which may be none; or `None` if more must be pushed.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, TooLong> {
        if self.is_empty() { Ok(None) } else { self.next_batch() }
    }

    fn next_batch(&mut self) -> Result<Option<Bytes>, TooLong> {
        match self {
            Self::AsIs(_) => Ok(None),
            Self::Mended { framer, has_ended } => {
                let batch = batch(|| Ok(framer.next_frame()?))?;
                if batch.is_some() || !std::mem::take(has_ended) {
                    return Ok(batch);
                }
                // Half a block stays half a block.
                Ok(Some(std::mem::take(&mut **framer).into_remainder()))
            }
            Self::Converted { converter, .. } => batch(|| converter.next_frame()),
        }
    }

    /// Whether there is nothing to take out, nor will be at the end.
    pub(super) const fn is_empty(&self) -> bool {
        matches!(self, Self::AsIs(_))
    }
}

/// The frames that are ready, as one. A single one is not copied.
fn batch(
    mut next: impl FnMut() -> Result<Option<Frame>, TooLong>,
) -> Result<Option<Bytes>, TooLong> {
    let Some(first) = next()? else { return Ok(None) };
    let first = first.into_bytes();
    let mut all = BytesMut::new();
    while all.len().max(first.len()) < MAX_BATCH_BYTES {
        // An error comes again, when the frames before it are sent.
        let Ok(Some(frame)) = next() else { break };
        if all.is_empty() {
            all.extend_from_slice(&first);
        }
        all.extend_from_slice(frame.bytes());
    }
    Ok(Some(if all.is_empty() { first } else { all.freeze() }))
}
