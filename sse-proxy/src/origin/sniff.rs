//! What the first bytes of a body tell, where the head does not tell enough or is not believed.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{OriginError, Response};

/// How long the head of an answer waits for the first bytes of the body, where they decide what
/// the head will be.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long it waits where they are only looked at for a hint.
const GLANCE: Duration = Duration::from_millis(20);

/// How many bytes decide at most.
const ENOUGH: usize = 64;

/// How many bytes of text are looked at for their encoding.
const ENOUGH_TEXT: usize = 1024;

/// Whether a body begins as a stream does: with a byte order mark, a comment, or one of the four
/// fields, however it is written. `None` if too little has come in time.
pub(super) async fn begins_like_a_stream(
    response: &mut Response,
) -> Result<Option<bool>, OriginError> {
    watch(response, ENOUGH, PATIENCE, looks_like_a_stream).await
}

/// The same, only for a hint: as far as can be seen at once.
pub(super) async fn seems_a_stream(response: &mut Response) -> Result<bool, OriginError> {
    Ok(watch(response, ENOUGH, GLANCE, looks_like_a_stream).await? == Some(true))
}

/// Whether a text that says to be in units of 16 bits is. The four names are ASCII, in which one
/// byte of two is zero then.
pub(super) async fn is_wide(response: &mut Response) -> Result<bool, OriginError> {
    let verdict = |begin: &[u8]| {
        let (first, second) = (begin.first()?, begin.get(1)?);
        Some(matches!((first, second), (0, _) | (_, 0) | (0xFF, 0xFE) | (0xFE, 0xFF)))
    };
    Ok(watch(response, 2, PATIENCE, verdict).await? == Some(true))
}

/// Whether the first event, or as much of it as has come in time, is UTF-8.
pub(super) async fn begins_as_utf8(response: &mut Response) -> Result<bool, OriginError> {
    let verdict = |begin: &[u8]| match std::str::from_utf8(begin) {
        Err(error) if error.error_len().is_some() => Some(false),
        // A character may be cut in two at the end of what has come.
        _ if has_whole_block(begin) => Some(true),
        _ => None,
    };
    Ok(watch(response, ENOUGH_TEXT, PATIENCE, verdict).await? != Some(false))
}

fn has_whole_block(text: &[u8]) -> bool {
    let blank_lines: [&[u8]; 3] = [b"\n\n", b"\r\r", b"\r\n\r\n"];
    blank_lines.iter().any(|end| text.windows(end.len()).any(|part| part == *end))
}

/// Looks at the body as it comes, until there is a verdict, or the body ends, or there is enough
/// of it, or the time is up.
async fn watch(
    response: &mut Response,
    enough: usize,
    patience: Duration,
    verdict: impl Fn(&[u8]) -> Option<bool>,
) -> Result<Option<bool>, OriginError> {
    let deadline = Instant::now() + patience;
    let mut wanted = 1;
    loop {
        let Ok(begin) = timeout_at(deadline, response.peek(wanted)).await else {
            return Ok(None);
        };
        let begin = begin?;
        let found = verdict(begin);
        if found.is_some() || begin.len() < wanted || begin.len() >= enough {
            return Ok(found);
        }
        wanted = begin.len() + 1;
    }
}

/// Whether a stream may begin so. `None` if more bytes are needed.
pub(super) fn looks_like_a_stream(begin: &[u8]) -> Option<bool> {
    const BOM: &[u8] = b"\xef\xbb\xbf";
    const FIELDS: [&[u8]; 4] = [b"event", b"data", b"id", b"retry"];
    if BOM.starts_with(begin) && begin.len() < BOM.len() {
        return None;
    }
    let begin = begin.strip_prefix(BOM).unwrap_or(begin).trim_ascii_start();
    let end = begin.iter().position(|byte| !byte.is_ascii_alphabetic());
    let name = begin.get(..end.unwrap_or(begin.len()))?.to_ascii_lowercase();
    match end.and_then(|end| begin.get(end..)).map(<[u8]>::trim_ascii_start) {
        Some([b':', ..]) => Some(name.is_empty() || FIELDS.contains(&name.as_slice())),
        Some([]) | None => {
            let possible = FIELDS.iter().any(|field| field.starts_with(&name));
            if possible { None } else { Some(false) }
        }
        Some(_) => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_known_by_its_first_line() {
        for begin in [&b"data: x"[..], b"Event: tick", b": hi", b"\xef\xbb\xbfdata:", b"  ID : 7"] {
            assert_eq!(looks_like_a_stream(begin), Some(true), "{begin:?}");
        }
        for begin in [
            &b"<script>"[..],
            b"{\"error\":\"quota\"}",
            b"12:00:01 started",
            b"--b\r\nContent-Type: text/plain",
            b"Content-Type: text/event-stream",
            b"data=x",
        ] {
            assert_eq!(looks_like_a_stream(begin), Some(false), "{begin:?}");
        }
        for begin in [&b""[..], b"da", b"data", b"\xef\xbb", b"  ", b"id "] {
            assert_eq!(looks_like_a_stream(begin), None, "{begin:?}");
        }
    }
}
