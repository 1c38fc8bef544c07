//! [`Http1`]: an HTTP/1 response that is a stream, on the connection that it is the last of.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::connection::{Connection, Transport};

/// The end of a chunked body.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// A response that is a stream: its head is written, its body is being written.
pub(crate) struct Http1 {
    connection: Connection,
    framing: Framing,
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// By a last chunk.
    Chunked,
    /// By the end of what it comes on: a stream of HTTP/2, or the connection, as HTTP/1.0 knows
    /// nothing else.
    Close,
}

impl Framing {
    /// The body's next piece, as it goes over the wire.
    pub(crate) fn frame(self, piece: &[u8]) -> Bytes {
        let mut out = BytesMut::with_capacity(piece.len() + 16);
        self.frame_to(piece, &mut out);
        out.freeze()
    }

    /// The same, behind what there is in `out`.
    pub(crate) fn frame_to(self, piece: &[u8], out: &mut BytesMut) {
        match self {
            // An empty chunk would be the last.
            _ if piece.is_empty() => {}
            Self::Chunked => {
                let (size, digits) = hexadecimal(piece.len());
                out.extend_from_slice(size.get(digits..).unwrap_or_default());
                out.extend_from_slice(b"\r\n");
                out.extend_from_slice(piece);
                out.extend_from_slice(b"\r\n");
            }
            Self::Close => out.extend_from_slice(piece),
        }
    }

    /// Puts the body's end behind what there is in `out`.
    pub(crate) fn end_to(self, out: &mut BytesMut) {
        if self == Self::Chunked {
            out.extend_from_slice(LAST_CHUNK);
        }
    }
}

/// A size in hexadecimal digits, and where they begin.
fn hexadecimal(mut size: usize) -> ([u8; 16], usize) {
    let mut out = [0; 16];
    let mut begin = out.len();
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789abcdef".get(size % 16).copied().unwrap_or(b'0');
        begin -= 1;
        size /= 16;
        if size == 0 {
            break;
        }
    }
    (out, begin)
}

impl Http1 {
    /// The head, 200 with `headers`, and the beginning of the body as they go over the wire. There is
    /// nothing among the headers that is for one hop alone.
    pub(crate) fn head(version: Version, headers: &HeaderMap, begin: &[u8]) -> (Bytes, Framing) {
        let mut out = BytesMut::with_capacity(512 + begin.len());
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        put_fields(headers, &mut out);
        let framing = if version >= Version::HTTP_11 { Framing::Chunked } else { Framing::Close };
        if framing == Framing::Chunked {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        // It is true: with its stream a connection ends, in good order too. What a client sends on it
        // meanwhile is dropped, so nobody may think that a next request would be answered.
        out.extend_from_slice(b"Connection: close\r\n\r\n");
        framing.frame_to(begin, &mut out);
        (out.freeze(), framing)
    }

    /// Writes the head, 200 with `headers`, and the beginning of the body.
    pub(crate) async fn open(
        connection: Connection,
        version: Version,
        headers: &HeaderMap,
        begin: &[u8],
    ) -> pingora::Result<Self> {
        let (head, framing) = Self::head(version, headers, begin);
        let mut http1 = Self { connection, framing };
        let written = http1.write_all(head).await;
        written.map_err(|error| {
            pingora::Error::because(pingora::ErrorType::WriteError, "beginning a stream", error)
        })?;
        Ok(http1)
    }

    pub(crate) fn into_parts(self) -> (Transport, Framing) {
        (self.connection.into_transport(), self.framing)
    }

    /// Resolves when the client has gone away.
    pub(crate) async fn closed(&mut self) {
        // What a client goes on sending on this connection is nothing to us.
        let mut ignored = [0; 64];
        while self.connection.read(&mut ignored).await.is_ok_and(|read| read > 0) {}
    }

    /// Writes the body's next piece.
    pub(crate) async fn write(&mut self, piece: Bytes) -> io::Result<()> {
        if piece.is_empty() {
            return Ok(());
        }
        match self.framing {
            Framing::Chunked => {
                let size = format!("{:x}\r\n", piece.len());
                self.write_all(Buf::chain(size.as_bytes(), piece).chain(&b"\r\n"[..])).await
            }
            Framing::Close => self.write_all(piece).await,
        }
    }

    /// Ends the response in good order.
    pub(crate) async fn finish(&mut self) -> io::Result<()> {
        if self.framing == Framing::Chunked {
            self.connection.write_all(LAST_CHUNK).await?;
        }
        self.connection.shutdown().await
    }

    async fn write_all(&mut self, mut bytes: impl Buf) -> io::Result<()> {
        self.connection.write_all_buf(&mut bytes).await?;
        self.connection.flush().await
    }
}

/// Writes the fields of a head.
pub(crate) fn put_fields<'f>(
    fields: impl IntoIterator<Item = (&'f HeaderName, &'f HeaderValue)>,
    out: &mut BytesMut,
) {
    for (name, value) in fields {
        put_title_case(name, out);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// Some old programs do not know their fields otherwise.
fn put_title_case(name: &HeaderName, out: &mut BytesMut) {
    let begin = out.len();
    out.extend_from_slice(name.as_str().as_bytes());
    let mut is_first = true;
    for byte in out.iter_mut().skip(begin) {
        if is_first {
            byte.make_ascii_uppercase();
        }
        is_first = *byte == b'-';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_written_as_old_programs_know_them() {
        let mut fields = HeaderMap::new();
        fields.insert("last-event-id", HeaderValue::from_static("7"));
        let mut out = BytesMut::new();
        put_fields(&fields, &mut out);
        assert_eq!(out, "Last-Event-Id: 7\r\n");
    }

    #[test]
    fn a_chunk_says_its_size() {
        for size in [1, 9, 15, 16, 255, 4096, 65_537] {
            let piece = vec![b'x'; size];
            let chunk = Framing::Chunked.frame(&piece);
            assert!(chunk.starts_with(format!("{size:x}\r\nx").as_bytes()), "{size}");
            assert_eq!(Framing::Close.frame(&piece), piece);
        }
        assert!(Framing::Chunked.frame(b"").is_empty());
    }
}
