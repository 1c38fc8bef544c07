//! [`PathPattern`]: which requests a route is for, by their path.

use std::fmt;

use serde::{Deserialize, Deserializer};

/// `/x` is that path alone; `/x/*` is `/x/` and all below it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PathPattern {
    /// That path alone.
    Exact(String),
    /// All paths that begin so; ends with a slash.
    Prefix(String),
}

impl PathPattern {
    /// `/*`.
    #[must_use]
    pub fn everything() -> Self {
        Self::Prefix("/".to_owned())
    }

    /// All paths that begin with `folder`, which ends with a slash.
    #[must_use]
    pub fn below(folder: &str) -> Self {
        Self::Prefix(folder.to_owned())
    }

    /// What of `path` lies beyond the pattern, if it matches: nothing for an exact one.
    #[must_use]
    pub fn rest<'p>(&self, path: &'p str) -> Option<&'p str> {
        match self {
            Self::Exact(exact) => (exact == path).then_some(""),
            Self::Prefix(prefix) => path.strip_prefix(prefix.as_str()),
        }
    }

    /// How much of a path the pattern names. An exact one names more than any prefix of it.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Exact(path) => path.len() + 1,
            Self::Prefix(path) => path.len(),
        }
    }

    /// Never: a pattern begins with a slash.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => f.write_str(path),
            Self::Prefix(path) => write!(f, "{path}*"),
        }
    }
}

impl std::str::FromStr for PathPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, is_prefix) = match text.strip_suffix('*') {
            Some(prefix) => (prefix, true),
            None => (text, false),
        };
        if !path.starts_with('/')
            || path.contains(['*', '?', '#', ' '])
            || (is_prefix && !path.ends_with('/'))
        {
            return Err(format!("expected \"/x\" (exact) or \"/x/*\" (prefix), found {text:?}"));
        }
        Ok(if is_prefix { Self::Prefix(path.to_owned()) } else { Self::Exact(path.to_owned()) })
    }
}

impl<'de> Deserialize<'de> for PathPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
