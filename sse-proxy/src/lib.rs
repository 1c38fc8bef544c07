//! A proxy for Server-Sent Events, on pingora.
//!
//! # The life of an event
//!
//! ```text
//! origin --> Response --> Intake --> Feed --> Reader --> Hub, or Downstream --> client
//!            (chunks)     (decode,   (number,  (a place,  (keep-alive, write)
//!                          cut, mend) keep)     no queue)
//! ```
//!
//! Readers are written to by the `hub`: a thread per core that owns their sockets, and drives the
//! connections of their HTTP/2 streams (`hub::line`). It reads each shared feed once for all who have
//! everything of it, and writes them the same bytes; of a private stream it owns the origin's socket
//! too, and passes on what comes (`passing`). Any other stream is a task of its own with a
//! `Downstream`.
//!
//! Connections without TLS are accepted by the hub too (`hub::door`), where who wants a shared feed
//! that is open stays, and mostly who wants a stream of its own (`hub::asking`); a `porter` per listener
//! receives all others.
//!
//! Every request comes by `front`, which reads a plain HTTP/1 GET itself (`ask`) and leaves the rest
//! to pingora's sessions. It asks `router` for its route, and sends
//!
//! - a mux request to `mux`: many feeds on one stream;
//! - `/.sse/*.js`, the browser's side of that, to `client_files`;
//! - a GET of a shared route to `shared`: `feeds` opens one `source` per feed, whoever is `reading` it;
//! - any other GET to `relay`: one client, one origin stream, if the answer is a stream;
//! - a WebSocket's handshake, or that of another upgrade, to `tunnel`;
//! - other methods, and GETs with a body, to `posts`: streams too, if the answer is one;
//! - everything else to `plain`.
//!
//! Origins are asked over connections of our own (`origin`), HTTP/1 or HTTP/2; for a stream over
//! HTTP/1, over a bare one (`origin::bare`) that can be handed to the hub. Trailers pass from
//! origins to clients; those of a request do not, nor do informational answers (1xx) to clients of
//! HTTP/2: pingora's sessions have none. They put their own `Date` on whatever they answer; a private
//! stream over HTTP/1 keeps its origin's, and a shared one there has none.
//!
//! # What happens when a queue is full
//!
//! | queue | bound | when full |
//! | --- | --- | --- |
//! | accept | `limits.connections` | clients wait in the system's backlog |
//! | an unfinished event of an origin | `limits.event_bytes` | the stream ends, the log says why |
//! | a feed's history | `history` | the oldest events go; who asks for them is told of the gap |
//! | what a reader is caught up with | `history.bytes`, 16 readers of a route | it is told of the gap; others wait |
//! | a reader behind its feed | `lag` | its stream ends; it comes back with its last id |
//! | what our writers have yet to write | a quarter of `history` | the origin waits, for a second at the most |
//! | what a socket did not take | the batch at hand, 64 KiB or one event | the reader goes on by itself |
//! | what an HTTP/2 connection has yet to send of a stream | 64 KiB | the stream takes no more |
//! | a private stream | what one read brought, one event | the origin waits for its client |
//!
//! `server` runs on pingora, `connection` is a stream of it, `session` and `client` are what is done
//! with its sessions, `origin::group` chooses by its balancer; what answers requests names its
//! sessions and errors. `hub`, `feeds`, `source` and all below them know nothing of it.

mod admin;
mod answer;
mod ask;
mod asker;
mod catch_up;
mod client;
mod client_files;
pub mod config;
mod connection;
mod cors;
pub mod demo;
mod downstream;
mod drain;
mod feeds;
mod frames;
mod front;
mod gone;
mod handover;
mod hold;
mod http1;
mod http2;
mod hub;
mod limits;
mod metrics;
mod mux;
mod numbers;
mod origin;
mod pace;
mod passing;
mod places;
mod plain;
mod porter;
mod posts;
mod reading;
mod reconnect;
mod record;
mod relay;
mod reload;
mod report;
mod request;
mod router;
mod sending;
mod server;
mod session;
mod shared;
mod source;
mod start;
mod stream;
mod subscriber;
mod tls;
mod told;
mod trailing;
mod tunnel;
mod turns;
mod visit;

pub use self::origin::Probe;
pub use self::reload::Reload;
pub use self::server::{Proxy, Stop};
pub use self::start::StartError;
