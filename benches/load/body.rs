//! The body of a response, free of its framing, wherever the network has cut it.

use std::io;

/// How a body's end is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// With the connection.
    UntilClose,
    /// After so many bytes more.
    Length(u64),
    /// By its last chunk.
    Chunked(Chunk),
}

/// A place in a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// In a chunk's size, of which so much is known.
    Size(u64),
    /// In what comes after the size, up to the line's end.
    Extension(u64),
    /// In data, of which so much is missing.
    Data(u64),
    /// In the line's end after data.
    DataEnd,
    /// In the trailers: whether the line has something in it.
    Trailer(bool),
    /// After the end.
    End,
}

/// The longest chunk that is believed in.
const LONGEST: u64 = 1 << 40;

impl Body {
    /// A chunked body from its start.
    pub const CHUNKED: Self = Self::Chunked(Chunk::Size(0));

    /// Whether the body has come to its end.
    pub fn is_done(self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::End))
    }

    /// Hands the data that is in `bytes` to `take`, piece by piece.
    ///
    /// # Errors
    ///
    /// If the bytes are no chunked body.
    pub fn read<'a>(&mut self, bytes: &'a [u8], mut take: impl FnMut(&'a [u8])) -> io::Result<()> {
        match self {
            Self::UntilClose => take(bytes),
            Self::Length(rest) => {
                let (data, _) = split(bytes, *rest);
                *rest -= data.len() as u64;
                take(data);
            }
            Self::Chunked(at) => {
                let mut bytes = bytes;
                while let Some((&byte, tail)) = bytes.split_first() {
                    if let Chunk::Data(rest) = *at {
                        let (data, tail) = split(bytes, rest);
                        let rest = rest - data.len() as u64;
                        *at = if rest == 0 { Chunk::DataEnd } else { Chunk::Data(rest) };
                        take(data);
                        bytes = tail;
                    } else {
                        *at = at.after(byte)?;
                        bytes = tail;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Chunk {
    /// The place after one byte that is no data.
    fn after(self, byte: u8) -> io::Result<Self> {
        Ok(match (self, byte) {
            (Self::Size(size) | Self::Extension(size), b'\n') => {
                if size == 0 {
                    Self::Trailer(false)
                } else {
                    Self::Data(size)
                }
            }
            (Self::Size(size), _) => match char::from(byte).to_digit(16) {
                Some(digit) if size < LONGEST => Self::Size(size * 16 + u64::from(digit)),
                None if matches!(byte, b';' | b'\r' | b' ' | b'\t') => Self::Extension(size),
                _ => return Err(io::Error::other("a chunk without a size")),
            },
            (Self::DataEnd, b'\n') => Self::Size(0),
            (Self::DataEnd, b'\r') => Self::DataEnd,
            (Self::DataEnd, _) => return Err(io::Error::other("a chunk longer than its size")),
            (Self::Trailer(false), b'\n') => Self::End,
            (Self::Trailer(true), b'\n') => Self::Trailer(false),
            (Self::Trailer(some), _) => Self::Trailer(some || byte != b'\r'),
            (Self::Extension(_) | Self::Data(_) | Self::End, _) => self,
        })
    }
}

/// The first `length` bytes, or all if there are fewer, and the rest.
fn split(bytes: &[u8], length: u64) -> (&[u8], &[u8]) {
    bytes.split_at(usize::try_from(length).map_or(bytes.len(), |length| length.min(bytes.len())))
}

#[cfg(test)]
mod tests {
    use super::Body;

    const CHUNKED: &[u8] = b"6;name=value\r\nhello \r\n5\r\nworld\r\n0\r\nX-Trailer: 1\r\n\r\n";

    fn read(pieces: &[&[u8]]) -> (Body, Vec<u8>) {
        let mut body = Body::CHUNKED;
        let mut data = Vec::new();
        for piece in pieces {
            body.read(piece, |bytes| data.extend_from_slice(bytes)).expect("a chunked body");
        }
        (body, data)
    }

    #[test]
    fn a_chunked_body_cut_anywhere_gives_its_data() {
        for cut in 0..=CHUNKED.len() {
            let (head, tail) = CHUNKED.split_at(cut);
            let (body, data) = read(&[head, tail]);
            assert_eq!(data, b"hello world", "cut at {cut}");
            assert!(body.is_done(), "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = CHUNKED.chunks(1).collect();
        assert_eq!(read(&bytes).1, b"hello world");
    }

    #[test]
    fn a_body_is_not_done_before_its_last_chunk() {
        let (body, data) = read(&[b"5\r\nhello\r\n0\r\n"]);
        assert_eq!(data, b"hello");
        assert!(!body.is_done());
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        for wrong in [&b"x\r\n"[..], b"2\r\nabc", b"fffffffffffffffff\r\n"] {
            let mut body = Body::CHUNKED;
            assert!(body.read(wrong, |_| {}).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_body_of_known_length_ends_with_it() {
        let mut body = Body::Length(5);
        let mut data = Vec::new();
        body.read(b"hel", |bytes| data.extend_from_slice(bytes)).expect("data");
        assert!(!body.is_done());
        body.read(b"lo, and more", |bytes| data.extend_from_slice(bytes)).expect("data");
        assert_eq!(data, b"hello");
        assert!(body.is_done());
    }
}
