//! [`JsonError`]: what is not JSON, or cannot be.

use std::{fmt, io};

/// A value that cannot be written as JSON, or bytes that are not the JSON that was expected.
#[derive(Debug)]
pub struct JsonError(serde_json::Error);

impl JsonError {
    /// No `From`, which would make `serde_json` a part of the interface.
    pub(crate) const fn new(error: serde_json::Error) -> Self {
        Self(error)
    }
}

impl From<JsonError> for io::Error {
    fn from(error: JsonError) -> Self {
        error.0.into()
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for JsonError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}
