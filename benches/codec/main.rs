//! How fast events are written and read, the latter beside other crates for the same.
//!
//!     cargo bench -p sse-layer --bench codec
//!     cargo bench -p sse-layer --bench codec -- decode
//!
//! Every result is compared with what was to come out, or the run fails. A throughput in bytes is
//! that of the wire; one in items is that of events.

mod decode;
mod encode;
mod peers;
mod streams;

fn main() {
    divan::main();
}
