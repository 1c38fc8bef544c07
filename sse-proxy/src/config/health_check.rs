//! [`HealthCheck`]: how it is found out which origins of a route are well.

use std::time::Duration;

use serde::Deserialize;

/// How it is found out which origins of a route are well: one that is not gets no request while
/// another is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct HealthCheck {
    /// A path that each origin is asked for, and must answer with a 2xx status. Default: none, it
    /// is enough that a connection comes about.
    pub path: Option<String>,
    /// The time between two checks. Default: 5 s.
    #[serde(deserialize_with = "super::duration::deserialize")]
    pub interval: Duration,
    /// How long a check may take. Default: 2 s.
    #[serde(deserialize_with = "super::duration::deserialize")]
    pub timeout: Duration,
    /// How many checks in a row must fail before an origin gets no more requests. Default: 2.
    pub unhealthy_after: u32,
    /// How many checks in a row must succeed before it gets some again. Default: 1.
    pub healthy_after: u32,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            path: None,
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            unhealthy_after: 2,
            healthy_after: 1,
        }
    }
}

impl HealthCheck {
    /// What the types cannot say: the key, and the problem.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        let zero = |key| Err((key, "must be more than zero".to_owned()));
        if self.interval.is_zero() {
            return zero("interval");
        }
        if self.timeout.is_zero() {
            return zero("timeout");
        }
        if self.unhealthy_after == 0 {
            return zero("unhealthy_after");
        }
        if self.healthy_after == 0 {
            return zero("healthy_after");
        }
        match &self.path {
            Some(path) if !path.starts_with('/') || path.parse::<http::Uri>().is_err() => {
                Err(("path", format!("expected a path that begins with a slash, found {path:?}")))
            }
            _ => Ok(()),
        }
    }
}
