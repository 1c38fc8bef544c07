//! [`FeedName`]: what a feed is called on a multiplexed stream.

use std::fmt;

/// What a feed is called on a multiplexed stream: a path of the same origin, with a query or none,
/// as a request line has it. So it is ASCII without blanks, and has no fragment; nothing that is
/// called so can break out of its line in the stream.
///
/// ```
/// use sse_layer::mux::FeedName;
///
/// let name: FeedName = "/orders?of=EUR".try_into().unwrap();
/// assert_eq!(name.as_str(), "/orders?of=EUR");
/// for other in ["orders", "/a#b", "/a b", "/a\ndata: forged"] {
///     assert!(FeedName::try_from(other).is_err());
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FeedName(Box<str>);

/// A text that no feed can be called: see [`FeedName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidFeedName;

impl FeedName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for FeedName {
    type Error = InvalidFeedName;

    fn try_from(name: &str) -> Result<Self, InvalidFeedName> {
        let is_name = name.starts_with('/')
            && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if is_name { Ok(Self(name.into())) } else { Err(InvalidFeedName) }
    }
}

impl TryFrom<String> for FeedName {
    type Error = InvalidFeedName;

    fn try_from(name: String) -> Result<Self, InvalidFeedName> {
        name.as_str().try_into()
    }
}

impl fmt::Display for InvalidFeedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a feed is named by a path, with a query or none, such as /orders?of=EUR")
    }
}

impl std::error::Error for InvalidFeedName {}
