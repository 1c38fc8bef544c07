//! [`EventType`] and [`EventId`]: values that a line can carry.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use memchr::{memchr2, memchr3};

/// The type of an event: any text without CR and LF. The empty one means `message`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EventType(pub(super) Cow<'static, str>);

/// The id of an event: any text without NUL, CR and LF. The empty one clears the client's id.
///
/// Keep it short: browsers send back ids of any length, but servers on the way refuse long
/// request headers (commonly beyond 8 KiB).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EventId(pub(super) Cow<'static, str>);

/// A value that the wire format cannot carry: clients would read something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidValue {
    field: &'static str,
    byte: u8,
    at: usize,
}

impl InvalidValue {
    /// The field that refused the value: `event` or `id`.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        self.field
    }
}

impl fmt::Display for InvalidValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, byte, at } = self;
        let name = match byte {
            b'\r' => "CR",
            b'\n' => "LF",
            _ => "NUL",
        };
        write!(f, "the value for `{field}` has {name} at byte {at}, which the field cannot carry")
    }
}

impl std::error::Error for InvalidValue {}

impl EventType {
    /// A type that is known when the program is written, best as a constant: then one that the
    /// wire cannot carry does not compile.
    ///
    /// ```
    /// use sse_layer::{Event, EventType};
    ///
    /// const PRICE: EventType = EventType::from_static("price");
    ///
    /// assert_eq!(Event::new().event(PRICE).data("10.5").to_bytes(), "event: price\ndata: 10.5\n\n");
    /// ```
    ///
    /// ```compile_fail
    /// const TWO_LINES: sse_layer::EventType = sse_layer::EventType::from_static("two\nlines");
    /// ```
    ///
    /// # Panics
    ///
    /// If it has CR or LF. Values that come from elsewhere are for [`TryFrom`].
    #[must_use]
    pub const fn from_static(value: &'static str) -> Self {
        assert!(!has_any(value, b"\r\n"), "an event's type with a line break");
        Self(Cow::Borrowed(value))
    }

    fn new(value: Cow<'static, str>) -> Result<Self, InvalidValue> {
        match memchr2(b'\r', b'\n', value.as_bytes()) {
            None => Ok(Self(value)),
            Some(at) => Err(invalid("event", &value, at)),
        }
    }

    /// The type as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl EventId {
    /// An id that is known when the program is written, best as a constant: then one that the
    /// wire cannot carry does not compile.
    ///
    /// # Panics
    ///
    /// If it has NUL, CR or LF. Values that come from elsewhere are for [`TryFrom`].
    #[must_use]
    pub const fn from_static(value: &'static str) -> Self {
        assert!(!has_any(value, b"\0\r\n"), "an event's id with NUL or a line break");
        Self(Cow::Borrowed(value))
    }

    fn new(value: Cow<'static, str>) -> Result<Self, InvalidValue> {
        match memchr3(b'\0', b'\r', b'\n', value.as_bytes()) {
            None => Ok(Self(value)),
            Some(at) => Err(invalid("id", &value, at)),
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `value` has one of `bytes`.
const fn has_any(value: &str, bytes: &[u8]) -> bool {
    let mut rest = value.as_bytes();
    while let [byte, tail @ ..] = rest {
        let mut others = bytes;
        while let [other, more @ ..] = others {
            if *byte == *other {
                return true;
            }
            others = more;
        }
        rest = tail;
    }
    false
}

fn invalid(field: &'static str, value: &str, at: usize) -> InvalidValue {
    InvalidValue { field, byte: value.as_bytes().get(at).copied().unwrap_or_default(), at }
}

macro_rules! text {
    ($name:ident) => {
        impl TryFrom<&'static str> for $name {
            type Error = InvalidValue;

            fn try_from(value: &'static str) -> Result<Self, InvalidValue> {
                Self::new(Cow::Borrowed(value))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidValue;

            fn try_from(value: String) -> Result<Self, InvalidValue> {
                Self::new(Cow::Owned(value))
            }
        }

        impl FromStr for $name {
            type Err = InvalidValue;

            fn from_str(value: &str) -> Result<Self, InvalidValue> {
                Self::new(Cow::Owned(value.to_owned()))
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text!(EventType);
text!(EventId);

impl From<u64> for EventId {
    fn from(value: u64) -> Self {
        Self(Cow::Owned(value.to_string()))
    }
}

/// Whether `bytes` may stand as an id on the wire.
pub(crate) fn is_id(bytes: &[u8]) -> bool {
    memchr::memchr(b'\0', bytes).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_wire_cannot_carry_is_refused() {
        for bad in ["a\nb", "a\rb", "\r\n"] {
            assert!(EventType::from_str(bad).is_err(), "{bad:?}");
            assert!(EventId::from_str(bad).is_err(), "{bad:?}");
        }
        assert!(EventId::from_str("a\0").is_err());
        assert!(EventType::from_str("a\0").is_ok());
        let error = EventId::from_str("ab\nc").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the value for `id` has LF at byte 2, which the field cannot carry"
        );
    }
}
