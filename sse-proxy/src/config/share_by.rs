//! [`ShareBy`]: what tells the feeds of a shared route apart.

use http::header::HeaderName;
use serde::{Deserialize, Deserializer};

/// A part of a request that makes it a request for another feed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShareBy {
    /// The query.
    Query,
    /// A header field.
    Header(HeaderName),
    /// A cookie, by name.
    Cookie(String),
}

impl<'de> Deserialize<'de> for ShareBy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let part = match text.split_once(':') {
            None if text == "query" => Some(Self::Query),
            Some(("header", name)) => name.parse().ok().map(Self::Header),
            Some(("cookie", name)) if !name.is_empty() => Some(Self::Cookie(name.to_owned())),
            _ => None,
        };
        part.ok_or_else(|| {
            let problem =
                format!("expected \"query\", \"header:NAME\" or \"cookie:NAME\", found {text:?}");
            serde::de::Error::custom(problem)
        })
    }
}
