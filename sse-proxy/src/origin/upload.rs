//! [`Upload`]: the body of a request on its way to an origin.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The body of a request: none, or pieces as they come from a client.
pub(crate) struct Upload {
    pieces: Option<mpsc::Receiver<Piece>>,
    progress: Progress,
}

/// What is put into the body of a request.
pub(crate) enum Piece {
    Data(Bytes),
    /// The body is complete. Without this, the origin sees that it is not.
    End,
}

/// The client went away before its request was complete.
#[derive(Debug)]
pub(crate) struct Gone;

impl Upload {
    /// No body.
    pub(crate) fn none() -> Self {
        Self { pieces: None, progress: Progress::default() }
    }

    /// A body, and where its pieces are put in, one at a time.
    pub(crate) fn pieces() -> (mpsc::Sender<Piece>, Self) {
        let (put, pieces) = mpsc::channel(1);
        (put, Self { pieces: Some(pieces), progress: Progress::default() })
    }

    pub(super) const fn is_none(&self) -> bool {
        self.pieces.is_none()
    }

    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Gone;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Gone>>> {
        let Some(pieces) = &mut self.pieces else { return Poll::Ready(None) };
        let piece = ready!(pieces.poll_recv(cx));
        self.progress.made();
        Poll::Ready(match piece {
            Some(Piece::Data(data)) => Some(Ok(Frame::data(data))),
            Some(Piece::End) => {
                self.pieces = None;
                None
            }
            None => Some(Err(Gone)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_none() { SizeHint::with_exact(0) } else { SizeHint::default() }
    }
}

impl std::fmt::Display for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the client went away")
    }
}

impl std::error::Error for Gone {}

/// When a piece of a body was last taken. An origin's time to answer begins then.
#[derive(Clone)]
pub(super) struct Progress(Arc<Mutex<Instant>>);

impl Default for Progress {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }
}

impl Progress {
    pub(super) fn made(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub(super) fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
