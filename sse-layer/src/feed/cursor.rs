//! [`Cursor`]: a position in the log.

use std::fmt;
use std::str::FromStr;

/// Names the life of a log: numbers of one life mean nothing in another.
///
/// Written as eight hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(u32);

impl Epoch {
    /// A new epoch, drawn at random.
    #[must_use]
    pub fn random() -> Self {
        Self(fastrand::u32(..))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// A position in the log: whoever has the event with this number has everything up to it, of all
/// the feeds he reads.
///
/// Written as `EPOCH.SEQ`, which is short, needs no quoting anywhere, and can be sent as an
/// event's id.
///
/// ```
/// use sse_layer::feed::Cursor;
///
/// let cursor: Cursor = "8c1f02aa.1842".parse()?;
/// assert_eq!(cursor.seq, 1842);
/// assert_eq!(cursor.to_string(), "8c1f02aa.1842");
/// # Ok::<(), sse_layer::feed::InvalidCursor>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The life of the log that the number belongs to.
    pub epoch: Epoch,
    /// The number of an event in the log; the first is 1.
    pub seq: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.seq)
    }
}

/// The text is not a cursor: eight lower-case hexadecimal digits, a point, a decimal number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidCursor;

impl fmt::Display for InvalidCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a cursor: expected EPOCH.SEQ, for example 8c1f02aa.1842")
    }
}

impl std::error::Error for InvalidCursor {}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    /// Accepts exactly what [`Display`](fmt::Display) writes, so that an id that merely looks
    /// like a cursor (`+1.2`, leading zeros) stays what it is: somebody else's id.
    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (epoch, seq) = text.split_once('.').ok_or(InvalidCursor)?;
        let epoch = Epoch(u32::from_str_radix(epoch, 16).map_err(|_| InvalidCursor)?);
        let cursor = Self { epoch, seq: seq.parse().map_err(|_| InvalidCursor)? };
        if cursor.to_string() == text { Ok(cursor) } else { Err(InvalidCursor) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_form_is_a_cursor() {
        for text in ["00000000.0", "ffffffff.18446744073709551615"] {
            assert_eq!(text.parse::<Cursor>().unwrap().to_string(), text);
        }
        for text in [
            "",
            ".",
            "1.1",
            "0000000g.1",
            "FFFFFFFF.1",
            "00000000.01",
            "00000000.+1",
            "00000000.1 ",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(InvalidCursor), "{text:?}");
        }
    }
}
