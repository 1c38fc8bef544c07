//! Recipes.
//!
//! Those for axum need the feature `axum`. Whole programs are in the crate's `examples`
//! directory: `llm`, `progress`, `chat`, `hyper` and `axum`.
//!
//! # Tokens of a language model
//!
//! A POST, answered by a stream of JSON that ends with `data: [DONE]`, as SDKs expect.
//!
#![cfg_attr(feature = "axum", doc = "```")]
#![cfg_attr(not(feature = "axum"), doc = "```ignore")]
//! use axum::{Json, Router, response::IntoResponse, routing::post};
//! use futures_util::stream::{self, Stream, StreamExt};
//! use serde::Serialize;
//! use sse_layer::{Event, EventStream, SseLayer};
//!
//! #[derive(Serialize)]
//! struct Token {
//!     token: String,
//! }
//!
//! async fn completions(Json(prompt): Json<String>) -> impl IntoResponse {
//!     let done = Event::new().data("[DONE]");
//!     let tokens = model(prompt).map(|token| Event::new().json(&token));
//!     EventStream::new(tokens.chain(stream::iter([Ok(done)])))
//! }
//!
//! // Nobody repeats a POST by himself: no reconnection time.
//! let app = Router::new()
//!     .route("/completions", post(completions))
//!     .layer(SseLayer::new().no_retry());
//! # fn model(prompt: String) -> impl Stream<Item = Token> {
//! #     stream::iter(["You said: ".to_owned(), prompt].map(|token| Token { token }))
//! # }
//! # use tower::ServiceExt;
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! #     let request = http::Request::post("/completions").header("content-type", "application/json");
//! #     let response = app.oneshot(request.body(r#""hi""#.to_owned())?).await?;
//! #     let body = axum::body::to_bytes(response.into_body(), 1000).await?;
//! #     assert!(body.ends_with(b"data: {\"token\":\"hi\"}\n\ndata: [DONE]\n\n"), "{body:?}");
//! #     Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - When the client leaves, the stream is dropped. What makes the tokens must notice: use a
//!   bounded channel, and stop when sending fails.
//! - If tokens can fail, [`on_error`](crate::EventStream::on_error) sends a last event that says so. Do not
//!   call it `error` if browsers listen: that name is their own, for broken connections.
//! - A model that answers in NDJSON can be passed on as it is:
//!   [`SseLayer::convert`](crate::SseLayer::convert) makes events of its lines.
//!
//! # The progress of a job
//!
//! Only the newest figure counts, so a [`watch`](tokio::sync::watch) channel is all there is to
//! remember. The end has to be said: an `EventSource` takes the end of a stream for an accident
//! and comes back, until it is answered 204.
//!
#![cfg_attr(feature = "axum", doc = "```")]
#![cfg_attr(not(feature = "axum"), doc = "```ignore")]
//! use axum::{Router, extract::State, response::IntoResponse, routing::get};
//! use futures_util::stream;
//! use http::StatusCode;
//! use sse_layer::{Event, EventStream, LastEventId, SseLayer};
//! use tokio::sync::watch;
//!
//! async fn progress(
//!     State(mut percent): State<watch::Receiver<u64>>,
//!     last: Option<LastEventId>,
//! ) -> Result<impl IntoResponse, StatusCode> {
//!     if last.is_some_and(|id| id.as_str() == "100") {
//!         return Err(StatusCode::NO_CONTENT);
//!     }
//!     percent.mark_changed(); // the present figure comes at once
//!     Ok(EventStream::new(stream::unfold(percent, async |mut percent| {
//!         percent.changed().await.ok()?; // the job is over when its sender is gone
//!         let now = *percent.borrow_and_update();
//!         Some((Event::new().id(now.into()).data(now.to_string()), percent))
//!     })))
//! }
//!
//! let (job, percent) = watch::channel(0);
//! let app: Router = Router::new()
//!     .route("/progress", get(progress))
//!     .layer(SseLayer::new())
//!     .with_state(percent);
//! # use tower::ServiceExt;
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! #     job.send(100)?;
//! #     drop(job);
//! #     let request = http::Request::get("/progress").body(axum::body::Body::empty())?;
//! #     let response = app.clone().oneshot(request).await?;
//! #     let body = axum::body::to_bytes(response.into_body(), 1000).await?;
//! #     assert!(body.ends_with(b"id: 100\ndata: 100\n\n"), "{body:?}");
//! #     let request = http::Request::get("/progress").header("last-event-id", "100");
//! #     let response = app.oneshot(request.body(axum::body::Body::empty())?).await?;
//! #     assert_eq!(response.status(), 204);
//! #     Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A chat room that forgets nothing
//!
//! A [`Feed`](crate::feed::Feed) numbers what is published, keeps it for a while, and gives each
//! client what came after its last event. A connection that breaks loses no message.
//!
#![cfg_attr(feature = "axum", doc = "```")]
#![cfg_attr(not(feature = "axum"), doc = "```ignore")]
//! use axum::{Router, extract::State, response::IntoResponse, routing::get};
//! use sse_layer::feed::{Feed, FeedOptions, Log};
//! use sse_layer::{Event, LastEventId, SseLayer};
//!
//! async fn listen(State(room): State<Feed>, last: Option<LastEventId>) -> impl IntoResponse {
//!     room.stream(last.as_ref())
//! }
//!
//! async fn say(State(room): State<Feed>, message: String) {
//!     room.publish(Event::new().data(message));
//! }
//!
//! let room = Log::new().feed(FeedOptions::default());
//! let app: Router = Router::new()
//!     .route("/messages", get(listen).post(say))
//!     .layer(SseLayer::new())
//!     .with_state(room.clone());
//! # use tower::ServiceExt;
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! #     room.publish(Event::new().data("one"));
//! #     let seen = room.log().cursor().to_string();
//! #     app.clone().oneshot(http::Request::post("/messages").body("two".to_owned())?).await?;
//! #     room.close();
//! #     let request = http::Request::get("/messages").header("last-event-id", seen);
//! #     let response = app.oneshot(request.body(String::new())?).await?;
//! #     let body = axum::body::to_bytes(response.into_body(), 1000).await?;
//! #     assert!(body.ends_with(b"\ndata: two\n\n"), "{body:?}");
//! #     assert!(!body.windows(3).any(|word| word == b"one"), "{body:?}");
//! #     Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - History is in memory, and its numbers are of this process. After a restart, one who comes
//!   back is told of a gap (`: gap`) and goes on with what is new. Where that is not enough, give
//!   events the ids of your database, and read from there what a client missed.
//! - A slow listener is sent away and comes back, which costs nobody anything. For prices or
//!   positions, where the newest counts, see [`LagPolicy`](crate::feed::LagPolicy).
//! - In the page, close what is not needed: `addEventListener("pagehide", () => room.close())`. A
//!   page that is kept for the back button keeps its connections.
//!
//! # Stopping a server
//!
//! Servers wait at shutdown until all responses are complete, and an event stream never is. A
//! [`Drain`](crate::Drain) ends the streams, spread over some time, with a last `retry:`. With
//! axum:
//!
#![cfg_attr(feature = "axum", doc = "```")]
#![cfg_attr(not(feature = "axum"), doc = "```ignore")]
//! use std::time::Duration;
//! use axum::Router;
//! use sse_layer::{Drain, SseLayer};
//! use tokio::{net::TcpListener, sync::oneshot, time::timeout};
//!
//! async fn serve(app: Router, signal: impl Future, listener: TcpListener) {
//!     let drain = Drain::new();
//!     let app = app.layer(SseLayer::new().drain(drain.clone()));
//!     let (stop, stopped) = oneshot::channel::<()>();
//!     let server = axum::serve(listener, app).with_graceful_shutdown(async {
//!         let _ = stopped.await;
//!     });
//!     let server = tokio::spawn(server.into_future());
//!
//!     signal.await; // tokio::signal::ctrl_c(), for one
//!     drop(stop);
//!     drain.start(Duration::from_secs(10));
//!     // One who does not read cannot be told, and is not waited for.
//!     let _ = timeout(Duration::from_secs(15), server).await;
//! }
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! #     use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! #     let routes = axum::routing::get(async || {
//! #         let silent = futures_util::stream::pending::<sse_layer::Event>();
//! #         sse_layer::EventStream::new(silent)
//! #     });
//! #     let listener = TcpListener::bind("127.0.0.1:0").await?;
//! #     let mut client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
//! #     client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await?;
//! #     let (seen, is_open) = oneshot::channel::<()>();
//! #     let serving = tokio::spawn(async move {
//! #         serve(Router::new().route("/", routes), is_open, listener).await;
//! #     });
//! #     let mut all = vec![client.read_u8().await?];
//! #     tokio::time::pause();
//! #     drop(seen);
//! #     client.read_to_end(&mut all).await?;
//! #     assert!(all.ends_with(b"\n\n\r\n0\r\n\r\n"), "{}", String::from_utf8_lossy(&all));
//! #     serving.await?;
//! #     Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! With hyper, [`GracefulShutdown`] of hyper-util takes the place of axum's; the example `hyper`
//! is whole:
//!
//! ```
//! use std::time::Duration;
//! use hyper_util::server::graceful::GracefulShutdown;
//! use sse_layer::Drain;
//! use tokio::time::timeout;
//!
//! async fn stop(drain: Drain, connections: GracefulShutdown) {
//!     drain.start(Duration::from_secs(10));
//!     let _ = timeout(Duration::from_secs(15), connections.shutdown()).await;
//! }
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! #     timeout(Duration::from_secs(5), stop(Drain::new(), GracefulShutdown::new())).await
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`GracefulShutdown`]: https://docs.rs/hyper-util/latest/hyper_util/server/graceful/struct.GracefulShutdown.html
//!
//! # Many feeds on one connection
//!
//! A [`MuxService`](crate::mux::MuxService) sends any number of feeds on one stream, and one
//! `Last-Event-ID` resumes them all.
//!
#![cfg_attr(feature = "axum", doc = "```")]
#![cfg_attr(not(feature = "axum"), doc = "```ignore")]
//! use std::collections::BTreeMap;
//! use axum::Router;
//! use sse_layer::feed::{FeedOptions, Log};
//! use sse_layer::mux::{MuxService, wire};
//! use sse_layer::{Event, SseLayer};
//! use tower::Layer;
//!
//! let log = Log::new(); // of all feeds
//! let (orders, prices) = (log.feed(FeedOptions::default()), log.feed(FeedOptions::default()));
//! let feeds = BTreeMap::from([
//!     ("/orders".to_owned(), orders.clone()),
//!     ("/prices".to_owned(), prices.clone()),
//! ]);
//!
//! // It says its own `retry:`, and `mux/bye` before a planned end.
//! let mux = SseLayer::new().no_retry().farewell(wire::bye()).layer(MuxService::new(feeds));
//! let app: Router = Router::new()
//!     .route_service("/mux", mux.clone())
//!     .route_service("/mux/{sid}", mux); // to add and remove feeds while it is open
//! orders.publish(Event::new().data("one order"));
//! # use tower::ServiceExt;
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! #     let request = http::Request::get("/mux?feed=/orders&feed=/prices");
//! #     let response = app.oneshot(request.body(axum::body::Body::empty())?).await?;
//! #     let mut body = response.into_body().into_data_stream();
//! #     let mut seen = String::new();
//! #     while !seen.contains("event: mux/feed\ndata: {\"feed\":\"/prices\",\"state\":\"open\"}\n\n") {
//! #         let piece = futures_util::StreamExt::next(&mut body).await.ok_or("no end")??;
//! #         seen.push_str(std::str::from_utf8(&piece)?);
//! #     }
//! #     Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! In the page, each feed is a type of event, and reconnection is the browser's own:
//!
//! ```js
//! const all = new EventSource("/mux?feed=/orders&feed=/prices");
//! all.addEventListener("/orders", (event) => show(event.data));
//! all.addEventListener("/prices", (event) => draw(event.data));
//! all.addEventListener("mux/gap", (event) => reload(JSON.parse(event.data).feed));
//! ```
