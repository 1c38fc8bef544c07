//! [`Asker`]: a client whose stream is asked for, and begun, by a thread of the hub; and what has
//! become of that.

use std::sync::Arc;

use crate::config::Route;
use crate::limits::Seat;
use crate::origin::{OriginError, Response, Unreached};
use crate::request::Request;

/// A client of HTTP/1 who waits for the answer of an origin of its own.
pub(crate) struct Asker {
    pub(crate) route: Arc<Route>,
    pub(crate) request: Request,
    pub(crate) seat: Seat,
}

/// What has become of an errand.
pub(crate) enum Outcome {
    Answered(Box<Response>),
    Failed(OriginError),
    /// The origin has not been asked.
    Unreached(Unreached),
}
