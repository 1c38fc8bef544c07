//! Defaults, and why.
//!
//! Each default is a number that works without being thought about. Where it does not, the method
//! in the last column changes it.
//!
//! # A stream
//!
//! | what | default | by |
//! | --- | --- | --- |
//! | a comment in silence | after 15 s, ±10 % | [`keep_alive`](crate::SseLayer::keep_alive) |
//! | `retry` | 3 s, ±33 % | [`retry`](crate::SseLayer::retry), [`no_retry`](crate::SseLayer::no_retry) |
//! | a comment as first bytes | on | always |
//! | `Cache-Control` | `no-cache, no-store, no-transform` | a handler's own value that has `no-store` |
//! | `X-Accel-Buffering` | `no` | always |
//! | greatest age of a stream | none | [`max_lifetime`](crate::SseLayer::max_lifetime) |
//! | greatest number of streams | none; more get 503 and `Retry-After` | [`max_streams`](crate::SseLayer::max_streams) |
//! | repairs, conversions, compression | none | [`repair`](crate::SseLayer::repair), [`convert`](crate::SseLayer::convert), feature `compress` |
//!
//! ## A comment after 15 seconds
//!
//! The HTML standard advises a comment "every 15 seconds or so", and axum, warp, salvo,
//! sse-starlette and the TypeScript SDK of MCP do the same (axum when asked to). It must come
//! before the shortest patience on the way:
//!
//! | who cuts a silent stream | after |
//! | --- | --- |
//! | Bun's server | 10 s |
//! | Google Cloud's load balancers (some count the whole stream, not the silence), CloudFront to the origin | 30 s |
//! | event-source-polyfill, in the browser | 45 s |
//! | Heroku | 55 s |
//! | nginx, AWS ALB, Varnish | 60 s |
//! | Cloudflare | 125 s |
//! | Azure's load balancer | 4 min |
//! | Envoy | 5 min; its 15 s for a whole response must be set to 0 for streams |
//! | AWS NLB | 350 s |
//!
//! So 15 s is half of the shortest that is common, and leaves time for one comment to be late. Only
//! Bun's asks for less. A stream with traffic gets no comment, since every event starts the wait
//! anew; and ±10 % keeps streams that were opened together from sending together.
//!
//! ## A reconnection time of 3 seconds
//!
//! Without `retry:`, Chromium waits 3 s and Firefox 5 s, both without any chance in it, so that
//! all clients of a server that restarts come back in one instant. With ±33 % they come spread
//! over two seconds. Chromium takes `retry: 0` at its word, a loop without a pause; Firefox makes
//! 500 ms of anything less.
//!
//! ## The headers, and the first bytes
//!
//! Each keeps some part of the way from holding bytes back. nginx collects a response before it
//! passes it on, unless `X-Accel-Buffering: no` asks it not to. Compressors hold bytes until they
//! have a block of them, and `no-transform` forbids them to compress. And many servers and proxies
//! send no head before there is something to follow it: the first comment is that something, so
//! that `EventSource` reports `open` at once and not at the first event.
//!
//! ## No greatest age
//!
//! Who needs one (more than one instance behind a load balancer, credentials that expire) knows
//! his own number. Mercure ends streams after 10 minutes, each at a random moment of the last two;
//! [`max_lifetime`](crate::SseLayer::max_lifetime) takes up to 20 % off in the same way.
//!
//! ## No greatest number
//!
//! What a machine can hold is the operator's to know. A stream beyond
//! [`max_streams`](crate::SseLayer::max_streams) is answered 503 with a `Retry-After` of the
//! reconnection time, spread like it. That is for clients that fetch: `EventSource` takes any
//! status but 200 as the end, so a page must wait and make a new one.
//!
//! # A feed
//!
//! | what | default | by |
//! | --- | --- | --- |
//! | history, for who comes back | 1024 events, 4 MiB, 5 minutes, whichever is met first | [`HistoryLimits`](crate::feed::HistoryLimits) |
//! | how far a reader may be behind | 256 events, 1 MiB, whichever is met first | [`Lag`](crate::feed::Lag) |
//! | one whose place has left the history | its stream ends, and it comes back for the rest | [`LagPolicy`](crate::feed::LagPolicy) |
//!
//! **History.** Rings of 256 to 2000 events are what applications build for themselves; Nchan keeps
//! 10 messages for an hour. Mercure's has no end, and fills the disk. The bytes are bounded as
//! well, since events differ in size by a factor of a thousand; and five minutes are longer than
//! any reconnection, but shorter than a night with the lid closed, after which a page is better
//! loaded anew.
//!
//! **Lag.** Centrifugo sends a client away at 1 MiB, Mercure at 1000 updates. A slow reader costs no
//! memory here, since readers have a place in the history and no queue. The bound is there for
//! the reader's sake: what it gets later than that is old news. A client that asks for more after a
//! pause still gets all that history has; only with [`Skip`](crate::feed::LagPolicy::Skip) and
//! [`Conflate`](crate::feed::LagPolicy::Conflate) do the bounds count then. One that never asks
//! again holds its place until its connection ends: set `TCP_USER_TIMEOUT` on the sockets, or a
//! timeout for writing, where clients may stall on purpose. The history is larger than the
//! lag, so that one who was sent away finds what he missed.
//!
//! # A multiplexed stream
//!
//! | what | default | by |
//! | --- | --- | --- |
//! | `retry` | 3 s, ±33 % | [`MuxService::retry`](crate::mux::MuxService::retry) |
//! | feeds on one stream | 256 | [`MuxService::max_feeds`](crate::mux::MuxService::max_feeds) |
//!
//! # Reading
//!
//! | what | default | by |
//! | --- | --- | --- |
//! | the longest block, for [`Framer`](crate::Framer) and [`Decoder`](crate::Decoder) | 16 MiB | [`Decoder::with_limit`](crate::Decoder::with_limit) |
//! | the longest record, for [`Converter`](crate::convert::Converter) | 16 MiB | [`Converter::with_limit`](crate::convert::Converter::with_limit) |
//!
//! # Written out
//!
//! This is what [`SseLayer::new`](crate::SseLayer::new) does:
//!
//! ```
//! use std::time::Duration;
//! use sse_layer::{KeepAlive, SseLayer};
//!
//! let layer = SseLayer::new()
//!     .keep_alive(KeepAlive::new().every(Duration::from_secs(15)))
//!     .retry(Duration::from_secs(3));
//! # assert_eq!(format!("{layer:?}"), format!("{:?}", SseLayer::new()));
//! ```
//!
//! And this is what feeds do:
//!
//! ```
//! use std::time::Duration;
//! use sse_layer::feed::{FeedOptions, HistoryLimits, Lag, LagPolicy};
//!
//! let age = Duration::from_secs(300);
//! let options = FeedOptions::default()
//!     .history(HistoryLimits::default().events(1024).bytes(4 << 20).age(age))
//!     .lag(Lag::default().events(256).bytes(1 << 20).policy(LagPolicy::Resume));
//! # assert_eq!(format!("{options:?}"), format!("{:?}", FeedOptions::default()));
//! ```
