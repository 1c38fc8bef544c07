//! The body of a mux request.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use pingora::protocols::http::ServerSession;

/// The largest body: some thousand names.
const MOST: usize = 64 << 10;

/// How long a client may take to send it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads a request's body. Else what to answer.
pub(super) async fn read(session: &mut ServerSession) -> Result<Bytes, (u16, &'static str)> {
    match tokio::time::timeout(PATIENCE, read_all(session)).await {
        Ok(read) => read,
        Err(_) => Err((408, "The request took too long.\n")),
    }
}

async fn read_all(session: &mut ServerSession) -> Result<Bytes, (u16, &'static str)> {
    let mut body = BytesMut::new();
    loop {
        match session.read_request_body().await {
            Ok(Some(piece)) if body.len() + piece.len() <= MOST => body.extend_from_slice(&piece),
            Ok(Some(_)) => return Err((413, "The request is larger than 64 KiB.\n")),
            Ok(None) => return Ok(body.freeze()),
            Err(_) => return Err((400, "The request broke off.\n")),
        }
    }
}
