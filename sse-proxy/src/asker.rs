//! [`Asker`]: a client whose stream is asked for, and begun, by a thread of the hub.
//!
//! Where a socket is all that is needed, both take no task: the origin speaks HTTP/1 at a known
//! address, and answers with a stream of which nothing has to be looked at first. Whatever else comes
//! of it goes on as if the asking had been done by a task.

use std::sync::Arc;

use crate::config::Route;
use crate::feeds::Feeds;
use crate::http1::Http1;
use crate::hub::Begun;
use crate::limits::Seat;
use crate::origin::{Answer, Errand, OriginError, Response, Unreached};
use crate::relay;
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

impl Asker {
    /// For a request that came without TLS, and that only one client may have the answer to; with
    /// what has to be asked for it. `None` if that takes more than a socket.
    pub(crate) fn new(
        feeds: &Feeds,
        route: Arc<Route>,
        request: Request,
        seat: Seat,
    ) -> Option<(Box<Self>, Errand)> {
        let errand = feeds.origins().errand(&route, &relay::for_origin(&route, &request))?;
        Some((Box::new(Self { route, request, seat }), errand))
    }

    /// Begins the client's stream with this answer, if its head tells all that has to be known.
    pub(crate) fn begin(
        self: Box<Self>,
        feeds: &Feeds,
        mut response: Box<Response>,
    ) -> Result<Begun, (Box<Self>, Outcome)> {
        let (route, request) = (&self.route, &self.request);
        let plain = Answer::plain(&mut response, route, request);
        let opened = plain.and_then(|head| {
            let begin = relay::begin(route, request);
            let opened = Http1::head(request.version, head.headers(), &begin).ok()?;
            Some((head, opened, response.take_bare()?))
        });
        let Some((mut stream_head, (head, framing), taken)) = opened else {
            return Err((self, Outcome::Answered(response)));
        };
        match relay::private(feeds, route, request, &mut stream_head, taken) {
            Ok((from, visit)) => {
                let Self { route, seat, .. } = *self;
                Ok(Begun { head, framing, from, route, seat, visit })
            }
            Err(error) => Err((self, Outcome::Failed(OriginError::broken(&error)))),
        }
    }
}
