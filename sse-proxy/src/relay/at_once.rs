//! A private stream that a thread of the hub asks for, and begins.
//!
//! Where a socket is all that is needed, both take no task: the origin speaks HTTP/1 at a known
//! address, and answers with a stream of which nothing has to be looked at first. Whatever else comes
//! of it goes on as if the asking had been done by a task.

use std::sync::Arc;

use super::{begin, for_origin, private};
use crate::asker::{Asker, Outcome};
use crate::config::Route;
use crate::feeds::Feeds;
use crate::http1::Http1;
use crate::hub::Begun;
use crate::limits::Seat;
use crate::origin::{Answer, Errand, OriginError, Response};
use crate::request::Request;

/// Who asks, and what has to be asked for a request that came without TLS, and that only one client
/// may have the answer to. `None` if that takes more than a socket.
pub(crate) fn ask(
    feeds: &Feeds,
    route: Arc<Route>,
    request: Request,
    seat: Seat,
) -> Option<(Box<Asker>, Errand)> {
    let errand = feeds.origins().errand(&route, &for_origin(&route, &request))?;
    Some((Box::new(Asker { route, request, seat }), errand))
}

/// Begins the client's stream with its origin's answer, if the head of that tells all that has to
/// be known.
pub(crate) fn open(
    feeds: &Feeds,
    asker: Box<Asker>,
    mut response: Box<Response>,
) -> Result<Begun, (Box<Asker>, Outcome)> {
    let (route, request) = (&asker.route, &asker.request);
    let plain = Answer::plain(&mut response, route, request);
    let opened = plain.and_then(|head| {
        let begin = begin(route, request);
        let opened = Http1::head(request.version, head.headers(), &begin);
        Some((head, opened, response.take_bare()?))
    });
    let Some((mut stream_head, (head, framing), taken)) = opened else {
        return Err((asker, Outcome::Answered(response)));
    };
    match private(feeds, route, request, &mut stream_head, taken) {
        Ok((from, visit)) => {
            let Asker { route, seat, .. } = *asker;
            Ok(Begun { head, framing, from, route, seat, visit })
        }
        Err(error) => Err((asker, Outcome::Failed(OriginError::broken(&error)))),
    }
}
