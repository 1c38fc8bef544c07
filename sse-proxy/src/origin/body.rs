//! [`Body`]: takes the body of an HTTP/1 answer out of its framing, without I/O.

use bytes::{Buf, Bytes};
use http::header::{CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, StatusCode, Version};

use super::OriginError;

/// The most bytes of a line between two chunks, and of the trailers.
const MOST_BETWEEN: usize = 16 << 10;

/// The most trailers.
const MOST_TRAILERS: usize = 64;

/// What is left of a body, and how its end is told.
#[derive(Debug)]
pub(crate) struct Body {
    left: Left,
    trailers: Option<Box<HeaderMap>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    /// As much as comes before the connection closes.
    Rest,
    /// So many bytes.
    Length(u64),
    /// The line that says how long the next chunk is.
    Size,
    /// So many bytes of a chunk.
    Chunk(u64),
    /// A chunk of so many bytes, all of which have come, and which alone are kept of it.
    Kept(u64),
    /// The end of the line after a chunk.
    LineEnd,
    Trailers,
}

impl Body {
    /// The body of the answer to a GET, by its head (RFC 9112, 6.3).
    pub(super) fn of(
        version: Version,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<Self, OriginError> {
        let left = if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            Left::Nothing
        } else if headers.contains_key(TRANSFER_ENCODING) {
            if version < Version::HTTP_11 {
                return Err(broken("HTTP/1.0 knows no transfer coding"));
            }
            if is_chunked(headers)? { Left::Size } else { Left::Rest }
        } else if headers.contains_key(CONTENT_LENGTH) {
            let wrong = || broken("the length is no number, or several");
            Left::of_length(length(headers).ok_or_else(wrong)?)
        } else {
            Left::Rest
        };
        Ok(Self { left, trailers: None })
    }

    /// A copy of what has been read, for the pieces to be taken from. Of a chunk that has come by
    /// itself, as most events do, it is what is in it alone: that is not shared to be taken.
    pub(crate) fn keep(&mut self, read: &[u8]) -> Bytes {
        if self.left == Left::Size
            && let Ok(Some((line, size))) = chunk_size(read)
            && let Some(piece) = read.get(line..).and_then(|rest| rest.strip_suffix(b"\r\n"))
            && size > 0
            && piece.len() as u64 == size
        {
            self.left = Left::Kept(size);
            return Bytes::copy_from_slice(piece);
        }
        Bytes::copy_from_slice(read)
    }

    /// Takes the next piece of the body from what has come, without copying it. `None` if nothing
    /// more of it has come, or nothing more is to come.
    pub(crate) fn next(&mut self, came: &mut Bytes) -> Result<Option<Bytes>, OriginError> {
        while !came.is_empty() {
            match self.left {
                Left::Nothing => return Ok(None),
                Left::Rest => return Ok(Some(std::mem::take(came))),
                Left::Length(left) => {
                    let piece = up_to(left, came);
                    self.left = Left::of_length(left - piece.len() as u64);
                    return Ok(Some(piece));
                }
                Left::Chunk(left) => {
                    let piece = up_to(left, came);
                    self.left = match left - piece.len() as u64 {
                        0 => Left::LineEnd,
                        left => Left::Chunk(left),
                    };
                    return Ok(Some(piece));
                }
                Left::Kept(size) => {
                    self.left = Left::Size;
                    return Ok(Some(up_to(size, came)));
                }
                Left::LineEnd => match came.get(..2) {
                    Some(b"\r\n") => {
                        came.advance(2);
                        self.left = Left::Size;
                    }
                    None if came.starts_with(b"\r") => return Ok(None),
                    _ => return Err(broken("a chunk is longer than was said")),
                },
                Left::Size => match chunk_size(came)? {
                    Some((line, size)) => {
                        came.advance(line);
                        self.left = if size == 0 { Left::Trailers } else { Left::Chunk(size) };
                    }
                    None => return Ok(None),
                },
                Left::Trailers => match trailers(came)? {
                    Some((lines, trailers)) => {
                        came.advance(lines);
                        self.left = Left::Nothing;
                        self.trailers = (!trailers.is_empty()).then(|| Box::new(trailers));
                    }
                    None => return Ok(None),
                },
            }
        }
        Ok(None)
    }

    /// Whether nothing more is to come.
    pub(crate) fn has_ended(&self) -> bool {
        self.left == Left::Nothing
    }

    /// The connection has closed. An error if more was to come.
    pub(crate) fn close(&mut self) -> Result<(), OriginError> {
        match self.left {
            Left::Nothing | Left::Rest => {
                self.left = Left::Nothing;
                Ok(())
            }
            _ => Err(broken("it closed before the body was complete")),
        }
    }

    pub(super) fn take_trailers(&mut self) -> Option<HeaderMap> {
        self.trailers.take().map(|trailers| *trailers)
    }
}

impl Left {
    const fn of_length(length: u64) -> Self {
        if length == 0 { Self::Nothing } else { Self::Length(length) }
    }
}

fn up_to(most: u64, came: &mut Bytes) -> Bytes {
    came.split_to(usize::try_from(most).unwrap_or(usize::MAX).min(came.len()))
}

/// Whether the body comes in chunks. An error if it is coded in a way that no request of ours
/// allows: then nobody knows what it says, or where it ends.
pub(super) fn is_chunked(headers: &HeaderMap) -> Result<bool, OriginError> {
    let lines = headers.get_all(TRANSFER_ENCODING).iter().map(HeaderValue::as_bytes);
    let codings = lines.flat_map(|line| line.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    // Some old servers say it of what is not coded.
    let is_coded = |coding: &&[u8]| !coding.eq_ignore_ascii_case(b"identity") && !coding.is_empty();
    let mut codings = codings.filter(is_coded);
    match (codings.next(), codings.next()) {
        (None, _) => Ok(false),
        (Some(only), None) if only.eq_ignore_ascii_case(b"chunked") => Ok(true),
        _ => Err(broken("it uses a transfer coding that was not asked for")),
    }
}

/// The length that is said, if it is one, however often.
fn length(headers: &HeaderMap) -> Option<u64> {
    let lines = headers.get_all(CONTENT_LENGTH).iter().map(HeaderValue::as_bytes);
    let mut lengths = lines.flat_map(|line| line.split(|byte| *byte == b',')).map(|length| {
        let digits = std::str::from_utf8(length.trim_ascii()).ok()?;
        // `parse` takes a sign too.
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    });
    let first = lengths.next()?;
    lengths.all(|other| other == first).then_some(first)?
}

/// The length of the line that tells a chunk's size, and that size.
fn chunk_size(came: &[u8]) -> Result<Option<(usize, u64)>, OriginError> {
    let wrong = || broken("the size of a chunk is no number");
    if !came.first().is_some_and(u8::is_ascii_hexdigit) {
        return Err(wrong());
    }
    match httparse::parse_chunk_size(came).map_err(|_| wrong())? {
        httparse::Status::Complete((line, size)) => {
            let has_line_within =
                came.get(..line.saturating_sub(1)).is_some_and(|line| line.contains(&b'\n'));
            if has_line_within { Err(wrong()) } else { Ok(Some((line, size))) }
        }
        httparse::Status::Partial if came.len() > MOST_BETWEEN => Err(wrong()),
        httparse::Status::Partial => Ok(None),
    }
}

/// The length of the trailers and the blank line after them, and the trailers.
fn trailers(came: &[u8]) -> Result<Option<(usize, HeaderMap)>, OriginError> {
    let wrong = || broken("its trailers are none");
    let mut fields = [httparse::EMPTY_HEADER; MOST_TRAILERS];
    match httparse::parse_headers(came, &mut fields).map_err(|_| wrong())? {
        httparse::Status::Complete((lines, fields)) => {
            let mut trailers = HeaderMap::with_capacity(fields.len());
            for field in fields {
                let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| wrong())?;
                trailers.append(name, HeaderValue::from_bytes(field.value).map_err(|_| wrong())?);
            }
            Ok(Some((lines, trailers)))
        }
        httparse::Status::Partial if came.len() > MOST_BETWEEN => Err(wrong()),
        httparse::Status::Partial => Ok(None),
    }
}

fn broken(why: &str) -> OriginError {
    OriginError::Broken(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(headers: &[(&'static str, &str)]) -> Result<Body, OriginError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        Body::of(Version::HTTP_11, StatusCode::OK, &map)
    }

    /// What is in a body that comes in steps of so many bytes, and whether it has ended.
    fn taken(mut body: Body, text: &str, step: usize) -> Result<(String, bool), OriginError> {
        let mut out = Vec::new();
        let mut came = Bytes::new();
        for more in text.as_bytes().chunks(step) {
            came = match came.is_empty() {
                true => body.keep(more),
                false => [&came[..], more].concat().into(),
            };
            while let Some(piece) = body.next(&mut came)? {
                out.extend_from_slice(&piece);
            }
        }
        Ok((String::from_utf8(out).unwrap(), body.has_ended()))
    }

    #[test]
    fn a_body_is_the_same_wherever_it_is_cut() {
        let chunked = [("transfer-encoding", "Chunked")];
        let text = "3\r\nabc\r\n0a;ext=\"x\"\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\nGET /";
        for step in 1..=text.len() {
            let got = taken(body(&chunked).unwrap(), text, step).unwrap();
            assert_eq!(got, ("abc0123456789".to_owned(), true), "{step}");
            let got = taken(body(&[("content-length", "3")]).unwrap(), "abcd", step).unwrap();
            assert_eq!(got, ("abc".to_owned(), true), "{step}");
            let got = taken(body(&[]).unwrap(), "abc", step).unwrap();
            assert_eq!(got, ("abc".to_owned(), false), "{step}");
        }
        let mut with_trailers = body(&chunked).unwrap();
        let mut came = Bytes::from("0\r\nX-Sum: 1\r\n\r\n");
        assert_eq!(with_trailers.next(&mut came).unwrap(), None);
        assert_eq!(with_trailers.take_trailers().unwrap()["x-sum"], "1");
    }

    #[test]
    fn a_chunk_that_comes_by_itself_is_taken_whole() {
        let mut body = body(&[("transfer-encoding", "chunked")]).unwrap();
        for _ in 0..2 {
            let mut came = body.keep(b"3\r\nabc\r\n");
            let kept = came.as_ptr();
            let piece = body.next(&mut came).unwrap().unwrap();
            assert_eq!((&piece[..], piece.as_ptr(), came.len()), (&b"abc"[..], kept, 0));
            assert_eq!(body.next(&mut came).unwrap(), None);
        }
        let mut came = body.keep(b"0\r\n\r\n");
        assert_eq!(body.next(&mut came).unwrap(), None);
        assert!(body.has_ended());
    }

    #[test]
    fn what_is_no_chunk_is_an_error_wherever_it_is_cut() {
        for text in [
            "\r\n",
            " 3\r\nabc",
            "+3\r\nabc",
            "-1\r\n",
            "0x3\r\nabc",
            "3\nabc",
            "g\r\n",
            "3\r\nabcd\r\n",
            "3;a\nb\r\nabc",
            "11111111111111111\r\n",
            "0\r\n: x\r\n\r\n",
            "3\r\nabc\rx",
        ] {
            for step in 1..=text.len() {
                let chunked = body(&[("transfer-encoding", "identity, chunked")]).unwrap();
                assert!(taken(chunked, text, step).is_err(), "{text:?}, {step}");
            }
        }
        let chunked = body(&[("transfer-encoding", "chunked")]).unwrap();
        let endless = format!("3;{}", "x".repeat(2 * MOST_BETWEEN));
        assert!(taken(chunked, &endless, 1000).is_err());
    }

    #[test]
    fn a_body_that_is_cut_short_is_not_complete() {
        for (headers, text) in [
            (&[("content-length", "4")][..], "abc"),
            (&[("transfer-encoding", "chunked")], "4\r\nabc"),
            (&[("transfer-encoding", "chunked")], "3\r\nabc\r\n"),
            (&[("transfer-encoding", "chunked")], "3\r\nabc\r\n0\r\n"),
        ] {
            let mut body = body(headers).unwrap();
            let mut came = Bytes::from(text);
            while body.next(&mut came).unwrap().is_some() {}
            assert!(body.close().is_err(), "{text:?}");
        }
        let mut unmeasured = body(&[]).unwrap();
        assert!(unmeasured.close().is_ok() && unmeasured.has_ended());
    }

    #[test]
    fn a_transfer_coding_that_nobody_asked_for_is_an_error() {
        for wrong in ["gzip, chunked", "chunked, gzip", "chunked, chunked", "xchunked", "gzip"] {
            assert!(body(&[("transfer-encoding", wrong)]).is_err(), "{wrong}");
        }
        assert_eq!(body(&[("transfer-encoding", "identity")]).unwrap().left, Left::Rest);
    }

    #[test]
    fn a_length_is_a_number_and_only_one() {
        for wrong in [&["+1"][..], &["1x"], &[""], &["1", "2"], &["1, 2"], &["-1"]] {
            let headers: Vec<_> = wrong.iter().map(|value| ("content-length", *value)).collect();
            assert!(body(&headers).is_err(), "{wrong:?}");
        }
        assert!(body(&[("content-length", "3"), ("content-length", "3, 3")]).is_ok());
        assert!(body(&[("transfer-encoding", "gzip, chunked")]).is_err());
        let overruled = body(&[("content-length", "x"), ("transfer-encoding", "chunked")]);
        assert_eq!(overruled.unwrap().left, Left::Size);
    }
}
