//! [`Status`]: what readers are told of a feed's source.

use std::borrow::Cow;
use std::time::Duration;

/// What readers are told of a feed's source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// Events come as they happen.
    #[default]
    Open,
    /// The source is being tried: for the first time, or again after it ended or failed.
    Connecting {
        /// Why, in a few words; empty for the first time.
        reason: Cow<'static, str>,
        /// When the next attempt is made, counted from the failure.
        retry: Duration,
    },
    /// The source will not be tried again: the feed has ended.
    Closed {
        /// The HTTP status that a request for the feed alone would be answered with.
        status: u16,
    },
}
