//! The way to an origin: connect, ask, and make sense of the answer.

mod anybody;
mod ask;
mod bare;
mod body;
mod brotli;
mod charset;
mod decode;
mod dial;
mod errand;
mod forward;
mod group;
mod head;
mod heads;
mod health;
mod intake;
mod interims;
mod member;
mod origins;
mod pool;
mod probe;
mod response;
mod sniff;
mod tls;
mod upload;
mod wire;

use std::fmt;

pub(crate) use self::ask::Ask;
pub(crate) use self::bare::Bare;
pub(crate) use self::body::Body;
pub(crate) use self::errand::{Errand, Unreached};
pub(crate) use self::forward::{Forward, add_forwarded, copy_end_to_end, copy_trailers, via};
pub(crate) use self::head::{Answer, Oddity, StreamHead};
pub(crate) use self::intake::Intake;
pub(crate) use self::interims::Interim;
pub(crate) use self::origins::Origins;
pub use self::probe::Probe;
pub(crate) use self::response::{Response, Taken};
pub(crate) use self::upload::{Piece, Upload};
pub(crate) use self::wire::Wire;

/// Why an origin gave no answer, or not the whole of it.
#[derive(Debug)]
pub(crate) enum OriginError {
    /// The route has as many requests under way as it may.
    Full,
    /// No connection came about: name, address, TLS or time.
    Connect(String),
    /// The connection was there, but no answer in time.
    Silent,
    /// The connection broke, or what came over it was not HTTP.
    Broken(String),
    /// The content coding is damaged.
    Coding(std::io::Error),
    /// An event is larger than the limit.
    TooLong(String),
}

impl OriginError {
    fn too_long(error: impl fmt::Display) -> Self {
        Self::TooLong(error.to_string())
    }

    /// It switched to another protocol.
    fn unasked_switch() -> Self {
        Self::Broken("it switched protocols without being asked to".to_owned())
    }

    pub(crate) fn broken(error: &dyn std::error::Error) -> Self {
        Self::Broken(dial::with_causes(error))
    }
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => {
                f.write_str("the route has as many connections as it may (max_connections)")
            }
            Self::Connect(why) => write!(f, "cannot connect: {why}"),
            Self::Silent => f.write_str("no answer in time (timeouts.first_byte, timeouts.idle)"),
            Self::Broken(why) => write!(f, "the connection broke: {why}"),
            Self::Coding(why) => write!(f, "the content coding is damaged: {why}"),
            Self::TooLong(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for OriginError {}
