//! What the benchmarks share: an origin that stamps its events, a proxy in this process, and
//! clients that read the stamps.

pub mod client;
pub mod origin;
pub mod proxy;
pub mod stamp;
