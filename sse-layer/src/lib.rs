//! Server-Sent Events for Tower: whatever a handler streams leaves as a stream that browsers,
//! proxies and clients understand.
//!
#![cfg_attr(feature = "axum", doc = "```")]
#![cfg_attr(not(feature = "axum"), doc = "```ignore")]
//! use axum::{Router, response::IntoResponse, routing::get};
//! use futures_util::stream;
//! use sse_layer::{Event, EventStream, LastEventId, SseLayer};
//!
//! async fn squares(last: Option<LastEventId>) -> impl IntoResponse {
//!     let seen = last.and_then(|id| id.as_str().parse().ok()).unwrap_or(0_u64);
//!     EventStream::new(stream::iter((seen + 1..=10).map(|n| {
//!         Event::new().id(n.into()).data((n * n).to_string())
//!     })))
//! }
//!
//! let app: Router = Router::new().route("/squares", get(squares)).layer(SseLayer::new());
//! ```
//!
//! # What is here
//!
//! - [`SseLayer`] goes around a service. It gives each event stream the head it needs, first bytes
//!   at once, and [comments in silence](KeepAlive); it reads the request's [`LastEventId`].
//!   Handlers need not know of it: axum's `Sse`, a hand-written body and a proxied one are served
//!   alike. The module [`layer`] says what it does to what.
//! - [`Drain`] ends streams, spread over some time, so that a server can stop.
//! - [`EventStream`] turns a stream of [`Event`]s, or of values to be sent as JSON, into a
//!   response.
//! - [`Event`] is what is sent. What the wire cannot carry, such as a line break in an
//!   [`EventId`], cannot be built.
//! - [`Decoder`] reads events as a browser does. [`Framer`] cuts a stream into the bytes of its
//!   events without changing them, unless asked for [`Repairs`].
//! - The module [`convert`] makes events of NDJSON, JSON text sequences and lines.
//! - The module [`observe`] tells what happens to streams, for logs and figures.
//! - The module [`feed`] numbers and keeps events, for any number of readers.
//! - The module [`mux`] sends many feeds on one stream.
//!
//! It works with any server that speaks [`tower_service::Service`] and [`http_body::Body`]. Of
//! tokio it uses timers and synchronisation.
//!
//! # Features
//!
//! None is on by default.
//!
//! - `axum` makes [`EventStream`] a response there, and [`LastEventId`] an extractor.
//! - `compress` compresses streams event by event, in gzip, brotli and zstd.
//! - `metrics` keeps figures of streams with the `metrics` crate.
//! - `tracing` writes a log of streams with the `tracing` crate.
//!
//! # Defaults
//!
//! A comment after 15 seconds of silence, `retry: 3000` with 33 % of chance in it, headers against
//! caches, compressors and buffers, and a first comment at once. The guide says
//! [why](guide::defaults), has [recipes](guide::recipes) for what is built most, and the lines
//! that matter [behind nginx and others](guide::behind_a_proxy).

#[cfg(feature = "compress")]
pub mod compress;
pub mod convert;
mod decode;
mod drain;
mod event;
pub mod feed;
mod frame;
mod framer;
pub mod guide;
mod head;
mod instant;
mod jitter;
mod json_error;
mod keep_alive;
mod last_event_id;
pub mod layer;
pub mod mux;
pub mod observe;
mod repair;
pub mod stream;

pub use decode::{DecodeError, Decoder, MessageEvent, MessageRef};
pub use drain::{Drain, Draining};
pub use event::{Event, EventId, EventType, InvalidValue};
pub use frame::{Field, Fields, Frame};
pub use framer::Framer;
pub use head::is_event_stream;
pub use json_error::JsonError;
pub use keep_alive::KeepAlive;
pub use last_event_id::LastEventId;
pub use layer::{ResponseFuture, SseBody, SseLayer, SseService};
pub use repair::{Repairs, UnknownRepair};
pub use stream::EventStream;

/// What the README shows works as it is shown.
#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
struct Readme;
