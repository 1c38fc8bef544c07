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
//!
//! Bodies of other formats can be [converted](SseLayer::convert), and bodies with known faults
//! [mended](SseLayer::repair), when that is asked for.
//!
//! # The end of a stream
//!
//! A stream ends with the handler's, and is dropped with all that it holds when the server drops
//! it; hyper does so as soon as it sees that the client is gone, also in silence. Else it has no
//! end, and so a server that waits for its responses at shutdown never stops: a
//! [`Drain`](crate::Drain) ends all streams over some time, and a
//! [lifetime](SseLayer::max_lifetime) each after some. Both do so between two events, with a last
//! `retry:` and an optional [farewell](SseLayer::farewell). A handler's stream is dropped by then.
//!
//! An error of the handler's body is passed on, after all that came before it. The server then
//! does not end the response but breaks it off: hyper closes an HTTP/1 connection, and resets an
//! HTTP/2 stream. So everybody on the way, and the server's log, can tell it from an end; an
//! `EventSource` comes back from both. An [`EventStream`](crate::EventStream) has no such errors:
//! one among its items ends the response in good order.
//!
//! # With other layers
//!
//! | layer | with streams |
//! | --- | --- |
//! | compression | tower-http's `CompressionLayer` leaves them alone, outside of this layer and inside; others heed `no-transform`. |
#![cfg_attr(
    feature = "compress",
    doc = "| | This layer itself can [compress](crate::compress) them, event by event. |"
)]
//! | limits on the time to answer | tower-http's `TimeoutLayer` is over when the stream begins |
//! | limits on a body's silence | outside, they see the comments and so are kept; inside, they cut a silent handler off |
//! | limits on a body's whole time | they break a stream off. Use [`max_lifetime`](SseLayer::max_lifetime) |
//! | limits on how many requests | tower's `ConcurrencyLimitLayer` lets go of a stream when it begins. [`max_streams`](SseLayer::max_streams) holds on until its body is dropped |
//! | logs and figures | tower-http's `TraceLayer` tells of responses; for events and ends [`observe`](SseLayer::observe) |
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
mod bom;
mod count;
#[cfg(feature = "compress")]
mod encoded;
mod ending;
mod future;
#[expect(clippy::module_inception, reason = "the file of the layer itself, among its parts")]
mod layer;
mod position;
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
