//! [`SseLayer`]: makes the event streams of a service arrive as they should.
//!
//! The layer looks at each response. One with status 200 whose `Content-Type` is
//! `text/event-stream` is a stream; any other passes untouched, headers and body.
//!
//! # The head of a stream
//!
//! | field | becomes |
//! | --- | --- |
//! | `Content-Type` | `text/event-stream`. Parameters stay, but a charset other than UTF-8 goes, since browsers would refuse it |
//! | `Cache-Control` | `no-cache, no-store, no-transform`. A handler's own value is kept if it has `no-store`, and completed; else it is replaced |
//! | `X-Accel-Buffering` | `no`, which keeps nginx and others from collecting the response |
//! | `Content-Length` | removed |
//! | `Connection`, `Keep-Alive`, `Proxy-Connection`, `Transfer-Encoding`, `Upgrade` | removed over HTTP/2 and later, where they are errors |
//!
//! The answer to a `HEAD` request gets this head and no body.
//!
//! # The body of a stream
//!
//! It starts with a comment and `retry:`, sent at once, so that a client sees the stream open
//! before there is an event. A `retry:` of the handler's own comes later and so wins.
//!
//! In silence, comments are sent as [`KeepAlive`](crate::KeepAlive) says: between two blocks as a
//! block of their own; if half a block has come, as a line of it. Never within a line, and not
//! after a CR, whose LF may still come (so a stream of CR line ends alone gets none). This takes
//! a tokio runtime with timers; without one, streams panic unless it is
//! [off](crate::KeepAlive::off).
//!
//! Everything else is the handler's bytes as they are, with two exceptions: a byte order mark at
//! the very start is dropped, since it no longer stands first and would spoil the first line; and
//! the frames of other [`Buf`](bytes::Buf) types are copied into [`Bytes`](bytes::Bytes).
//! Half a block at the end stays half a block: clients drop it.
//!
//! A body with a `Content-Encoding` is sent as it is: nothing can be put between its bytes.
//! Keep compression from event streams. tower-http's does so by itself, also outside of this
//! layer; others heed `no-transform`.
//!
//! # The request
//!
//! One that tells where its client stopped reading gets a
//! [`LastEventId`](crate::LastEventId) as extension.
//!
//! # Examples
//!
//! ```
//! use std::convert::Infallible;
//!
//! use futures_util::stream;
//! use http::Request;
//! use http_body_util::BodyExt;
//! use sse_layer::{Event, EventStream, SseLayer};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Infallible> {
//! let service = ServiceBuilder::new().layer(SseLayer::new().no_retry()).service_fn(
//!     async |_: Request<()>| {
//!         let events = stream::iter([Event::new().data("hello")]);
//!         Ok::<_, Infallible>(EventStream::new(events).into_response())
//!     },
//! );
//! let response = service.oneshot(Request::new(())).await?;
//!
//! assert_eq!(response.headers()["x-accel-buffering"], "no");
//! assert_eq!(response.into_body().collect().await?.to_bytes(), ":\n\ndata: hello\n\n");
//! # Ok(())
//! # }
//! ```

mod answer;
mod body;
mod count;
#[cfg(feature = "compress")]
mod encoded;
mod ending;
mod future;
#[expect(clippy::module_inception, reason = "the file of the layer itself, among its parts")]
mod layer;
mod place;
mod reading;
mod request;
mod service;
mod source;
mod streaming;
mod watched;

pub use body::SseBody;
pub use future::ResponseFuture;
pub use layer::SseLayer;
pub use service::SseService;
