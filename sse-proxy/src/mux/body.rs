//! The body of a mux request.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use pingora::protocols::http::ServerSession;

use crate::answer::Answer;

/// The largest body: some thousand names.
const MOST: usize = 64 << 10;

/// How much of a larger one is dropped, so that its sender gets to read the answer.
const MOST_DROPPED: usize = 1 << 20;

const TOO_LARGE: Answer = Answer::new(413, "The request is larger than 64 KiB.\n");

/// How long a client may take to send it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads a request's body. Else what to answer.
pub(super) async fn read(session: &mut ServerSession) -> Result<Bytes, Answer> {
    match tokio::time::timeout(PATIENCE, read_all(session)).await {
        Ok(read) => read,
        Err(_) => Err(Answer::new(408, "The request took too long.\n")),
    }
}

async fn read_all(session: &mut ServerSession) -> Result<Bytes, Answer> {
    let (mut body, mut len) = (BytesMut::new(), 0);
    loop {
        match session.read_request_body().await {
            Ok(Some(piece)) => {
                len += piece.len();
                if len <= MOST {
                    body.extend_from_slice(&piece);
                } else if len > MOST_DROPPED {
                    return Err(TOO_LARGE);
                }
            }
            Ok(None) if len > MOST => return Err(TOO_LARGE),
            Ok(None) => return Ok(body.freeze()),
            Err(_) => return Err(Answer::new(400, "The request broke off.\n")),
        }
    }
}
