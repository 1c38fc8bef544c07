//! [`Bare`]: a connection of HTTP/1 for one request alone, whose answer may be a stream.
//!
//! What comes over it can be read here, or by whoever takes the connection when the head has come:
//! there is nothing around it.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Poll, ready};

use bytes::Bytes;
use http::Response;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};

use super::OriginError;
use super::body::Body;
use super::heads::Heads;
use super::wire::Wire;

/// How much is read at once.
const PIECE: usize = 16 << 10;

/// A connection on which an answer has begun.
pub(crate) struct Bare {
    pub(crate) wire: Wire,
    /// What has come of the body, and has not been taken from it.
    pub(crate) came: Bytes,
    pub(crate) body: Body,
}

impl Bare {
    /// Sends a request without a body, as it goes over the wire, and returns when the head of the
    /// answer has come.
    pub(super) async fn ask(mut wire: Wire, request: &[u8]) -> Result<Response<Self>, OriginError> {
        let broken = |error: std::io::Error| OriginError::broken(&error);
        wire.write_all(request).await.map_err(broken)?;
        wire.flush().await.map_err(broken)?;
        let mut heads = Heads::default();
        loop {
            if wire.read_buf(heads.room()).await.map_err(broken)? == 0 {
                return Err(Heads::cut());
            }
            if let Some(answer) = heads.next()? {
                return Self::begun(answer, heads, wire);
            }
        }
    }

    /// The answer whose head has come over this connection.
    pub(super) fn begun(
        answer: Response<()>,
        heads: Heads,
        wire: Wire,
    ) -> Result<Response<Self>, OriginError> {
        let body = Body::of(answer.version(), answer.status(), answer.headers())?;
        let came = heads.into_rest();
        Ok(answer.map(|()| Self { wire, came, body }))
    }

    /// The next piece of the body; `None` when it has ended as it should.
    ///
    /// Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, OriginError> {
        loop {
            if let Some(piece) = self.body.next(&mut self.came)? {
                return Ok(Some(piece));
            }
            if self.body.has_ended() {
                return Ok(None);
            }
            let read = self.read().await.map_err(|error| OriginError::broken(&error))?;
            match read {
                read if read.is_empty() => self.body.close()?,
                read if self.came.is_empty() => self.came = read,
                read => self.came = [self.came.as_ref(), &read].concat().into(),
            }
        }
    }

    /// Reads what there is. While nothing is, there is no room for it either.
    async fn read(&mut self) -> std::io::Result<Bytes> {
        poll_fn(|cx| {
            let mut room = [MaybeUninit::uninit(); PIECE];
            let mut room = ReadBuf::uninit(&mut room);
            ready!(Pin::new(&mut self.wire).poll_read(cx, &mut room))?;
            Poll::Ready(Ok(Bytes::copy_from_slice(room.filled())))
        })
        .await
    }
}
