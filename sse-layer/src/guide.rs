//! The guide: what to know, and what to write, to serve event streams well.
//!
//! | chapter | for |
//! | --- | --- |
//! | [Defaults, and why](defaults) | what is on without being asked for, each number, and what it was measured against |
//! | [Recipes](recipes) | tokens of a language model, progress of a job, a chat room, stopping a server, many feeds on one connection |
//! | [Behind a proxy](behind_a_proxy) | nginx, Caddy, HAProxy and AWS load balancers: the lines that matter |
//!
//! # In short
//!
//! - Put [`SseLayer`](crate::SseLayer) around the routes. Handlers return an
//!   [`EventStream`](crate::EventStream), a [`FeedStream`](crate::feed::FeedStream), or whatever
//!   they returned before.
//! - Give events ids, and heed the [`LastEventId`](crate::LastEventId): connections break, and
//!   clients come back by themselves. A [`Feed`](crate::feed::Feed) does both.
//! - A stream that is over must say so: a browser takes its end for an accident, and comes back
//!   until it is answered 204.
//! - Serve HTTP/2 where there are many streams: over HTTP/1 a browser opens six connections to a
//!   host, all its windows taken together, and lets everything else wait.
//! - Never answer 5xx to a browser that is to come back. It takes any status but 200 as the end.
//!   A connection that breaks is repaired; a 503 is final.

pub mod behind_a_proxy;
pub mod defaults;
pub mod recipes;
