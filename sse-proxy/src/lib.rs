//! A proxy for Server-Sent Events, on pingora.
//!
//! # The life of an event
//!
//! ```text
//! origin --> Response --> Intake --> Feed --> Reader --> Downstream --> client
//!            (chunks)     (decode,   (number,  (a place,  (keep-alive,
//!                          cut, mend) keep)     no queue)  write)
//! ```
//!
//! Every request comes by `front`. It asks `router` for its route, and sends
//!
//! - a mux request to `mux`: many feeds on one stream;
//! - a GET of a shared route to `shared`: `feeds` opens one `source` per feed, whoever reads it;
//! - any other GET to `relay`: one client, one origin stream, if the answer is a stream;
//! - a WebSocket's handshake to `tunnel`;
//! - everything else, uploads among it, to pingora's own proxy.
//!
//! Trailers of an HTTP/1 origin are not passed on: pingora reads past them.
//!
//! # What happens when a queue is full
//!
//! | queue | bound | when full |
//! | --- | --- | --- |
//! | accept | `limits.connections` | clients wait in the system's backlog |
//! | an unfinished event of an origin | `limits.event_bytes` | the stream ends, the log says why |
//! | a feed's history | `history` | the oldest events go; who asks for them is told of the gap |
//! | a reader behind its feed | `lag` | its stream ends; it comes back with its last id |
//! | a private stream | one piece of the origin's body | the origin waits for its client |
//!
//! Only `front`, `server`, `downstream`, `session`, `relay`, `shared`, `mux`, `tunnel` and
//! `origin::connect`
//! know pingora.

mod admin;
mod batch;
pub mod config;
pub mod demo;
mod downstream;
mod drain;
mod feeds;
mod front;
mod limits;
mod metrics;
mod mux;
mod origin;
mod record;
mod relay;
mod report;
mod request;
mod router;
mod server;
mod session;
mod shared;
mod source;
mod start;
mod tls;
mod tunnel;
mod visit;

pub use self::server::{Proxy, Stop};
pub use self::start::StartError;
