//! [`Feeds`]: where a multiplexed stream finds its feeds.

use std::collections::BTreeMap;

use http::StatusCode;
use http::request::Parts;

use crate::feed::Feed;

/// Finds feeds by name, for [`MuxService`](super::MuxService).
///
/// A closure will do, or a map of the feeds that there are. All feeds must belong to one
/// [`Log`](crate::feed::Log).
///
/// ```
/// use std::collections::BTreeMap;
/// use http::StatusCode;
/// use http::request::Parts;
/// use sse_layer::feed::{FeedOptions, Log};
/// use sse_layer::mux::MuxService;
///
/// let log = Log::new();
/// let orders = log.feed(FeedOptions::default());
///
/// let by_map = MuxService::new(BTreeMap::from([("/orders".to_owned(), orders.clone())]));
///
/// let by_closure = MuxService::new(move |name: &str, parts: &Parts| match name {
///     "/orders" if !parts.headers.contains_key("authorization") => Err(StatusCode::UNAUTHORIZED),
///     "/orders" => Ok(orders.clone()),
///     _ => Err(StatusCode::NOT_FOUND),
/// });
/// ```
pub trait Feeds {
    /// The feed of this name, for whoever sent the request with this head.
    ///
    /// The request is the one for the multiplexed stream; it has the client's credentials. `name`
    /// is a path with a query or none.
    ///
    /// # Errors
    ///
    /// The status that a request for the feed alone would be answered with. The client is told
    /// it; its other feeds go on.
    fn open(&self, name: &str, request: &Parts) -> Result<Feed, StatusCode>;
}

impl<F> Feeds for F
where
    F: Fn(&str, &Parts) -> Result<Feed, StatusCode>,
{
    fn open(&self, name: &str, request: &Parts) -> Result<Feed, StatusCode> {
        self(name, request)
    }
}

/// Feeds for everybody. Others are answered 404.
impl Feeds for BTreeMap<String, Feed> {
    fn open(&self, name: &str, _: &Parts) -> Result<Feed, StatusCode> {
        self.get(name).cloned().ok_or(StatusCode::NOT_FOUND)
    }
}
