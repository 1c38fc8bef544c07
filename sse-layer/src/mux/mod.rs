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
//! let request = Request::get("/.sse/mux?feed=/orders&feed=/prices&feed=/gone");
//! let request = request.body(String::new())?;
//! let mut stream = std::pin::pin!(mux.oneshot(request).await?.into_body());
//! orders.publish(Event::new().id(17.into()).data("one order"));
//!
//! let event = format!("event: /orders\nid: {} 17\ndata: one order\n\n", log.cursor());
//! let mut seen = String::new();
//! while !seen.contains(&event) {
//!     let frame = stream.frame().await.ok_or("it does not end")??;
//!     seen.push_str(std::str::from_utf8(frame.data_ref().ok_or("it has no trailers")?)?);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # The requests
//!
//! | request | answer |
//! | --- | --- |
//! | `GET …?feed=/a&feed=/b` | the stream, for a bare `EventSource` or curl. The position is the last event ID |
//! | `POST …` with `{"feeds":[["/a",null],["/b","17"]],"cursor":"EPOCH.SEQ"}` | the stream, for clients that know each feed's last id: it counts where the cursor is not known. Both may be missing |
//! | `POST …/SID` with `{"add":[["/c",null]],"remove":["/a"]}` | 204, and the stream of that name changes. What it reads already stays as it is. 404: there is no such stream, open one anew. 403: it was opened with other credentials, or by another origin. 503: it has too many changes to make |
//!
//! A POST of a page of another site is answered 403, unless [`MuxService::origins`] names it: a
//! browser sends it with the user's cookies, whatever page it comes from.
//!
//! Where paths are routed, the last needs a route of its own, to a clone of the same service: in
//! axum, `.route_service("/.sse/mux/{sid}", mux)`. It works in the process that holds the stream.
//!
//! # What is on the stream
//!
//! | field | value |
//! | --- | --- |
//! | `event` | the feed's name for an event of the default type, `/a`; with the type behind it for others, `/a#update`. `mux/…` are the stream's own |
//! | `data` | the event's, untouched |
//! | `id` | a position in the log, `EPOCH.SEQ`, then, if the event has an id, a blank and that id. Only on blocks with data; on `mux/open` unless there are missed events to come |
//! | `retry` | once, at the start |
//!
//! The stream begins like this:
//!
//! ```text
//! retry: 3127
//! event: mux/open
//! id: 8c1f02aa.1840
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
//! milliseconds) or `closed` (with the HTTP `status` of a request for it alone, or 409 if the stream
//! has as many as it may: another has room). It says `private` of a feed that was opened for this
//! stream alone: see [`MuxStream::mark_private`]. One feed's end never ends another; the response is
//! 200 even if no feed can be opened. `mux/gap` tells, with `feed`, `after` and `missed` (a number or
//! `null`), that events the client asked for no longer exist, be it that they are gone from the
//! feed's history or that the client reads too slowly.
//! `/a#lagged` tells what a slow reader of `/a` was spared: see
//! [`LagPolicy`](crate::feed::LagPolicy). `mux/bye` comes before a planned end.
//!
//! Events of one reader come in log order. A client that comes back sends the last id that it has
//! as `Last-Event-ID`, as browsers do, and gets everything after it, of all the feeds it names.

mod body;
mod changing;
mod feeds;
mod future;
mod name;
mod origin;
mod request;
mod service;
mod sid;
mod stream;
mod streams;
pub mod wire;

pub use self::body::MuxBody;
pub use self::feeds::Feeds;
pub use self::future::MuxFuture;
pub use self::name::{FeedName, InvalidFeedName};
pub use self::origin::is_same_origin;
pub use self::request::{ChangeRequest, Request, Wanted};
pub use self::service::MuxService;
pub use self::sid::Sid;
pub use self::stream::{MuxStream, Piece};
pub use self::streams::{Entered, Refused, Streams};
