//! [`Heads`]: what an origin says over HTTP/1 before the body of its answer, without I/O.

use bytes::{Bytes, BytesMut};
use http::header::HeaderName;
use http::{HeaderValue, Response, StatusCode, Version};

use super::OriginError;
use super::interims;
use super::pool::{HEAD_BYTES, HEAD_FIELDS};

/// The room that a head is first given: most fit.
const FIRST_ROOM: usize = 1024;

/// What an origin says before the body of its answer: informational heads, and one that counts.
#[derive(Default)]
pub(super) struct Heads {
    came: BytesMut,
    interims: usize,
}

impl Heads {
    /// Where what comes is put.
    pub(super) fn room(&mut self) -> &mut BytesMut {
        self.came.reserve(FIRST_ROOM);
        &mut self.came
    }

    /// The head that counts, if it has come whole.
    pub(super) fn next(&mut self) -> Result<Option<Response<()>>, OriginError> {
        loop {
            let came = std::mem::take(&mut self.came).freeze();
            let Some((length, answer)) = parse(&came)? else {
                self.came = came.into();
                break;
            };
            self.came = came.get(length..).unwrap_or_default().into();
            if !answer.status().is_informational() {
                return Ok(Some(answer));
            }
            if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                return Err(OriginError::unasked_switch());
            }
            self.interims += 1;
            if self.interims > interims::MOST {
                return Err(interims::too_many());
            }
        }
        if self.came.len() >= HEAD_BYTES {
            return Err(OriginError::Broken("the head of its answer is too long".to_owned()));
        }
        Ok(None)
    }

    /// What has come behind the head that counts. Most often that is nothing yet, and a stream may
    /// wait long for it: without a buffer.
    pub(super) fn into_rest(self) -> Bytes {
        Bytes::copy_from_slice(&self.came)
    }

    /// The connection has closed.
    pub(super) fn cut() -> OriginError {
        OriginError::Broken("it closed before it had answered".to_owned())
    }
}

/// The head of an answer and its length, if it has come whole. Its fields are no copies.
fn parse(came: &Bytes) -> Result<Option<(usize, Response<()>)>, OriginError> {
    let broken = |error: httparse::Error| OriginError::broken(&error);
    let mut fields = [httparse::EMPTY_HEADER; HEAD_FIELDS];
    let mut head = httparse::Response::new(&mut fields);
    let mut config = httparse::ParserConfig::default();
    // What every browser takes.
    config.allow_spaces_after_header_name_in_responses(true);
    config.allow_obsolete_multiline_headers_in_responses(true);
    let httparse::Status::Complete(length) =
        config.parse_response(&mut head, came).map_err(broken)?
    else {
        return Ok(None);
    };
    let mut answer = Response::new(());
    answer.headers_mut().reserve(head.headers.len());
    let status = StatusCode::from_u16(head.code.unwrap_or_default());
    *answer.status_mut() = status.map_err(|error| OriginError::broken(&error))?;
    *answer.version_mut() =
        if head.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    for field in head.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let name = name.map_err(|error| OriginError::broken(&error))?;
        let value = HeaderValue::from_maybe_shared(unfolded(came.slice_ref(field.value)));
        answer.headers_mut().append(name, value.map_err(|error| OriginError::broken(&error))?);
    }
    Ok(Some((length, answer)))
}

/// The value of a field that may go on in a second line.
fn unfolded(value: Bytes) -> Bytes {
    if !value.contains(&b'\n') {
        return value;
    }
    let lines: Vec<_> = value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).collect();
    lines.join(&b' ').into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answers_head_is_read_as_browsers_read_it() {
        let head = "HTTP/1.1 200 \r\nContent-Type : text/event-stream\r\nX: a\r\n b\r\n\r\ndata";
        for end in 0..head.len() - 4 {
            assert!(parse(&head[..end].into()).unwrap().is_none(), "{end}");
        }
        let (length, answer) = parse(&head.into()).unwrap().unwrap();
        assert_eq!(&head[length..], "data");
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert_eq!(answer.headers()["x"], "a b");
        for wrong in ["HTTP/1.1 abc\r\n\r\n", "SSH-2.0-x\r\n\r\n"] {
            assert!(parse(&wrong.into()).is_err(), "{wrong}");
        }
    }
}
