//! What the benchmarks share: an origin that stamps its events, a proxy in this process, clients
//! that read the stamps, and the load tester.

pub mod client;
pub mod load;
pub mod origin;
pub mod plot;
pub mod proxy;
pub mod stamp;
