//! [`Bom`]: takes a byte order mark off the start of a body.

use bytes::{Bytes, BytesMut};

/// The start of a body, where a byte order mark may stand. It counts only as the very first bytes
/// of a response; after anything else it would spoil the first line.
#[derive(Debug)]
pub(super) enum Bom {
    /// Nothing has come, or the beginning of a mark, of which this is missing.
    Expected(&'static [u8]),
    Past,
}

const MARK: &[u8] = b"\xEF\xBB\xBF";

impl Bom {
    pub(super) const fn new() -> Self {
        Self::Expected(MARK)
    }

    /// What of `data` can be sent on. The beginning of a mark is held back until more has come,
    /// which is no loss if nothing does: it is an unfinished line.
    #[inline]
    pub(super) fn strip(&mut self, data: Bytes) -> Bytes {
        match *self {
            Self::Past => data,
            Self::Expected(missing) => self.strip_first(missing, data),
        }
    }

    fn strip_first(&mut self, missing: &'static [u8], data: Bytes) -> Bytes {
        if let Some(missing) = missing.strip_prefix(&*data).filter(|missing| !missing.is_empty()) {
            *self = Self::Expected(missing);
            return Bytes::new();
        }
        *self = Self::Past;
        if data.starts_with(missing) {
            return data.slice(missing.len()..);
        }
        let Some(held) = MARK.strip_suffix(missing).filter(|held| !held.is_empty()) else {
            return data;
        };
        let mut joined = BytesMut::from(held);
        joined.extend_from_slice(&data);
        joined.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(pieces: &[&'static [u8]]) -> Vec<u8> {
        let mut bom = Bom::new();
        pieces.iter().flat_map(|piece| bom.strip(Bytes::from_static(piece))).collect()
    }

    #[test]
    fn one_mark_at_the_very_start_goes_however_it_is_cut() {
        assert_eq!(stripped(&[b"\xEF\xBB\xBFdata"]), b"data");
        assert_eq!(stripped(&[b"\xEF", b"", b"\xBB", b"\xBF", b"data"]), b"data");
        assert_eq!(stripped(&[b"\xEF\xBB", b"\xBF\xEF\xBB\xBFx"]), b"\xEF\xBB\xBFx");
    }

    #[test]
    fn what_only_begins_like_a_mark_stays() {
        assert_eq!(stripped(&[b"\xEF", b"\xBB", b"\xBEx"]), b"\xEF\xBB\xBEx");
        assert_eq!(stripped(&[b"d", b"\xEF\xBB\xBF"]), b"d\xEF\xBB\xBF");
    }
}
