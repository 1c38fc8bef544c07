//! [`Trailing`]: an HTTP/1 response with trailers.
//!
//! pingora's sessions (0.9.1) write none. So this takes the bare connection, and ends it with the
//! response.

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use pingora::http::ResponseHeader;
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::origin::{Response, copy_trailers};
use crate::session::broken_off;

/// An HTTP/1 response with trailers, its head written.
pub(crate) struct Trailing(Stream);

impl Trailing {
    /// Writes the head.
    pub(crate) async fn open(
        session: ServerSession,
        mut head: ResponseHeader,
    ) -> pingora::Result<Self> {
        let ServerSession::H1(mut session) = session else {
            return Err(broken_off(&"not an HTTP/1 session"));
        };
        head.remove_header(&CONTENT_LENGTH);
        head.insert_header(TRANSFER_ENCODING, "chunked")?;
        head.insert_header(CONNECTION, "close")?;
        session.set_server_keepalive(None);
        session.write_response_header(Box::new(head)).await?;
        Ok(Self(session.into_inner()))
    }

    /// Passes on the body, and what follows it.
    pub(crate) async fn pass(mut self, mut response: Response) -> pingora::Result<()> {
        self.pass_all(&mut response).await.map_err(|error| broken_off(&error))
    }

    async fn pass_all(&mut self, response: &mut Response) -> std::io::Result<()> {
        let Self(stream) = self;
        stream.flush().await?;
        loop {
            let mut ignored = [0; 64];
            let chunk = tokio::select! {
                biased;
                chunk = response.chunk() => {
                    let told = chunk.inspect_err(|error| response.report(error));
                    told.map_err(std::io::Error::other)?
                }
                read = stream.read(&mut ignored) => match read? {
                    0 => return Err(std::io::ErrorKind::BrokenPipe.into()),
                    _ => continue,
                },
            };
            let Some(chunk) = chunk else { break };
            let size = format!("{:x}\r\n", chunk.len());
            let mut framed = Buf::chain(size.as_bytes(), chunk).chain(&b"\r\n"[..]);
            stream.write_all_buf(&mut framed).await?;
            stream.flush().await?;
        }
        stream.write_all(&end(response)).await?;
        stream.shutdown().await
    }
}

/// The last chunk, and the trailers.
fn end(response: &mut Response) -> Bytes {
    let trailers = response.take_trailers().map(|trailers| copy_trailers(&trailers));
    let mut end = BytesMut::from(&b"0\r\n"[..]);
    for (name, value) in &trailers.unwrap_or_default() {
        end.extend_from_slice(name.as_str().as_bytes());
        end.extend_from_slice(b": ");
        end.extend_from_slice(HeaderValue::as_bytes(value));
        end.extend_from_slice(b"\r\n");
    }
    end.extend_from_slice(b"\r\n");
    end.freeze()
}
