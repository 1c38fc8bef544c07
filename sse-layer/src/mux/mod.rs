//! Multiplexing: many feeds on one stream.
//!
//! Browsers open at most six HTTP/1 connections to a host, and each `EventSource` takes one of
//! them. One multiplexed stream brings any number of [feeds](crate::feed) on one connection, and
//! one short position, the event's id, resumes all of them together.
//!
//! [`MuxService`] answers requests for such streams. The parts that it is made of are for servers
//! that need them apart: [`Request`] is what a client asks for, and [`wire`] writes the stream.
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use http::Request;
//! use http_body_util::BodyExt;
//! use sse_layer::feed::{FeedOptions, Log};
//! use sse_layer::mux::{MuxService, wire};
//! use sse_layer::{Event, SseLayer};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // All feeds are of one log.
//! let log = Log::new();
//! let orders = log.feed(FeedOptions::default());
//! let prices = log.feed(FeedOptions::default());
//! let feeds = BTreeMap::from([
//!     ("/orders".to_owned(), orders.clone()),
//!     ("/prices".to_owned(), prices.clone()),
//! ]);
//!
//! // In axum: `.route_service("/.sse/mux", mux)`.
//! let mux = ServiceBuilder::new()
//!     .layer(SseLayer::new().no_retry().farewell(wire::bye()))
//!     .service(MuxService::new(feeds));
//!
//! let request = Request::get("/.sse/mux?feed=/orders&feed=/prices&feed=/gone").body(())?;
//! let mut stream = mux.oneshot(request).await?.into_body().into_data_stream();
//! orders.publish(Event::new().id(17.into()).data("one order"));
//! # use futures_util::StreamExt;
//! # let (mut seen, expected) = (Vec::new(), format!("event: /orders\nid: {} 17\n", log.cursor()));
//! # while !String::from_utf8(seen.clone())?.contains(&expected) {
//! #     seen.extend_from_slice(&stream.next().await.ok_or("the stream has ended")??);
//! # }
//! # Ok(())
//! # }
//! ```
//!
//! # What is on the stream
//!
//! | field | value |
//! | --- | --- |
//! | `event` | the feed's name for an event of the default type, `/a`; with the type behind it for others, `/a#update`. `mux/…` are the stream's own |
//! | `data` | the event's, untouched |
//! | `id` | a position in the log, `EPOCH.SEQ`, then, if the event has an id, a blank and that id. Only on events with data |
//! | `retry` | once, at the start |
//!
//! The stream begins like this:
//!
//! ```text
//! retry: 3127
//! event: mux/open
//! data: {"v":1,"sid":"9f2c02e1b6ac4b7e8d1f0c5a7e3b9d64","resumed":false}
//!
//! event: mux/feed
//! data: {"feed":"/gone","state":"closed","status":404}
//!
//! event: mux/feed
//! data: {"feed":"/orders","state":"open"}
//!
//! event: /orders
//! id: 8c1f02aa.1842 17
//! data: one order
//!
//! ```
//!
//! `mux/feed` tells a feed's state: `open`, `connecting` (with `reason`, and `retry` in
//! milliseconds) or `closed` (with the HTTP `status` of a request for it alone). One feed's end
//! never ends another; the response is 200 even if no feed can be opened. `mux/gap` tells, with
//! `feed`, `after` and `missed` (a number or `null`), that events the client asked for no longer
//! exist. `/a#lagged` tells what a slow reader of `/a` was spared: see
//! [`LagPolicy`](crate::feed::LagPolicy). `mux/bye` comes before a planned end.
//!
//! Events of one reader come in log order. A client that comes back sends the last id that it has
//! as `Last-Event-ID`, as browsers do, and gets everything after it, of all the feeds it names.

mod body;
mod feeds;
mod request;
mod service;
mod sid;
pub mod wire;

pub use self::body::MuxBody;
pub use self::feeds::Feeds;
pub use self::request::{Request, Wanted, is_name};
pub use self::service::MuxService;
