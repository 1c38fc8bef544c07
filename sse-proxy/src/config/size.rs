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
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a size such as \"4MiB\"")]
        enum Form {
            Number(i64),
            Text(String),
        }
        let (bytes, found) = match Form::deserialize(deserializer)? {
            Form::Number(number) => (u64::try_from(number).ok(), number.to_string()),
            Form::Text(text) => {
                let size = text.parse::<bytesize::ByteSize>().ok();
                (size.map(|size| size.as_u64()), format!("{text:?}"))
            }
        };
        bytes.and_then(|bytes| usize::try_from(bytes).ok()).map(Self).ok_or_else(|| {
            serde::de::Error::custom(format!("expected a size such as \"4MiB\", found {found}"))
        })
    }
}
