//! The standard library's instant: what is handed out, so that callers need no clock of tokio's.

#[expect(clippy::disallowed_types, reason = "only handed out")]
pub(crate) type StdInstant = std::time::Instant;
