//! A length of time, as operators write it.

use std::time::Duration;

use humantime_serde::re::humantime::parse_duration;
use serde::{Deserialize, Deserializer};

/// The longest that can be set, about a hundred years: moments so far away can still be reckoned
/// with.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Reads what is written `"15s"`, `"1m 30s"`, `"250ms"`.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a duration such as \"15s\"")]
    enum Form {
        Text(String),
        // Bare numbers have no unit.
        Number(i64),
    }
    let wrong = |found: String| {
        serde::de::Error::custom(format!("expected a duration such as \"15s\", found {found}"))
    };
    match Form::deserialize(deserializer)? {
        Form::Text(text) => parse(&text).ok_or_else(|| wrong(format!("{text:?}"))),
        Form::Number(number) => Err(wrong(number.to_string())),
    }
}

/// The duration that `text` is, if it is one that can be set.
pub(super) fn parse(text: &str) -> Option<Duration> {
    parse_duration(text).ok().filter(|duration| *duration <= LONGEST)
}

/// A limit of which `"0s"` says that there is none.
pub(crate) fn nonzero(limit: Duration) -> Option<Duration> {
    (!limit.is_zero()).then_some(limit)
}
