//! The program seen from outside: real sockets, an origin before it that says whatever the test
//! wants, clients behind it.

#![expect(clippy::indexing_slicing, reason = "a helper that fails is a test that fails")]

mod support;

mod admin;
mod asking;
mod balance;
mod corpus;
mod cors;
mod curl;
mod drain;
mod fanout;
mod faults;
mod forward;
mod hardening;
mod hold;
mod hold_outage;
mod http2;
mod http2_attacks;
mod legacy;
mod lifecycle;
mod mux;
mod mux_changes;
mod mux_feeds;
mod mux_hostile;
mod mux_leave;
mod mux_load;
mod mux_origins;
mod mux_page;
mod mux_resume;
mod origin_attacks;
mod origins_framing;
mod origins_limits;
mod plain;
mod posts;
mod private;
mod private_http1;
mod readme;
mod reload;
mod repairs;
mod resume;
mod shared;
mod shared_origin;
mod sharing;
mod slow;
mod smuggling;
mod soak;
mod transparency;
mod upstreams;
