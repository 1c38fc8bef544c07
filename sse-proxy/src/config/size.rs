//! [`Size`]: a number of bytes.

use std::fmt;

use serde::{Deserialize, Deserializer};

/// A number of bytes, written `"64KiB"`, `"4MiB"`, or as a plain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub usize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bytesize::ByteSize(self.0 as u64).fmt(f)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = bytesize::ByteSize::deserialize(deserializer)?.as_u64();
        usize::try_from(bytes).map(Self).map_err(serde::de::Error::custom)
    }
}
