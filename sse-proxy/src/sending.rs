//! [`Sending`]: a request's body on its way from its client to the origin.

use std::time::Duration;

use pingora::protocols::http::ServerSession;
use tokio::sync::mpsc;

use crate::origin::{Piece, Upload};
use crate::session::leave;

/// How long a client may go on sending what nobody wants any more. If its connection were closed
/// at once, it might lose the answer that it has not read.
const PATIENCE: Duration = Duration::from_secs(1);

/// A request's body on its way from its client to the origin, as fast as the origin takes it.
pub(crate) struct Sending {
    /// `None` when there is no more to send.
    put: Option<mpsc::Sender<Piece>>,
    /// What the client has sent and the origin has not taken.
    piece: Option<Piece>,
}

impl Sending {
    /// A request that has no body, or none left.
    pub(crate) const fn done() -> Self {
        Self { put: None, piece: None }
    }

    /// Begins to send the body of the session's request.
    pub(crate) fn begin(session: &mut ServerSession) -> (Self, Upload) {
        if session.is_body_empty() {
            return (Self::done(), Upload::none());
        }
        let (put, upload) = Upload::pieces();
        (Self { put: Some(put), piece: None }, upload)
    }

    /// Whether there is nothing left to send.
    pub(crate) const fn is_done(&self) -> bool {
        self.put.is_none()
    }

    /// Goes on by one step. When there is none left, watches whether the client goes away, which
    /// is an error.
    ///
    /// Cancel safe.
    pub(crate) async fn go_on(&mut self, session: &mut ServerSession) -> pingora::Result<()> {
        let Some(put) = &self.put else {
            leave(session).await;
            return Err(pingora::Error::new(pingora::ErrorType::ConnectionClosed));
        };
        if self.piece.is_none() {
            self.piece = Some(match session.read_request_body().await? {
                Some(data) => Piece::Data(data),
                None => Piece::End,
            });
            return Ok(());
        }
        let Ok(permit) = put.reserve().await else {
            // The origin takes no more of it, which is its right.
            *self = Self { put: None, piece: None };
            return Ok(());
        };
        if let Some(piece) = self.piece.take() {
            let is_last = matches!(piece, Piece::End);
            permit.send(piece);
            if is_last {
                self.put = None;
            }
        }
        Ok(())
    }

    /// Ends the client's sending, where the answer has come before the request was complete.
    pub(crate) async fn give_up(&self, session: &mut ServerSession) {
        if !session.is_body_done() {
            session.set_keepalive(None);
            let _ = tokio::time::timeout(PATIENCE, session.drain_request_body()).await;
        }
    }
}
